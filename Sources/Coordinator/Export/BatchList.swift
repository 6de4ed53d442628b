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
        case gone(reason: String)
        /// A document that is not in the batch any more; nil where its folder was removed.
        case left(folder: FilePath, reason: String?)
    }

    private let batch: Batch
    private let folder: FilePath
    private let path: FilePath
    private let new: FilePath
    private let file: OutputFile
    private var isFirst = true

    /// Starts the list.
    init(_ batch: Batch, in folder: FilePath) throws(ExportError) {
        self.batch = batch
        self.folder = folder
        path = folder.appending(ExportNaming.batchFile)
        new = ExportNaming.temporaryNames(for: path).new
        try FolderContents.removeTree(new)
        file = try OutputFile(new)
        let pipeline = batch.pipeline
        let head: [(String, JSONText)] = [
            ("schema", .string(BatchHead.currentSchema)), ("batch", .string(batch.name)),
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

    /// `notes` are those on the document and its pages.
    mutating func add(
        _ location: SourceLocation, _ outcome: Outcome, notes: NoteTally = NoteTally()
    ) throws(ExportError) {
        var members: [(String, JSONText)] = [("root", .string(location.root))] + location.path.jsonMembers("path")
        switch outcome {
        case .exported(let folder, let sha256, let pages):
            members += [("status", .string("exported"))] + folder.jsonMembers("folder")
            members += [("sha256", .string(sha256)), ("pages", Self.json(pages))]
            if !notes.isEmpty { members.append(("notes", notes.json)) }
        case .blocked(let reason): members += [("status", .string("blocked")), ("reason", .string(reason))]
        case .unreadable(let reason): members += [("status", .string("unreadable")), ("reason", .string(reason))]
        case .ignored(let reason): members += [("status", .string("ignored")), ("reason", .string(reason))]
        case .gone(let reason): members += [("status", .string("gone")), ("reason", .string(reason))]
        case .left(let folder, let reason):
            members += [("status", .string("left"))] + folder.jsonMembers("folder")
            members += [reason.map { ("reason", .string($0)) } ?? ("removed", .bool(true))]
        }
        try file.write((isFirst ? [] : Array(",\n".utf8)) + JSONText.object(members).bytes)
        isFirst = false
    }

    /// Adds the counts and puts the list in its place, on the disk.
    func finish(_ report: ExportReport) throws(ExportError) {
        let counts = JSONText.object([
            ("exported", .int(report.written + report.unchanged)), ("blocked", .int(report.blocked.count)),
            ("unreadable", .int(report.unreadable.count)), ("ignored", .int(report.ignored.count)),
            ("gone", .int(report.gone.count)), ("left", .int(report.left.count)), ("pages", Self.json(report.pages)),
            ("notes", report.noted.json),
        ])
        try file.write(Array("\n],\n\"counts\": ".utf8) + counts.bytes + Array("}\n".utf8))
        _ = try file.finish()
        try FolderContents.sync(new)
        try FolderContents.rename(new, path)
        try FolderContents.sync(folder)
    }

    private static func json(_ pages: ExportedPages) -> JSONText {
        .object([
            ("total", .int(pages.total)), ("done", .int(pages.done)), ("blank", .int(pages.blank)),
            ("failed", .int(pages.failed)), ("quarantined", .int(pages.quarantined)),
            ("stranded", .int(pages.stranded)), ("pending", .int(pages.pending)),
            ("cutOff", .int(pages.cutOff)), ("noted", .int(pages.noted)),
        ])
    }
}
