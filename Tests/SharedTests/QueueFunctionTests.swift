import Migrations
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct QueueFunctionTests {
    typealias Fixture = QueueFixture

    @Test func `a queue that an older program filled goes on after the migration`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let fixture = Fixture(connectionString: text)
        _ = try await Migrator(database: fixture.database, migrations: Array(allMigrations.prefix(1))).migrate()
        let batch = try await fixture.number(
            """
            WITH pipeline AS (
              INSERT INTO quire.pipeline (model_digest, mode, prompt, max_new_tokens, pdf_dpi, engine_version)
              VALUES ($1, 'base', 'Free OCR.', 512, 144, $2) RETURNING id),
            batch AS (
              INSERT INTO quire.batch (name, source_root, source_path, pipeline_id)
              SELECT 'archive', 'home', 'archive', id FROM pipeline RETURNING id),
            tally AS (INSERT INTO quire.tally (batch_id) SELECT id FROM batch)
            SELECT id FROM batch
            """, [.text(Fixture.model), .text(QuireVersion.current)])
        // As the first schema has it: one range leased with three of its pages recorded, one ready, one waiting.
        let worker = try await fixture.number(
            """
            INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest, seen_at)
            VALUES ('w1', 'here', 'boot', 100, 5, 'cpu', $1, $2, now() + interval '1 h') RETURNING id
            """, [.text(QuireVersion.current), .text(Fixture.model)])
        try await fixture.database.query(
            """
            INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
            SELECT sha256('a'), pipeline_id, 'pdf', 33 FROM quire.batch
            """)
        try await fixture.database.query(
            "INSERT INTO quire.batch_document (batch_id, document_id, page_count) VALUES ($1, 1, 33)", [.int(batch)])
        try await fixture.database.query(
            """
            INSERT INTO quire.batch_file (batch_id, root, path, size, modified_ns, kind, document_id)
            VALUES ($1, 'home', 'archive/a.pdf', 1, 1, 'document', 1)
            """, [.int(batch)])
        try await fixture.database.query(
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, engine_version, error)
            SELECT 1, n, 'failed', 1, 1, '', 'x' FROM generate_series(1, 3) n
            """)
        try await fixture.database.query(
            """
            INSERT INTO quire.tally_delta (batch_id, document_id, documents, pages, failed) VALUES ($1, 1, 1, 33, 3)
            """, [.int(batch)])
        try await fixture.database.query(
            """
            INSERT INTO quire.job (batch_id, document_id, state, first_page, n_pages, attempt, token, worker_id,
              started_at, lease_seconds, lease_first, due)
            VALUES ($1, 1, 'leased', 4, 13, 1, nextval('quire.lease_token'), $2, now(), 60, 1, now() - interval '1 s'),
              ($1, 1, 'ready', 17, 16, 0, NULL, NULL, NULL, NULL, NULL, NULL),
              ($1, 1, 'waiting', 33, 1, 1, NULL, NULL, NULL, NULL, NULL, now() - interval '1 s')
            """, [.int(batch), .int(worker)])
        try await fixture.database.query("UPDATE quire.batch SET has_jobs = true")

        #expect(try await Migrator(database: fixture.database).migrate() == allMigrations.dropFirst().map(\.name))
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
        #expect(try await fixture.status(batch).pages.leased == 13)
        try await fixture.queue.maintain()
        try await fixture.finishAll(worker)
        let status = try await fixture.status(batch)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        #expect(status.pages.done == 30 && status.pages.failed == 3 && status.isFinished)
        #expect(status.documents.withFailures == 1)
    }

    @Test func `counts that nobody has folded are exact, and many are folded`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            (0..<3).map { Fixture.document(FilePath("archive/\($0)"), content: "\($0)", pages: 20) }, to: batch)
        let worker = try await fixture.worker()
        for _ in 0..<4 {
            let lease = try #require(try await fixture.claim(worker))
            _ = try await fixture.queue.record(
                lease.pages.map { $0 == 20 ? Fixture.failed($0, isPermanent: true) : Fixture.done($0) }, lease: lease,
                worker: worker)
            // Folded and fresh counts together, in all mixtures.
            let before = try await fixture.status(batch)
            try await fixture.queue.maintain()
            let after = try await fixture.status(batch)
            #expect(before.pages == after.pages && before.documents == after.documents)
            #expect(after.pages == (try await fixture.countedPages(batch)))
        }
        #expect(try await fixture.status(batch).documents.withFailures == 2)
        try await fixture.database.query(
            "INSERT INTO quire.tally_delta (batch_id) SELECT $1 FROM generate_series(1, 5001)", [.int(batch)])
        _ = try await fixture.status(batch)
        #expect(try await fixture.number("SELECT count(*) FROM quire.tally_delta") == 0)
    }

    @Test func `a claim whose answer was lost is found again by its key`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a", content: "a", pages: 40)], to: batch)
        let worker = try await fixture.worker()
        let other = try await fixture.worker("w2", pid: 2)
        let token = { (worker: Int64, key: Int64, isRepeated: Bool) async throws -> Int64 in
            try await fixture.number(
                "SELECT token FROM quire.claim($1, $2, NULL, 60, $3, $4)",
                [.int(worker), .text(Fixture.model), .int(key), .bool(isRepeated)])
        }
        let first = try await token(worker, 7, false)
        #expect(try await token(worker, 7, true) == first)
        // Another worker's key of the same number, another key, and one whose claim never arrived.
        let second = try await token(other, 7, true)
        #expect(second > first)
        #expect(try await token(worker, 8, true) > second)
        #expect(try await token(worker, 9, true) == -1)
        #expect(try await fixture.status(batch).pages.leased == 40)
    }

    @Test func `a job that comes back before the hint is still handed out`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a", content: "a", pages: 64)], to: batch)
        let worker = try await fixture.worker()
        let first = try #require(try await fixture.claim(worker))
        _ = try await fixture.claim(worker)
        try await fixture.queue.maintain()
        #expect(try await fixture.number("SELECT first_ready FROM quire.batch") > first.jobID)
        try await fixture.queue.release(first, worker: worker)
        var pages: [Int] = []
        while let lease = try await fixture.claim(worker) { pages += Array(lease.pages) }
        #expect(pages.sorted() == Array(1...16) + Array(33...64))
    }
}
