import Claiming
import Digest
import Shared
import SystemPackage
import TestSupport

/// A queue of its own for one test, with one batch of documents and one worker.
struct WorkerFixture {
    let database: Database
    let queue: PageQueue
    let batch: Int64
    let heartbeat: LeaseHeartbeat

    private static let model = String(repeating: "ab", count: 32)
    static let identity = WorkerIdentity(
        name: "w1", host: "here", bootID: "boot", pid: 100, processStartTicks: 5, device: "cpu (2 threads, int8)",
        version: QuireVersion.current, modelDigest: model)

    /// `pages` says how many each document has.
    init(pages: Int...) async throws {
        database = Database(connectionString: try await TestPostgres.shared.makeDatabase())
        queue = PageQueue(database: database)
        batch = try await queue.openBatch(
            name: nil, source: SourceLocation(root: "home", path: "archive"),
            pipeline: Pipeline(
                modelDigest: Self.model, mode: "base", prompt: "<image>\nFree OCR.", maxNewTokens: 512),
            priority: 0
        ).batch.id
        let files = pages.enumerated().map { index, count in
            ScannedFile(
                location: SourceLocation(root: "home", path: FilePath("archive/\(index).pdf")),
                stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
                finding: .document(
                    sha256: SHA256.hash(Array("document \(index)".utf8)), format: .pdf, pageCount: count))
        }
        _ = try await queue.add(files, to: batch)
        heartbeat = LeaseHeartbeat(worker: try await queue.register(Self.identity))
        // It is not silent however long the test takes.
        try await database.query("UPDATE quire.worker SET seen_at = now() + interval '1 h'")
    }

    /// Claims the next range, as the claim loop does.
    func claim() async throws -> LeaseWork? {
        let lease = try await queue.claim(
            worker: heartbeat.workerID, modelDigest: Self.model, leaseSeconds: 600)
        guard let lease else { return nil }
        heartbeat.claimed(0, token: lease.token)
        return LeaseWork(lease, queue: queue, heartbeat: heartbeat)
    }

    /// The lease ends as lost and goes to another worker, as after a long silence; returns that worker.
    func takeAway(_ lease: Lease) async throws -> Int64 {
        var other = Self.identity
        other.name = "w2"
        let worker = try await queue.register(other)
        try await database.query(
            """
            UPDATE quire.job SET worker_id = $2, token = nextval('quire.lease_token')
            WHERE token = $1
            """, [.int(lease.token), .int(worker)])
        return worker
    }

    /// Pages of a lease's document that have a result.
    func stored(_ lease: Lease) async throws -> [Int] {
        try await queue.pages(document: lease.documentID, from: 1, limit: 1000).map(\.page).sorted()
    }

    func status() async throws -> BatchStatus {
        try await queue.maintain()
        return try await queue.status(batch: batch)[0]
    }

    /// The one number that a statement gives.
    func number(_ sql: String) async throws -> Int {
        var rows = try await database.query(sql)
        return rows.isEmpty ? -1 : try rows[0].int()
    }

    static func blank(_ page: Int) -> PageOutcome {
        PageOutcome(page: page, result: .blank(PageFacts(width: 10, height: 20, dpi: nil, renderSeconds: 0.25)))
    }
}
