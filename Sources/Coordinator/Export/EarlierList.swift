private import FoundationEssentials
internal import Shared
internal import SystemPackage

/// The `batch.json` of the last export, line by line.
struct EarlierList {
    /// A document that has a folder.
    struct Entry {
        var location: SourceLocation
        var folder: FilePath
    }

    private let lines: LineReader?
    private let hasRemoved: Bool
    private var ahead: Entry?

    /// The list at `path`; an empty one where that is nil or not there.
    ///
    /// With `hasRemoved` documents whose folders the last export removed are among the entries, so that an export that was
    /// cut off at its very end is told of in full.
    init(_ path: FilePath?, hasRemoved: Bool) {
        self.hasRemoved = hasRemoved
        lines = path.flatMap { LineReader($0) }
        while let line = lines?.next() { if line.starts(with: "\"files\":".utf8) { break } }
        ahead = read()
    }

    /// Takes the entries that come before `location` in the order of exports; all that are left where it is nil.
    ///
    /// An entry of the location itself is taken too, and is the last.
    mutating func next(upTo location: SourceLocation?) -> Entry? {
        guard let entry = ahead else { return nil }
        if let location, Self.comes(location, before: entry.location) { return nil }
        ahead = read()
        return entry
    }

    /// The documents whose folders may not bear their own names.
    static func renamed(_ path: FilePath, in source: SourceLocation) -> [SourceLocation: FilePath] {
        guard let lines = LineReader(path) else { return [:] }
        var places: [SourceLocation: FilePath] = [:]
        while let line = lines.next() {
            // `"folder": "letters/a.pdf~2", ...`
            guard line.contains(UInt8(ascii: "~")), let entry = entry(line, hasRemoved: false) else { continue }
            if entry.folder != ExportNaming.preferred(for: entry.location, in: source) {
                places[entry.location] = entry.folder
            }
        }
        return places
    }

    private func read() -> Entry? {
        while let line = lines?.next() {
            guard line.first == UInt8(ascii: "{") else { return nil }
            if let entry = Self.entry(line, hasRemoved: hasRemoved) { return entry }
        }
        return nil
    }

    private struct Line: Decodable {
        var root: String
        var path: String
        var pathHex: String?
        var folder: String?
        var folderHex: String?
        var removed: Bool?
    }

    /// The document that a line tells of; nil where it has no folder.
    private static func entry(_ line: ArraySlice<UInt8>, hasRemoved: Bool) -> Entry? {
        var object = line
        if object.last == UInt8(ascii: ",") { object = object.dropLast() }
        guard let read = try? JSONDecoder().decode(Line.self, from: Data(object)), let folder = read.folder,
            hasRemoved || read.removed != true
        else { return nil }
        let place = FilePath(shown: folder, hex: read.folderHex)
        // The list may have been tampered with.
        guard place.isRelative, !place.isEmpty, place.components.allSatisfy({ $0.kind == .regular }) else { return nil }
        return Entry(
            location: SourceLocation(root: read.root, path: FilePath(shown: read.path, hex: read.pathHex)),
            folder: place)
    }

    private static func comes(_ left: SourceLocation, before right: SourceLocation) -> Bool {
        if left.root != right.root { return left.root.utf8.lexicographicallyPrecedes(right.root.utf8) }
        return left.path.bytes.lexicographicallyPrecedes(right.path.bytes)
    }
}
