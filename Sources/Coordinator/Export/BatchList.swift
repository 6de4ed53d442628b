private import FoundationEssentials
internal import Shared
internal import SystemPackage

/// `batch.json`: what became of every file of the batch.
struct BatchList {
    /// What became of one file.
    enum Outcome {
        case exported(folder: FilePath, sha256: String, pages: ExportedPages)
        case blocked(reason: String)
        case unreadable(reason: String)
        case ignored(reason: String)
    }

    private let batch: Batch
    private let path: FilePath
    private let new: FilePath
    private let file: OutputFile
    private var isFirst = true

    /// Starts the list.
    ///
    /// Throws where the folder holds the export of another source: its documents would be mixed up.
    init(_ batch: Batch, in folder: FilePath) throws(ExportError) {
        self.batch = batch
        path = folder.appending(ExportNaming.batchFile)
        new = ExportNaming.temporaryNames(for: path).new
        if let other = Self.source(of: path), other != Self.source(of: batch) {
            throw .folderUnusable(
                folder, reason: "it holds the export of \(other.path). Choose another folder.")
        }
        try FolderContents.removeTree(new)
        file = try OutputFile(new)
        let pipeline = batch.pipeline
        let head: [(String, JSONText)] = [
            ("schema", .string("quire-batch-1")), ("batch", .string(batch.name)),
            ("source", .object([("root", .string(batch.source.root))] + batch.source.path.jsonMembers("path"))),
            (
                "pipeline",
                .object([
                    ("modelDigest", .string(pipeline.modelDigest)), ("mode", .string(pipeline.mode)),
                    ("prompt", .string(pipeline.prompt)), ("maxNewTokens", .int(pipeline.maxNewTokens)),
                    ("pdfDPI", .int(pipeline.pdfDPI)), ("engineVersion", .string(pipeline.engineVersion)),
                    ("precision", .string(pipeline.precision)),
                ])
            ),
        ]
        try file.write("{")
        for (name, value) in head {
            try file.write(JSONText.string(name).bytes + Array(": ".utf8) + value.bytes + Array(",\n".utf8))
        }
        try file.write("\"files\": [\n")
    }

    mutating func add(_ location: SourceLocation, _ outcome: Outcome) throws(ExportError) {
        var members: [(String, JSONText)] = [("root", .string(location.root))] + location.path.jsonMembers("path")
        switch outcome {
        case .exported(let folder, let sha256, let pages):
            members += [("status", .string("exported"))] + folder.jsonMembers("folder")
            members += [("sha256", .string(sha256)), ("pages", Self.json(pages))]
        case .blocked(let reason): members += [("status", .string("blocked")), ("reason", .string(reason))]
        case .unreadable(let reason): members += [("status", .string("unreadable")), ("reason", .string(reason))]
        case .ignored(let reason): members += [("status", .string("ignored")), ("reason", .string(reason))]
        }
        try file.write((isFirst ? [] : Array(",\n".utf8)) + JSONText.object(members).bytes)
        isFirst = false
    }

    /// Adds the counts and puts the list in its place.
    func finish(_ report: ExportReport) throws(ExportError) {
        let counts = JSONText.object([
            ("exported", .int(report.written + report.unchanged)), ("blocked", .int(report.blocked.count)),
            ("unreadable", .int(report.unreadable.count)), ("ignored", .int(report.ignored.count)),
            ("pages", Self.json(report.pages)),
        ])
        try file.write(Array("\n],\n\"counts\": ".utf8) + counts.bytes + Array("}\n".utf8))
        _ = try file.finish()
        try FolderContents.rename(new, path)
    }

    private static func json(_ pages: ExportedPages) -> JSONText {
        .object([
            ("total", .int(pages.total)), ("done", .int(pages.done)), ("blank", .int(pages.blank)),
            ("failed", .int(pages.failed)), ("quarantined", .int(pages.quarantined)), ("pending", .int(pages.pending)),
            ("cutOff", .int(pages.cutOff)),
        ])
    }

    private struct Source: Decodable, Equatable {
        var root: String
        var path: String
        var pathHex: String?
    }

    private struct Head: Decodable {
        var source: Source
    }

    private static func source(of batch: Batch) -> Source {
        let path = batch.source.path
        return Source(root: batch.source.root, path: path.displayText, pathHex: path.hexWhereNeeded)
    }

    private static func source(of list: FilePath) -> Source? {
        FolderContents.read(list).flatMap { try? JSONDecoder().decode(Head.self, from: Data($0)).source }
    }
}
