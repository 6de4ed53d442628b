import Shared
import SystemPackage
import Testing

/// Which plans the server uses, those inside of functions included, on a queue of some size.
///
/// The server itself logs them (auto_explain) and the test reads its log, so they are the plans of the very calls.
@Suite struct QueryPlanTests {
    typealias Fixture = QueueFixture

    /// With 2,000 jobs in 1,000 documents, of which some are done, some leased and some waiting.
    private struct Watched {
        let fixture: Fixture
        /// Over the connection whose plans are logged.
        let queue: PageQueue
        let log: PlanLog
        let batch: Int64
        let worker: Int64

        init() async throws {
            fixture = try await Fixture()
            batch = try await fixture.openBatch()
            _ = try await fixture.queue.add(QueryPlanTests.files, to: batch)
            worker = try await fixture.worker()
            for _ in 0..<30 {
                let lease = try await #require(fixture.claim(worker))
                let outcomes = lease.pages.map { $0 == 3 ? Fixture.failed($0) : Fixture.done($0) }
                _ = try await fixture.queue.record(outcomes, lease: lease, worker: worker)
                _ = try await fixture.claim(worker)
            }
            try await fixture.database.query("VACUUM ANALYZE")
            queue = fixture.another()
            log = try await PlanLog(of: queue, reader: fixture.database)
        }

        func plans(_ body: (PageQueue) async throws -> Void) async throws -> [String] {
            try await log.plans { try await body(queue) }
        }
    }

    private static let files = (0..<1000).map {
        Fixture.document(FilePath("archive/\($0)"), content: "\($0)", pages: 20)
    }

    /// The lines that read a table, without what surrounds them.
    private static func scans(_ plans: [String]) -> [String] {
        let lines = plans.joined(separator: "\n").split(separator: "\n")
        return lines.filter { $0.contains("Scan") }.map { line in
            let start = line.firstIndex { $0.isLetter } ?? line.startIndex
            return String(line[start...].prefix { $0 != "(" })
        }
    }

    private static func isEntered(_ table: String, _ plans: [String]) -> Bool {
        plans.contains { $0.contains("Insert on \(table)") }
    }

    /// What would read a table that grows with the archive as a whole.
    private static func wholesale(_ plans: [String]) -> [String] {
        let tables = [
            "job", "page", "page_history", "page_figure", "attempt", "document", "batch_document", "batch_file",
        ]
        return scans(plans).filter { scan in
            guard scan.contains("Seq Scan") || scan.contains("Bitmap Heap Scan") else { return false }
            return tables.contains { scan.contains(" on \($0)") }
        }
    }

    @Test func `a claim reads the first entry of the index of ready jobs`() async throws {
        let watched = try await Watched()
        let plans = try await watched.plans { queue in
            for _ in 0..<8 { _ = try await watched.fixture.claim(watched.worker, on: queue) }
        }
        let text = plans.joined(separator: "\n")
        #expect(Self.wholesale(plans).isEmpty, "\(text)")
        let claims = plans.filter { $0.contains("LockRows") }
        #expect(claims.count == 8, "\(text)")
        for claim in claims {
            #expect(claim.contains("using job_ready on job"), "\(claim)")
            #expect(claim.contains("using job_pkey on job"), "\(claim)")
            #expect(!claim.contains("Sort Key: j"), "\(claim)")
            // One batch, one job.
            let reads = claim.split(separator: "\n").filter { $0.contains("using job_ready") }
            #expect(reads.count == 1 && reads[0].contains("rows=1 loops=1"), "\(claim)")
        }
    }

    @Test func `a claim looks no further than the first batch that has a ready job`() async throws {
        let watched = try await Watched()
        let other = try await watched.fixture.openBatch("high", folder: "high", priority: 9)
        _ = try await watched.fixture.queue.add(
            (0..<50).map { Fixture.document(FilePath("high/\($0)"), content: "high\($0)", pages: 1) }, to: other)
        let plans = try await watched.plans { queue in
            let lease = try await watched.fixture.claim(watched.worker, on: queue)
            #expect(lease?.batchID == other)
        }
        let claims = plans.filter { $0.contains("LockRows") }
        #expect(claims.count == 1)
        let reads = claims.joined().split(separator: "\n").filter { $0.contains("using job_ready on job") }
        #expect(reads.count == 1 && reads.allSatisfy { $0.contains("rows=1 loops=1") }, "\(reads)")
    }

    @Test func `recording goes by primary keys`() async throws {
        let watched = try await Watched()
        let lease = try await #require(watched.fixture.claim(watched.worker, on: watched.queue))
        let plans = try await watched.plans { queue in
            for page in lease.pages {
                let outcome = page == 2 ? Fixture.failed(page) : Fixture.done(page)
                _ = try await queue.record([outcome], lease: lease, worker: watched.worker)
            }
            _ = try await queue.record([], lease: lease, worker: watched.worker)
        }
        let text = plans.joined(separator: "\n")
        #expect(Self.wholesale(plans).isEmpty, "\(text)")
        #expect(Self.isEntered("page", plans) && Self.isEntered("attempt", plans), "\(text)")
        #expect(Self.isEntered("tally_delta", plans), "\(text)")
        let scans = Set(Self.scans(plans).filter { $0.contains(" on job") || $0.contains(" on page") })
        let others = scans.filter { !$0.contains("job_stranded") }
        #expect(others.allSatisfy { $0.contains("job_pkey") || $0.contains("page_pkey") }, "\(scans)")
        // Whether a job is stranded is read from an index of nothing else.
        let stranded = text.split(separator: "\n").filter { $0.contains("using job_stranded") }
        #expect(!stranded.isEmpty && stranded.allSatisfy { $0.contains("rows=0 loops=1") }, "\(stranded)")
    }

    @Test func `pages that another batch has recorded are counted by primary key`() async throws {
        let watched = try await Watched()
        let lease = try await #require(watched.fixture.claim(watched.worker, on: watched.queue))
        try await watched.fixture.database.query(
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, engine_version, error)
            VALUES ($1, $2, 'failed', 1, 0, '', 'x')
            """, [.int(lease.documentID), .int(lease.pages.lowerBound)])
        let plans = try await watched.plans { queue in
            _ = try await queue.record(
                lease.pages.map { Fixture.done($0) }, lease: lease, worker: watched.worker)
        }
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
        #expect(Self.scans(plans).contains { $0.contains("using page_pkey on page") }, "\(plans)")
        #expect(try await watched.fixture.status(watched.batch).pages.failed == 1)
    }

    @Test func `status reads counts and leases, not the queue`() async throws {
        let watched = try await Watched()
        let plans = try await watched.plans { queue in _ = try await queue.status(batch: nil) }
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
        let jobs = Set(Self.scans(plans).filter { $0.contains(" on job") })
        #expect(jobs.count == 1 && jobs.allSatisfy { $0.contains("job_leased") }, "\(jobs)")
        #expect(!Self.scans(plans).contains { $0.contains(" on page") }, "\(plans)")
        #expect(Self.scans(plans).contains { $0.contains(" on tally") }, "\(plans)")
    }

    @Test func `problems are grouped by the latest, whatever the number of results`() async throws {
        let watched = try await Watched()
        _ = try await watched.fixture.queue.add(
            [Fixture.file("archive/empty.pdf", .unreadable(reason: "It is empty."))], to: watched.batch)
        for batch in [nil, watched.batch] {
            let plans = try await watched.plans { queue in
                let groups = try await queue.problemGroups(batch: batch, limit: 10)
                #expect(groups.map(\.reason).contains("It is empty."))
            }
            let text = plans.joined(separator: "\n")
            #expect(Self.wholesale(plans).isEmpty, "\(text)")
            let pages = Set(Self.scans(plans).filter { $0.contains(" on page ") })
            #expect(
                pages.count == 1 && pages.allSatisfy { $0.contains("Backward using page_problem_time") }, "\(pages)")
            #expect(text.contains("using batch_file_unreadable on batch_file"), "\(text)")
        }
    }

    @Test func `notes are grouped by the latest, whatever the number of results`() async throws {
        let watched = try await Watched()
        let lease = try await #require(watched.fixture.claim(watched.worker))
        _ = try await watched.fixture.queue.record(
            lease.pages.map { Fixture.noted(Fixture.done($0)) }, lease: lease, worker: watched.worker)
        for batch in [nil, watched.batch] {
            let plans = try await watched.plans { queue in
                let groups = try await queue.noteGroups(batch: batch)
                #expect(groups.map(\.pages) == [lease.pages.count])
            }
            let text = plans.joined(separator: "\n")
            #expect(Self.wholesale(plans).isEmpty, "\(text)")
            let pages = Set(Self.scans(plans).filter { $0.contains(" on page ") })
            #expect(pages.count == 1 && pages.allSatisfy { $0.contains("using page_noted") }, "\(pages)")
            let documents = Set(Self.scans(plans).filter { $0.contains(" on document ") })
            #expect(documents.allSatisfy { $0.contains("using document_noted") }, "\(documents)")
        }
    }

    @Test func `why a batch waits is read from one entry`() async throws {
        let watched = try await Watched()
        let plans = try await watched.plans { queue in
            let waits = try await queue.waits(batch: nil)
            #expect(waits.map(\.hasReady) == [true])
        }
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
        let reads = plans.joined().split(separator: "\n").filter { $0.contains("using job_ready on job") }
        #expect(
            !reads.isEmpty && reads.allSatisfy { $0.contains("rows=1 loops=1") || $0.contains("never") }, "\(reads)")

        try await watched.fixture.database.query(
            "UPDATE quire.job SET state = 'waiting', due = now() + interval '1 h' WHERE state = 'ready'")
        let waiting = try await watched.plans { queue in
            let wait = try await queue.waits(batch: watched.batch)
            #expect(wait.map(\.hasReady) == [false] && wait[0].due != nil)
        }
        #expect(Self.wholesale(waiting).isEmpty, "\(waiting)")
        let due = waiting.joined().split(separator: "\n").filter { $0.contains("using job_waiting on job") }
        // When it is due, and whether it waits for its file.
        #expect(due.count == 2 && due.allSatisfy { $0.contains("rows=1 loops=1") }, "\(due)")
    }

    @Test func `a page's attempts and a worker's go by their indexes`() async throws {
        let watched = try await Watched()
        // Of a ledger of one block, all would be read whatever the indexes.
        try await watched.fixture.database.query(
            """
            INSERT INTO quire.attempt (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at,
              outcome)
            SELECT -n, $1, 1000000 + n, 1, 16, 1, 1000000 + n, now(), 'done' FROM generate_series(1, 5000) n
            """, [.int(watched.batch)])
        try await watched.fixture.database.query("ANALYZE quire.attempt")
        let document = try await watched.fixture.number("SELECT min(document_id) FROM quire.attempt")
        let plans = try await watched.plans { queue in
            let report = try await queue.report(document: document, page: 3)
            #expect(!report.attempts.isEmpty)
        }
        let text = plans.joined(separator: "\n")
        #expect(text.contains("attempt_document"), "\(text)")
        #expect(!Self.scans(plans).contains { $0.contains("Seq Scan on job") || $0.contains("Seq Scan on page ") })
    }

    @Test func `keeping house reads what is due`() async throws {
        let watched = try await Watched()
        try await watched.fixture.database.query(
            "UPDATE quire.job SET due = now() - interval '1 s' WHERE state <> 'ready' AND id % 2 = 0")
        let plans = try await watched.plans { queue in try await queue.maintain() }
        let text = plans.joined(separator: "\n")
        #expect(Self.wholesale(plans).isEmpty, "\(text)")
        #expect(text.contains("using job_waiting on job"), "\(text)")
        #expect(text.contains("using job_leased on job"), "\(text)")
        // From where claims begin, not over all that is ready.
        let ready = text.split(separator: "\n")
        #expect(ready.contains { $0.contains("Index Cond: ((batch_id = ") && $0.contains("(id >= ") }, "\(text)")
    }

    @Test func `a heartbeat reads the worker's own leases`() async throws {
        let watched = try await Watched()
        let lease = try await #require(watched.fixture.claim(watched.worker, on: watched.queue))
        let plans = try await watched.plans { queue in
            _ = try await queue.heartbeat(worker: watched.worker, tokens: [lease.token])
        }
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
        #expect(Self.scans(plans).contains { $0.contains("job_leased") }, "\(plans)")
    }

    @Test func `a file's fault, and what follows from it, go by indexes`() async throws {
        let watched = try await Watched()
        let fixture = watched.fixture
        try await fixture.database.query("UPDATE quire.batch SET max_attempts = 1")
        let lease = try await #require(fixture.claim(watched.worker, on: watched.queue))
        let plans = try await watched.plans { queue in
            let witnesses = try await queue.witnesses(for: lease, limit: 20)
            #expect(witnesses.count == 20)
            let receipt = try await queue.report(fileFault: "x", lease: lease, worker: watched.worker)
            #expect(receipt == .stranded)
            // The next range of the document is stranded by the claim that finds no file for it.
            _ = try await fixture.claim(watched.worker, on: queue)
            let groups = try await queue.problemGroups(batch: watched.batch, limit: 10)
            #expect(groups.contains { $0.reason == "x" })
        }
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
        #expect(plans.joined().contains("using batch_file_document on batch_file"), "\(plans)")
        let freed = try await watched.plans { queue in
            let count = try await fixture.number("SELECT 1")
            _ = try await queue.database.query("SELECT quire.free_stranded($1)", [.ints([lease.documentID])])
            #expect(count == 1)
        }
        #expect(Self.wholesale(freed).isEmpty, "\(freed)")
        let reads = freed.joined().split(separator: "\n")
        #expect(reads.contains { $0.contains("using job_stranded on job") }, "\(freed)")
        #expect(reads.contains { $0.contains("Index Cond: (document_id = d.id)") }, "\(freed)")
    }

    @Test func `a session that began with an empty queue uses the indexes of a full one`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        let queue = fixture.another()
        // Plans are made now, when the tables are empty and nothing is known of them.
        for number in 0..<10 {
            _ = try await fixture.queue.add(
                [Fixture.document(FilePath("archive/x\(number)"), content: "x\(number)", pages: 1)], to: batch)
            _ = try await queue.maintain()
            guard let lease = try await fixture.claim(worker, on: queue) else { continue }
            _ = try await queue.record([Fixture.done(1)], lease: lease, worker: worker)
        }
        _ = try await fixture.queue.add(Self.files, to: batch)
        let log = try await PlanLog(of: queue, reader: fixture.database)
        let plans = try await log.plans {
            for _ in 0..<10 {
                let lease = try await #require(fixture.claim(worker, on: queue))
                _ = try await queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
                try await queue.maintain()
            }
        }
        #expect(plans.contains { $0.contains("LockRows") })
        #expect(Self.wholesale(plans).isEmpty, "\(plans)")
    }
}

/// What one connection's server process logs of the plans it uses.
private struct PlanLog {
    private let reader: Database
    private let process: Int64

    /// Makes the server log all plans of the queue's connection.
    init(of queue: PageQueue, reader: Database) async throws {
        self.reader = reader
        try await queue.database.query("LOAD 'auto_explain'")
        for setting in ["log_min_duration = 0", "log_nested_statements = on", "log_analyze = on"] {
            try await queue.database.query("SET auto_explain.\(setting)")
        }
        var rows = try await queue.database.query("SELECT pg_backend_pid()")
        process = try rows[0].int64()
    }

    /// The plans of the statements in `body`, those inside of functions included.
    func plans(_ body: () async throws -> Void) async throws -> [String] {
        let size = try await text().utf8.count
        try await body()
        let added = String(decoding: Array(try await text().utf8.dropFirst(size)), as: UTF8.self)
        // Each entry begins with a time and the process in brackets; its other lines begin with a tab.
        var entries: [String] = []
        var isOwn = false
        for line in added.split(separator: "\n") {
            if line.hasPrefix("\t") {
                if isOwn { entries[entries.count - 1] += "\n" + line }
            } else {
                isOwn = line.contains("[\(process)]") && line.contains("plan:")
                if isOwn { entries.append(String(line)) }
            }
        }
        return entries
    }

    private func text() async throws -> String {
        var rows = try await reader.query(
            "SELECT pg_read_file(current_setting('data_directory') || '/../postgres.log')")
        return try rows[0].text()
    }
}
