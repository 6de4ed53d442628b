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

    // A8: batches of before go on after an upgrade, and what their pages were read in is known.
    @Test func `a batch that an older program began in int8 goes on where workers compute in int8`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let fixture = Fixture(connectionString: text)
        _ = try await Migrator(database: fixture.database, migrations: Array(allMigrations.prefix(5))).migrate()
        try await fixture.database.query(
            """
            INSERT INTO quire.pipeline (model_digest, mode, prompt, max_new_tokens, pdf_dpi, engine_version)
            VALUES ($1, 'base', 'Free OCR.', 512, 144, $2), ($1, 'large', 'Free OCR.', 512, 144, $2),
              ($1, 'tiny', 'Free OCR.', 512, 144, $2)
            """, [.text(Fixture.model), .text(QuireVersion.engine)])
        let scripts = [
            """
            INSERT INTO quire.batch (name, source_root, source_path, pipeline_id, has_jobs)
            SELECT mode, 'home', 'archive', id, true FROM quire.pipeline ORDER BY id
            """, "INSERT INTO quire.tally (batch_id, documents, pages) SELECT id, 1, 20 FROM quire.batch",
            """
            INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
            SELECT sha256('a'), id, 'pdf', 20 FROM quire.pipeline ORDER BY id
            """,
            """
            INSERT INTO quire.batch_document (batch_id, document_id, page_count, failed)
            SELECT b.id, d.id, 20, 0 FROM quire.batch b JOIN quire.document d ON d.pipeline_id = b.pipeline_id
            """,
            """
            INSERT INTO quire.batch_file (batch_id, root, path, size, modified_ns, kind, document_id)
            SELECT batch_id, 'home', 'archive/a.pdf', 1, 1, 'document', document_id FROM quire.batch_document
            """,
            """
            INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest)
            SELECT d, 'here', 'boot', 1, 1, d, '\(QuireVersion.current)', '\(Fixture.model)'
            FROM unnest(ARRAY['cpu (2 threads, int8)', 'cuda:0 (A card, f32)', 'cpu (1 thread, bf16)']) d
            """,
            // Pages 1 to 4 are done; the third batch's ledger has been pruned.
            """
            INSERT INTO quire.page (document_id, page_no, state, attempt, token, worker_id, engine_version, width, height,
              render_seconds)
            SELECT d.id, n, 'blank', 1, d.id, CASE WHEN d.id = 1 AND n = 1 THEN 3 ELSE CASE d.id WHEN 3 THEN 2 ELSE d.id END END, '0.1.0', 1, 1, 1
            FROM quire.document d, generate_series(1, 4) n
            """,
            """
            INSERT INTO quire.attempt (token, batch_id, document_id, first_page, n_pages, attempt, worker_id, started_at,
              outcome)
            VALUES (1, 1, 1, 1, 1, 1, 3, now(), 'done'), (2, 1, 1, 2, 3, 1, 1, now(), 'done'),
              (3, 2, 2, 1, 4, 1, 2, now(), 'done')
            """, "INSERT INTO quire.tally_delta (batch_id, document_id, blank) SELECT id, id, 4 FROM quire.batch",
            """
            INSERT INTO quire.job (batch_id, document_id, first_page, n_pages) SELECT id, id, 5, 16 FROM quire.batch
            """,
        ]
        for sql in scripts { try await fixture.database.query(sql) }
        try await fixture.database.query("SELECT setval('quire.lease_token', 100)")
        _ = try await Migrator(database: fixture.database).migrate()
        let batches = try await fixture.queue.batches()
        #expect(batches.map(\.pipeline.precision) == ["int8", "f32", "f32"])
        let pages = try await fixture.queue.pages(document: 1, from: 1, limit: 9)
        #expect(pages.map(\.pipeline.precision) == ["bf16", "int8", "int8", "int8"])

        let rough = try await fixture.queue.register(
            WorkerIdentity(
                name: "new", host: "here", bootID: "boot", pid: 9, processStartTicks: 5, device: "cpu",
                version: "99.0.0", modelDigest: Fixture.model, precision: "int8"))
        try await fixture.finishAll(rough)
        let first = try await fixture.status(1)
        #expect(first.documents.complete == 1 && first.pages.done == 16)
        #expect(try await fixture.status(2).pages.pending == 16)
        for batch in 1...3 {
            #expect(try await fixture.status(Int64(batch)).pages == (try await fixture.countedPages(Int64(batch))))
        }
        // A worker of before that still runs goes on as it is.
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() + interval '1 h'")
        let old = try await fixture.number(
            "SELECT token FROM quire.claim(2, $1, NULL, 60, 1, false)", [.text(Fixture.model)])
        #expect(old > 0)
        let house = try await fixture.database.query("SELECT quire.keep_house(1, 45)")
        #expect(house.count == 1)
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
