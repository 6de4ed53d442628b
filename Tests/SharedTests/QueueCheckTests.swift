import Shared
import SystemPackage
import Testing

/// Each fault is made by hand, found, and mended.
@Suite struct QueueCheckTests {
    typealias Fixture = QueueFixture

    /// A batch with three documents: one done, one in work, one still to be done; and another one that shares the first.
    private func prepared() async throws -> (fixture: Fixture, batch: Int64, other: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 20)], to: batch)
        try await fixture.finishAll(worker)
        _ = try await fixture.queue.add(
            [
                Fixture.document("archive/b.pdf", content: "b", pages: 20),
                Fixture.document("archive/c.pdf", content: "c", pages: 5),
                Fixture.file("archive/bad.pdf", .unreadable(reason: "It is empty.")),
                Fixture.file("archive/note.txt", .ignored(reason: "It is a text.")),
            ], to: batch)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.done(1), Fixture.failed(2, isPermanent: true), Fixture.failed(3)], lease: lease, worker: worker)
        let other = try await fixture.openBatch("other", folder: "b")
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 20)], to: other)
        return (fixture, batch, other, worker)
    }

    /// The number of `c.pdf`.
    private static let last = "(SELECT document_id FROM quire.batch_file WHERE path = 'archive/c.pdf'::bytea)"
    private static let deleteJobs = "DELETE FROM quire.job WHERE document_id = \(last)"

    /// Statements that do harm, and what is found then.
    private static let harm: [(sql: String, kind: QueueFault.Kind, count: Int)] = [
        (deleteJobs, .unqueued, 5),
        ("DELETE FROM quire.page WHERE page_no = 7", .unqueued, 1),
        (
            """
            INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
            SELECT min(batch_id), \(last), 4, 2 FROM quire.job
            """, .misplacedJobs, 1
        ),
        (
            """
            INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
            SELECT min(batch_id), \(last), 6, 2 FROM quire.job
            """, .misplacedJobs, 1
        ),
        (
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, engine_version, error)
            VALUES (\(last), 6, 'failed', 1, 1, '', 'x')
            """, .beyondLastPage, 1
        ),
        ("UPDATE quire.batch_document SET done = done - 1 WHERE done > 10", .documentCounts, 1),
        ("UPDATE quire.tally SET done = done - 1, complete = 0 WHERE done > 10", .batchCounts, 1),
        ("UPDATE quire.tally SET ignored = 7 WHERE batch_id = (SELECT min(id) FROM quire.batch)", .batchCounts, 1),
        ("UPDATE quire.batch_document SET noted = noted + 1 WHERE done > 10", .documentCounts, 1),
        ("UPDATE quire.tally SET noted = noted + 3 WHERE done > 10", .batchCounts, 1),
        // A note that nobody counted, as by a program of before.
        (
            """
            UPDATE quire.page SET notes = '[{"code": "picture-damaged", "text": "It is torn."}]'
            WHERE page_no = 9 AND state = 'done'
            """, .documentCounts, 1
        ),
        ("UPDATE quire.batch_file SET gone_at = now() WHERE path = 'archive/b.pdf'::bytea", .withoutFile, 1),
        (
            """
            INSERT INTO quire.job (batch_id, document_id, first_page, n_pages)
            SELECT max(id), \(last), 1, 2 FROM quire.batch
            """, .unheldJobs, 1
        ),
        ("INSERT INTO quire.job (batch_id, document_id, first_page, n_pages) VALUES (99, 1, 1, 2)", .orphanJobs, 1),
        ("UPDATE quire.batch SET has_jobs = false WHERE has_jobs", .hiddenJobs, 1),
        ("UPDATE quire.worker SET ended_at = now() - interval '3 min'", .deadLeases, 1),
        (
            """
            UPDATE quire.tally SET fold_error = 'it breaks a rule' WHERE batch_id = (SELECT min(id) FROM quire.batch)
            """, .stuckCounts, 1
        ),
    ]

    @Test func `a queue in order has no fault, in whatever state its pages are`() async throws {
        let (fixture, batch, _, worker) = try await prepared()
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.queue.maintain()
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        let document = try await fixture.number("SELECT min(id) FROM quire.document")
        _ = try await fixture.queue.retry(.page(document: document, page: 3), batch: batch, override: nil)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.queue.setState(.cancelled, batch: batch)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.queue.setState(.paused, batch: batch)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.queue.unregister(worker: worker)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        var looked = 0
        _ = try await QueueCheck(fixture.queue).faults { looked = $0 }
        #expect(looked == 4)
    }

    @Test(arguments: 0..<harm.count)
    func `a fault is found and named, and mended`(number: Int) async throws {
        let (fixture, batch, other, worker) = try await prepared()
        try await fixture.queue.maintain()
        let (sql, kind, count) = Self.harm[number]
        try await fixture.database.query(sql)
        if kind == .misplacedJobs || kind == .unheldJobs {
            try await fixture.database.query("UPDATE quire.batch SET has_jobs = true")
        }
        let faults = try await QueueCheck(fixture.queue).faults()
        let fault = try #require(faults.first { $0.kind == kind }, "\(faults)")
        #expect(fault.count == count, "\(faults)")
        #expect(!fault.text.isEmpty && (fault.batchName == nil || fault.text.contains(fault.batchName ?? "")))

        let done = try await QueueRepair(fixture.queue).mend(faults)
        #expect(!done.isEmpty)
        #expect(try await QueueCheck(fixture.queue).faults() == [], "\(done)")
        for id in [batch, other] {
            #expect(try await fixture.status(id).pages == (try await fixture.countedPages(id)))
        }
        // Everything comes to its end then.
        let last = try await fixture.worker("last", pid: 7)
        try await fixture.queue.reportDead(workers: [worker])
        for _ in 0..<4 {
            try await fixture.passTime()
            try await fixture.finishAll(last)
        }
        for id in [batch, other] { #expect(try await fixture.status(id).isFinished) }
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)
    }

    @Test func `the example of pages that nobody would read is the first of them`() async throws {
        let (fixture, _, _, _) = try await prepared()
        try await fixture.database.query(Self.deleteJobs)
        try await fixture.database.query(
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, engine_version, error)
            VALUES (\(Self.last), 1, 'failed', 1, 1, '', 'x')
            """)
        let faults = try await QueueCheck(fixture.queue).faults()
        #expect(
            faults.first?.text
                == "4 pages of batch archive have neither a result nor a job, so nobody would read them (such as c.pdf:2)"
        )
    }

    @Test func `changes of counts that cannot be added are replaced by counts made anew`() async throws {
        let (fixture, batch, _, _) = try await prepared()
        try await fixture.queue.maintain()
        try await fixture.database.query(
            "INSERT INTO quire.tally_delta (batch_id, document_id, done) SELECT $1, min(id), -30 FROM quire.document",
            [.int(batch)])
        try await fixture.queue.maintain()
        let faults = try await QueueCheck(fixture.queue).faults()
        #expect(faults.contains { $0.kind == .stuckCounts }, "\(faults)")
        _ = try await QueueRepair(fixture.queue).mend(faults)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.queue.maintain()
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
        #expect(try await fixture.number("SELECT count(*) FROM quire.tally_delta") == 0)
    }

    @Test func `jobs and pages are mended while workers work`() async throws {
        let (fixture, batch, _, worker) = try await prepared()
        _ = try await fixture.queue.add(
            (0..<60).map { Fixture.document(FilePath("archive/x\($0)"), content: "x\($0)", pages: 4) }, to: batch)
        try await fixture.database.query("DELETE FROM quire.job WHERE state = 'ready' AND id % 3 = 0")
        let queue = fixture.another()
        async let work: Void = fixture.finishAll(worker)
        for _ in 0..<3 {
            _ = try await QueueRepair(queue).mend(try await QueueCheck(queue).faults())
        }
        try await work
        try await fixture.passTime()
        try await fixture.finishAll(worker)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
    }
}
