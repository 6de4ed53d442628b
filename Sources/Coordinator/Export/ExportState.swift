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
    /// The batch's name; nil where an earlier version of Quire wrote the state.
    private var batch: String?

    static let name = ".quire-export"
    private static let currentSchema = "quire-export-1"

    /// Says that an export begins; returns whether the last one ended in order.
    ///
    /// Throws as `check` does, before anything is written.
    static func begin(_ batch: Batch, in folder: FilePath) throws(ExportError) -> Bool {
        try check(batch, in: folder)
        let last = read(folder)
        try ExportState(state: .writing, batch: batch).write(in: folder)
        return last?.state == .whole
    }

    /// Throws where the folder holds a list that no export wrote, which would be replaced, or the export of another batch,
    /// whose list would be lost and whose documents would be mixed up with this one's.
    ///
    /// Batches are told by name and source: one that was pruned and submitted again goes on with its export. So does one of
    /// the same folder by another pipeline, as after an update of the model, where nobody gave names to them.
    static func check(_ batch: Batch, in folder: FilePath) throws(ExportError) {
        let list = folder.appending(ExportNaming.batchFile)
        let head = BatchHead(list: list)
        // Where an export has begun, the list is its own, however torn.
        if case .absent = FolderContents.kind(of: folder.appending(name)), head == nil {
            guard case .absent = FolderContents.kind(of: list) else {
                throw .folderUnusable(
                    folder,
                    reason:
                        "no export wrote the \(ExportNaming.batchFile) in it, which would be replaced. Move that away "
                        + "or choose another folder.")
            }
        }
        let last = read(folder)
        if let other = last?.source ?? head?.source, other != BatchSource(batch.source) {
            throw .folderUnusable(folder, reason: "it holds the export of \(other.path). Choose another folder.")
        }
        if let other = last?.batch ?? head?.batch, other != batch.name, !batch.isUnnamed(like: other) {
            throw .folderUnusable(
                folder,
                reason:
                    "it holds the export of the batch \(OneLine.text(other)), whose list would be lost. Choose another "
                    + "folder for the batch \(OneLine.text(batch.name)).")
        }
    }

    /// Says that all is on the disk.
    static func end(_ batch: Batch, in folder: FilePath) throws(ExportError) {
        try ExportState(state: .whole, batch: batch).write(in: folder)
    }

    private static func read(_ folder: FilePath) -> ExportState? {
        let bytes = FolderContents.read(folder.appending(name)) ?? []
        let state = try? JSONDecoder().decode(ExportState.self, from: Data(bytes))
        return state?.schema == currentSchema ? state : nil
    }

    private init(state: Progress, batch: Batch) {
        self.state = state
        source = BatchSource(batch.source)
        self.batch = batch.name
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
}

/// What a `batch.json` says of its batch, before its files.
struct BatchHead: Decodable {
    var schema: String
    var batch: String
    var source: BatchSource

    static let currentSchema = "quire-batch-1"

    /// Nil where there is no list that an export wrote.
    init?(list: FilePath) {
        guard let lines = LineReader(list) else { return nil }
        var head: [UInt8] = []
        while let line = lines.next(), head.count < 1 << 20 {
            if line.starts(with: "\"files\":".utf8) { break }
            head += line
        }
        while let last = head.last, last.isASCIISpace || last == UInt8(ascii: ",") { head.removeLast() }
        if head.last != UInt8(ascii: "}") || (try? JSONDecoder().decode(Self.self, from: Data(head))) == nil {
            head.append(UInt8(ascii: "}"))
        }
        guard let read = try? JSONDecoder().decode(Self.self, from: Data(head)), read.schema == Self.currentSchema
        else { return nil }
        self = read
    }

    /// Whether it is the list of this batch, or of one of its name that was pruned since.
    func tells(of batch: Batch) -> Bool { self.batch == batch.name && source == BatchSource(batch.source) }
}
