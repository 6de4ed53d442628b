private import FoundationEssentials
internal import Shared
internal import SystemPackage

/// `.quire-export` in the export folder: of which batch's documents it is, and whether the last export ended in order.
struct ExportState: Codable {
    enum Progress: String, Codable {
        /// An export is at work, or was cut off.
        case writing
        /// All that the last export wrote is on the disk.
        case whole
    }

    private var schema = ExportState.currentSchema
    private var state: Progress
    private var source: BatchSource

    static let name = ".quire-export"
    private static let currentSchema = "quire-export-1"

    /// Says that an export begins; returns whether the last one ended in order.
    ///
    /// Throws where the folder holds the export of another source: its documents would be mixed up.
    static func begin(_ batch: Batch, in folder: FilePath) throws(ExportError) -> Bool {
        let bytes = FolderContents.read(folder.appending(name)) ?? []
        let last = (try? JSONDecoder().decode(ExportState.self, from: Data(bytes))).flatMap {
            $0.schema == currentSchema ? $0 : nil
        }
        let source = BatchSource(batch.source)
        if let other = last?.source ?? BatchSource(list: folder.appending(ExportNaming.batchFile)), other != source {
            throw .folderUnusable(folder, reason: "it holds the export of \(other.path). Choose another folder.")
        }
        try ExportState(state: .writing, source: source).write(in: folder)
        return last?.state == .whole
    }

    /// Says that all is on the disk.
    static func end(_ batch: Batch, in folder: FilePath) throws(ExportError) {
        try ExportState(state: .whole, source: BatchSource(batch.source)).write(in: folder)
    }

    private init(state: Progress, source: BatchSource) {
        self.state = state
        self.source = source
    }

    private func write(in folder: FilePath) throws(ExportError) {
        let path = folder.appending(Self.name)
        let new = ExportNaming.temporaryNames(for: path).new
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes = try ExportError.wrap(path, "write") { try Array(encoder.encode(self)) + [UInt8(ascii: "\n")] }
        try FolderContents.removeTree(new)
        let file = try OutputFile(new)
        try file.write(bytes)
        _ = try file.finish()
        try FolderContents.sync(new)
        try FolderContents.rename(new, path)
        try FolderContents.sync(folder)
    }
}

/// The folder or file whose documents a batch has, as exports tell it.
struct BatchSource: Codable, Equatable {
    var root: String
    var path: String
    var pathHex: String?

    init(_ source: SourceLocation) {
        root = source.root
        path = source.path.displayText
        pathHex = source.path.hexWhereNeeded
    }

    /// From the head of a `batch.json`; nil where there is none.
    init?(list: FilePath) {
        struct Head: Decodable { var source: BatchSource }
        guard let lines = LineReader(list) else { return nil }
        var head: [UInt8] = []
        while let line = lines.next(), head.count < 1 << 20 {
            if line.starts(with: "\"files\":".utf8) { break }
            head += line
        }
        while let last = head.last, last.isASCIISpace || last == UInt8(ascii: ",") { head.removeLast() }
        if head.last != UInt8(ascii: "}") || (try? JSONDecoder().decode(Head.self, from: Data(head))) == nil {
            head.append(UInt8(ascii: "}"))
        }
        guard let source = try? JSONDecoder().decode(Head.self, from: Data(head)).source else { return nil }
        self = source
    }
}
