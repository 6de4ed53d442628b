internal import Shared
internal import SystemPackage

/// All names of an export, as numbers: eight bytes a document, however many there are.
///
/// Most documents get the path that they have. Doubtful ones, whose names some file system would take for another's, are
/// settled together, so that those that were exported before keep their folders. Two names with the same number by chance
/// are taken for doubtful, no more.
struct NameSurvey: Sendable {
    let source: SourceLocation
    private var documents: [Int] = []
    private var ancestors: Set<Int> = []
    private var lastParent: [[UInt8]] = []
    private var doubles: Set<Int> = []

    init(source: SourceLocation) { self.source = source }

    mutating func add(_ file: SourceLocation) {
        let components = ExportNaming.components(of: file, in: source)
        documents.append(Self.number(components[...]))
        // Folders that documents lie in cannot be documents themselves.
        let parent = components.dropLast()
        guard !parent.elementsEqual(lastParent) else { return }
        lastParent = Array(parent)
        for depth in 1..<max(1, components.count) { ancestors.insert(Self.number(components.prefix(depth))) }
    }

    /// Nothing may be added afterwards.
    mutating func finish() {
        documents.sort()
        for (number, next) in zip(documents, documents.dropFirst()) where number == next { doubles.insert(number) }
        doubles.formUnion(documents.lazy.filter { [ancestors] in ancestors.contains($0) || $0 == Self.reserved })
    }

    /// Whether there may be doubtful documents.
    var hasDoubts: Bool { !doubles.isEmpty }

    /// Whether the document may not simply have its own path.
    func isDoubtful(_ file: SourceLocation) -> Bool {
        doubles.contains(Self.number(ExportNaming.components(of: file, in: source)[...]))
    }

    /// The folders of all doubtful documents, which are given in the order of the export.
    ///
    /// `earlier` has the places of the last export where they were not the documents' own paths. `holder` tells whose
    /// export a folder holds now. A document whose folder is there keeps it; of the others each gets its own path or the
    /// first of `~2`, `~3`, ... that nobody has.
    func settle(
        _ files: [SourceLocation], earlier: [SourceLocation: FilePath], holder: (FilePath) -> SourceLocation?
    ) -> [FilePath] {
        var taken: Set<Int> = [Self.reserved]
        var places = [FilePath?](repeating: nil, count: files.count)
        for (index, file) in files.enumerated() {
            let preferred = ExportNaming.preferred(for: file, in: source)
            for place in [earlier[file], preferred].compactMap({ $0 }) where places[index] == nil {
                let number = Self.number(of: place)
                guard number != Self.reserved, holder(place) == file else { continue }
                // Another one's own path is not taken from it, unless the two are one name only for some.
                guard place == preferred || !isTaken(number, by: taken) else { continue }
                taken.insert(number)
                places[index] = place
            }
        }
        let doubtful = Set(files)
        for (index, file) in files.enumerated() where places[index] == nil {
            let preferred = ExportNaming.preferred(for: file, in: source)
            var number = 1
            var place = preferred
            while true {
                let isFree =
                    number == 1
                    ? !taken.contains(Self.number(of: place)) && !ancestors.contains(Self.number(of: place))
                    : !isTaken(Self.number(of: place), by: taken)
                if isFree {
                    let other = holder(place)
                    if other == nil || other == file || (number == 1 && other.map { !doubtful.contains($0) } == true) {
                        break
                    }
                }
                number += 1
                place = ExportNaming.numbered(preferred, number)
            }
            taken.insert(Self.number(of: place))
            places[index] = place
        }
        return places.compactMap { $0 }
    }

    private func isTaken(_ number: Int, by taken: Set<Int>) -> Bool {
        if taken.contains(number) || ancestors.contains(number) { return true }
        var low = 0
        var high = documents.count
        while low < high {
            let middle = (low + high) / 2
            if documents[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low < documents.count && documents[low] == number
    }

    private static let reserved = number([Array(ExportNaming.batchFile.utf8)][...])

    private static func number(of path: FilePath) -> Int {
        number(path.bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }[...])
    }

    private static func number(_ components: ArraySlice<[UInt8]>) -> Int {
        var hasher = Hasher()
        for component in components { hasher.combine(NameFolding.fold(component)) }
        return hasher.finalize()
    }
}
