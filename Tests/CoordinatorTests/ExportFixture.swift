import Coordinator
import Digest
import Foundation
import Shared
import SystemPackage
import TestSupport

/// A batch of its own for one test, with results and a folder to export to.
struct ExportFixture {
    let connectionString: String
    let database: Database
    let queue: PageQueue
    let batch: Batch
    let scratch: TemporaryDirectory
    private let worker: Int64

    static let model = String(repeating: "cd", count: 32)

    init(folder: FilePath = "home/archive", maxNewTokens: Int = 512) async throws {
        connectionString = try await TestPostgres.shared.makeDatabase()
        database = Database(connectionString: connectionString)
        queue = PageQueue(database: database)
        let pipeline = Pipeline(
            modelDigest: Self.model, mode: "tiny", prompt: "<image>\nFree OCR.", maxNewTokens: maxNewTokens)
        batch = try await queue.openBatch(
            name: "archive", source: SourceLocation(root: "local", path: folder), pipeline: pipeline, priority: 0
        ).batch
        scratch = try TemporaryDirectory(prefix: "quire-export-test")
        worker = try await queue.register(
            WorkerIdentity(
                name: "w1", host: "here", bootID: "boot", pid: 100, processStartTicks: 5, device: "cpu (2 threads)",
                version: QuireVersion.current, modelDigest: Self.model))
        // It is not silent however long the test takes.
        try await database.query("UPDATE quire.worker SET seen_at = now() + interval '1 h'")
    }

    /// The export folder; not there before the first export.
    var out: FilePath { scratch.path.appending("out") }

    func add(_ path: FilePath, pages: Int, content: String? = nil) async throws {
        let digest = SHA256.hash(content.map { Array($0.utf8) } ?? path.bytes)
        try await add(path, .document(sha256: digest, format: .pdf, pageCount: pages))
    }

    func add(_ path: FilePath, _ finding: ScannedFile.Finding) async throws {
        let file = ScannedFile(
            location: SourceLocation(root: "local", path: path), stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
            finding: finding)
        _ = try await queue.add([file], to: batch.id)
    }

    /// Records every page that is ready, as `result` says; pages for which it says nothing stay unsettled.
    func record(by other: Int64? = nil, _ result: (Int) -> PageOutcome.Result?) async throws {
        let worker = other ?? worker
        while let lease = try await queue.claim(worker: worker, modelDigest: Self.model, leaseSeconds: 600) {
            let outcomes = lease.pages.map { page in result(page).map { PageOutcome(page: page, result: $0) } }
            let settled = outcomes.prefix { $0 != nil }.compactMap { $0 }
            if !settled.isEmpty { _ = try await queue.record(settled, lease: lease, worker: worker) }
            if settled.count < outcomes.count { return }
        }
    }

    /// A second worker.
    func another(
        host: String = "there", model: String = model, version: String = QuireVersion.current, roots: [String]? = nil
    ) async throws -> Int64 {
        try await queue.register(
            WorkerIdentity(
                name: "w2", host: host, bootID: "boot2", pid: 200, processStartTicks: 5, device: "cpu (2 threads)",
                version: version, modelDigest: model, roots: roots, engineVersion: version))
    }

    func export(
        _ formats: Set<ExportFormat> = Set(ExportFormat.allCases), isRaw: Bool = false
    ) async throws -> ExportReport {
        try await Exporter(queue: queue, batch: batch, directory: out, formats: formats, isRaw: isRaw).export()
    }

    /// Takes a file out of the batch, as if it had never been submitted.
    func remove(_ path: FilePath) async throws {
        try await database.query("DELETE FROM quire.batch_file WHERE path = $1", [.bytes(path.bytes)])
    }

    /// The entries of `batch.json`.
    func listed() throws -> [[String: Any]] { try json("batch.json")["files"] as? [[String: Any]] ?? [] }

    static func text(
        _ markdown: String, layout: String = "[]", figures: [Figure] = [], reachedEnd: Bool = true
    ) -> PageOutcome.Result {
        .recognised(
            RecognisedPage(
                facts: PageFacts(width: 512, height: 724, dpi: 144, renderSeconds: 0.5), markdown: markdown,
                layoutJSON: layout, rawText: markdown, figures: figures, promptTokens: 10, outputTokens: 20,
                reachedEnd: reachedEnd, encodeSeconds: 1.25, prefillSeconds: 2, decodeSeconds: 3))
    }

    static let blank = PageOutcome.Result.blank(PageFacts(width: 10, height: 20, dpi: nil, renderSeconds: 0.25))

    // MARK: Files

    func bytes(_ path: FilePath) -> [UInt8]? { Self.read(out.appending(path.components)) }

    func string(_ path: FilePath) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    /// An object of JSON, as Foundation reads it.
    func json(_ path: FilePath) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(bytes(path) ?? []))
        return value as? [String: Any] ?? [:]
    }

    func write(_ text: String, to path: FilePath) throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        _ = try file.closeAfter { try file.writeAll(text.utf8) }
    }

    /// All names below the export folder, folders with a slash, in order.
    func names() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: out.string).sorted()
    }

    /// What only an export at work has in the folder.
    func leftovers() throws -> [String] {
        try names().filter { $0.contains(".quire-") && ($0.hasSuffix(".new") || $0.hasSuffix(".old")) }
    }

    private static func read(_ path: FilePath) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, .readOnly) else { return nil }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while let count = try? buffer.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            bytes += buffer.prefix(count)
        }
        return bytes
    }
}
