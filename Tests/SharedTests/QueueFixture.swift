import Digest
import Shared
import SystemPackage
import TestSupport

/// A queue of its own for one test, with what tests put into it.
struct QueueFixture {
    let connectionString: String
    let database: Database
    let queue: PageQueue

    static let model = String(repeating: "ab", count: 32)

    /// After which a page that failed is due for the first time: no page is due by itself, however slow the machine is.
    static let retrySeconds = 300.0

    init() async throws {
        self.init(connectionString: try await TestPostgres.shared.makeDatabase())
    }

    /// Over a database that has the schema.
    init(connectionString: String) {
        self.connectionString = connectionString
        database = Database(connectionString: connectionString)
        queue = PageQueue(database: database)
    }

    /// A queue over another connection, as another process has it.
    func another() -> PageQueue { PageQueue(database: Database(connectionString: connectionString)) }

    static func pipeline(mode: String = "base") -> Pipeline {
        Pipeline(modelDigest: model, mode: mode, prompt: "<image>\nFree OCR.", maxNewTokens: 512)
    }

    static func folder(_ path: FilePath = "archive") -> SourceLocation { SourceLocation(root: "home", path: path) }

    static func digest(_ content: String) -> SHA256Digest { SHA256.hash(Array(content.utf8)) }

    /// A PDF of which only the content's name matters.
    static func document(
        _ path: FilePath, content: String, pages: Int, stamp: Int64 = 1
    ) -> ScannedFile {
        ScannedFile(
            location: SourceLocation(root: "home", path: path),
            stamp: FileStamp(size: Int64(content.utf8.count), modifiedNanoseconds: stamp),
            finding: .document(sha256: digest(content), format: .pdf, pageCount: pages))
    }

    static func file(_ path: FilePath, _ finding: ScannedFile.Finding) -> ScannedFile {
        ScannedFile(
            location: SourceLocation(root: "home", path: path), stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
            finding: finding)
    }

    func openBatch(
        _ name: String? = nil, folder: FilePath = "archive", mode: String = "base", priority: Int = 0
    ) async throws -> Int64 {
        let batch = try await queue.openBatch(
            name: name, source: Self.folder(folder), pipeline: Self.pipeline(mode: mode), priority: priority
        ).batch.id
        try await database.query(
            "UPDATE quire.batch SET retry_seconds = $2 WHERE id = $1", [.int(batch), .double(Self.retrySeconds)])
        return batch
    }

    func worker(_ name: String = "w1", pid: Int32 = 100) async throws -> Int64 {
        let worker = try await queue.register(
            WorkerIdentity(
                name: name, host: "here", bootID: "boot", pid: pid, processStartTicks: 5, device: "cpu (2 threads)",
                version: QuireVersion.current, modelDigest: Self.model))
        // It has no heartbeat, and is not silent however long the test takes.
        try await database.query(
            "UPDATE quire.worker SET seen_at = now() + interval '1 h' WHERE id = $1", [.int(worker)])
        return worker
    }

    func claim(_ worker: Int64, on queue: PageQueue? = nil, seconds: Double = 600) async throws -> Lease? {
        try await (queue ?? self.queue).claim(worker: worker, modelDigest: Self.model, leaseSeconds: seconds)
    }

    /// Waiting jobs become ready now.
    func passTime() async throws {
        try await database.query(
            "UPDATE quire.job SET due = now() - interval '1 s' WHERE state = 'waiting' AND due < 'infinity'")
        try await database.query("UPDATE quire.batch_file SET fault_at = now() - interval '1 d' WHERE fault_count <> 0")
        try await queue.maintain()
    }

    /// The one number that a statement gives.
    func number(_ sql: String, _ parameters: [SQLValue] = []) async throws -> Int64 {
        var rows = try await database.query(sql, parameters)
        return rows.isEmpty ? -1 : try rows[0].int64()
    }

    func status(_ batch: Int64) async throws -> BatchStatus {
        let all = try await queue.status(batch: batch)
        return all[0]
    }

    /// Claims and records everything that is ready, all of it done.
    func finishAll(_ worker: Int64, text: String = "text") async throws {
        while let lease = try await claim(worker) {
            let pages = lease.pages.filter { !lease.recordedElsewhere.contains($0) }
            _ = try await queue.record(
                pages.map { Self.done($0, text) }, alreadyRecorded: lease.recordedElsewhere, lease: lease,
                worker: worker)
        }
    }

    /// What the tally must say, counted anew from the pages and jobs themselves.
    func countedPages(_ batch: Int64) async throws -> BatchStatus.Pages {
        var rows = try await database.query(
            """
            SELECT (SELECT coalesce(sum(page_count), 0) FROM quire.batch_document WHERE batch_id = $1)::bigint,
              count(*) FILTER (WHERE p.state = 'done'), count(*) FILTER (WHERE p.state = 'blank'),
              count(*) FILTER (WHERE p.state = 'failed'), count(*) FILTER (WHERE p.state = 'quarantined'),
              (SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job
                WHERE batch_id = $1 AND (due IS NULL OR due < 'infinity')),
              (SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job WHERE batch_id = $1 AND state = 'leased'),
              (SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job WHERE batch_id = $1 AND due = 'infinity'),
              count(*) FILTER (WHERE p.notes IS NOT NULL)
            FROM quire.page p JOIN quire.batch_document d ON d.document_id = p.document_id AND d.batch_id = $1
            WHERE p.redo_token IS NULL AND NOT EXISTS (SELECT FROM quire.job j WHERE j.batch_id = $1 AND j.document_id = p.document_id
              AND p.page_no BETWEEN j.first_page AND j.first_page + j.n_pages - 1)
            """, [.int(batch)])
        var pages = BatchStatus.Pages()
        pages.total = try rows[0].int()
        pages.done = try rows[0].int()
        pages.blank = try rows[0].int()
        pages.failed = try rows[0].int()
        pages.quarantined = try rows[0].int()
        pages.pending = try rows[0].int()
        pages.leased = try rows[0].int()
        pages.stranded = try rows[0].int()
        pages.noted = try rows[0].int()
        return pages
    }

    static func done(_ page: Int, _ text: String = "text", figures: [Figure] = []) -> PageOutcome {
        PageOutcome(
            page: page,
            result: .recognised(
                RecognisedPage(
                    facts: PageFacts(width: 100, height: 200, dpi: 144, renderSeconds: 0.5), markdown: text,
                    layoutJSON: "[]", rawText: "<raw>\(text)", figures: figures, promptTokens: 10, outputTokens: 20,
                    reachedEnd: true, encodeSeconds: 1, prefillSeconds: 2, decodeSeconds: 3)))
    }

    static func blank(_ page: Int) -> PageOutcome {
        PageOutcome(page: page, result: .blank(PageFacts(width: 10, height: 20, dpi: nil, renderSeconds: 0.25)))
    }

    /// The outcome with a note on it.
    static func noted(_ outcome: PageOutcome, _ code: String = "picture-damaged", _ text: String = "It is torn.")
        -> PageOutcome
    {
        var outcome = outcome
        outcome.notes.append(PageNote(code: code, text: text))
        return outcome
    }

    static func failed(_ page: Int, isPermanent: Bool = false) -> PageOutcome {
        PageOutcome(page: page, result: .failed(reason: "It cannot be read.", isPermanent: isPermanent))
    }
}
