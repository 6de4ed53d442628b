private import Digest
package import Shared
package import SystemPackage

/// Where in the export folder each document goes, as far as its own path says.
package enum ExportNaming {
    /// The folder of each file, relative to the export folder, in the order of `files`, where no export was before.
    package static func folders(for files: [SourceLocation], in source: SourceLocation) -> [FilePath] {
        var survey = NameSurvey(source: source)
        for file in files { survey.add(file) }
        survey.finish()
        let doubtful = files.enumerated().filter { survey.isDoubtful($0.element) }
        let settled = survey.settle(doubtful.map(\.element), earlier: [:]) { _ in nil }
        var places = files.map { preferred(for: $0, in: source) }
        for (place, file) in zip(settled, doubtful) { places[file.offset] = place }
        return places
    }

    /// The list of the whole batch, in the export folder itself.
    static let batchFile = "batch.json"
    /// Names that begin so are Quire's own.
    private static let ownPrefix = Array(".quire-".utf8)
    /// Bytes that Linux allows in one name.
    private static let longestName = 255

    /// Where a document's folder is made before it takes its place, and where the old one goes meanwhile.
    ///
    /// They depend on its name alone: the next export finds them also where the export folder was moved or mounted elsewhere.
    package static func temporaryNames(for folder: FilePath) -> (new: FilePath, old: FilePath) {
        let parent = folder.removingLastComponent()
        let name = folder.bytes.split(separator: UInt8(ascii: "/")).last ?? []
        let digest = SHA256.hash(Array(name)).hex.prefix(24)
        return (parent.appending(".quire-\(digest).new"), parent.appending(".quire-\(digest).old"))
    }

    /// The document's own path below the batch's folder, byte for byte; no name leads out of the export folder.
    static func preferred(for file: SourceLocation, in source: SourceLocation) -> FilePath {
        FilePath(bytes: Array(components(of: file, in: source).joined(separator: [UInt8(ascii: "/")])))
    }

    /// The folder with `~` and a number appended to its name.
    static func numbered(_ folder: FilePath, _ number: Int) -> FilePath {
        let suffix = Array("~\(number)".utf8)
        let name = folder.bytes.split(separator: UInt8(ascii: "/")).last ?? []
        let new = FilePath(bytes: name.prefix(longestName - suffix.count) + suffix)
        let parent = folder.removingLastComponent()
        return parent.isEmpty ? new : parent.appending(new.components)
    }

    static func components(of file: SourceLocation, in source: SourceLocation) -> [[UInt8]] {
        let all = file.path.bytes.split(separator: UInt8(ascii: "/"))
        let path =
            file == source ? Array(all.suffix(1)) : file.path(below: source).bytes.split(separator: UInt8(ascii: "/"))
        var components: [[UInt8]] = file.root == source.root ? [] : [named(file.root)]
        components += path.filter { $0 != [UInt8(ascii: ".")] }.map { safe(Array($0)) }
        // Documents may lie in a folder of that name, but the list is a file.
        if components.count > 1, NameFolding.fold(components[0]) == batchFile {
            components[0] = [UInt8(ascii: "_")] + components[0]
        }
        return components.isEmpty ? [Array("document".utf8)] : components
    }

    private static func named(_ root: String) -> [UInt8] {
        let name = root.utf8.map { $0 == UInt8(ascii: "/") || $0 == 0 ? UInt8(ascii: "_") : $0 }
        return name.isEmpty || name == [UInt8(ascii: ".")] ? [UInt8(ascii: "_")] : safe(Array(name.prefix(longestName)))
    }

    private static func safe(_ name: [UInt8]) -> [UInt8] {
        if name == Array("..".utf8) { return Array("__".utf8) }
        let isOwn = name.prefix(ownPrefix.count).map { (65...90).contains($0) ? $0 | 0x20 : $0 } == ownPrefix
        return isOwn ? [UInt8(ascii: "_")] + name.prefix(longestName - 1) : name
    }
}
