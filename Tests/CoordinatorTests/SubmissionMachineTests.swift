import Coordinator
import Glibc
import Rendering
import Shared
import SystemPackage
import TestSupport
import Testing

/// A machine that cannot look into files says nothing about them.
@Suite struct SubmissionMachineTests {
    private let scratch: TemporaryDirectory
    private let database: Database
    private let queue: PageQueue
    private let batch: Batch
    private let png: [UInt8]
    /// What is started as `quire-render`.
    private var program: FilePath { scratch.path.appending("quire-render") }

    init() async throws {
        scratch = try TemporaryDirectory(prefix: "quire-machine")
        png = try ImageFixture.bytes("rgb8.png")
        try scratch.makeFolder("archive")
        for number in 1...3 { try scratch.makeFile("archive/\(number).png", png + [UInt8(number)]) }
        try scratch.makeFile("archive/damaged.pdf", Array("%PDF-1.4\nnothing".utf8))
        database = Database(connectionString: try await TestPostgres.shared.makeDatabase())
        queue = PageQueue(database: database)
        batch = try await queue.openBatch(
            name: "archive", source: SourceLocation(root: "local", path: "archive"),
            pipeline: Pipeline(
                modelDigest: ExportFixture.model, mode: "tiny", prompt: "<image>\nFree OCR.", maxNewTokens: 512),
            priority: 0
        ).batch
    }

    private static let patience = Array(repeating: Duration.milliseconds(100), count: 300)

    private func submit(pauses: [Duration] = []) async throws -> Submission.Report {
        let source = DocumentSource(renderer: PageRenderer(executable: program), pauses: pauses)
        return try await Submission(queue: queue, batch: batch, root: scratch.path, source: source)
            .add([scratch.path.appending("archive")]) { _ in }
    }

    private func install(_ script: String) throws {
        try scratch.makeFile("quire-render", Array("#!/bin/sh\n\(script)\n".utf8))
        #expect(program.withPlatformString { chmod($0, 0o700) } == 0)
    }

    private func installTrue() throws {
        try install("exec \(try PageRenderer.besideThisProgram().executable) \"$@\"")
    }

    @Test(arguments: [nil, "echo nonsense", "exit 1"])
    func `a renderer that is missing or broken ends the submission, and no file is recorded`(
        script: String?
    ) async throws {
        if let script { try install(script) }
        await #expect(throws: RenderError.self) { try await submit() }
        #expect(try await queue.status(batch: batch.id).first?.documents.total == 0)
        let rows = try await database.query("SELECT FROM quire.batch_file")
        #expect(rows.isEmpty)

        try installTrue()
        let report = try await submit(pauses: Self.patience)
        #expect(report.unreadable.map(\.path.lastComponent?.string) == ["damaged.pdf"])
        let status = try #require(try await queue.status(batch: batch.id).first)
        #expect(status.documents.unreadable == 1 && status.pages.total == 3)
        await database.close()
    }

    @Test func `what is known of files stays when they are looked into again without a renderer`() async throws {
        try installTrue()
        _ = try await submit(pauses: Self.patience)
        let digests = """
            SELECT string_agg(encode(path, 'hex') || kind || coalesce(reason, ''), ' ' ORDER BY path)
            FROM quire.batch_file
            """
        var before = try await database.query(digests)
        try install("exit 1")
        try scratch.makeFile("archive/1.png", png + [9])
        await #expect(throws: RenderError.self) { try await submit() }
        var after = try await database.query(digests)
        #expect(try before[0].text() == after[0].text())
        await database.close()
    }

    @Test func `a renderer that is away for a moment is waited for`() async throws {
        let coming = Task {
            try await Task.sleep(for: .milliseconds(400))
            try installTrue()
        }
        let report = try await submit(pauses: Self.patience)
        try await coming.value
        #expect(report.unreadable.map(\.path.lastComponent?.string) == ["damaged.pdf"])
        #expect(try await queue.status(batch: batch.id).first?.pages.total == 3)
        await database.close()
    }

    @Test func `a document whose inspection is killed stays what it was`() async throws {
        try installTrue()
        _ = try await submit(pauses: Self.patience)
        try install("kill -9 $$")
        try scratch.makeFile("archive/1.png", png + [1])
        let report = try await submit(pauses: [.milliseconds(10)])
        // The others are looked into again where they were written just before.
        #expect(report.unreadable.contains { $0.path.lastComponent?.string == "1.png" })
        #expect(report.unreadable.allSatisfy { $0.reason.contains("killed") })
        let status = try #require(try await queue.status(batch: batch.id).first)
        #expect(status.pages.total == 3, "the file is rewritten, and what it held is not known to be gone")
        await database.close()
    }
}
