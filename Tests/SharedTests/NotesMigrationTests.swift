import Migrations
import Shared
import SystemPackage
import TestSupport
import Testing

/// Databases of the version before notes.
@Suite struct NotesMigrationTests {
    typealias Fixture = QueueFixture

    /// One range with eight pages: the first recorded, the others leased to a worker of before.
    private static let scripts = [
        """
        INSERT INTO quire.pipeline (model_digest, mode, prompt, max_new_tokens, pdf_dpi, engine_version)
        VALUES ('\(Fixture.model)', 'base', 'Free OCR.', 512, 144, '\(QuireVersion.engine)')
        """,
        """
        INSERT INTO quire.batch (name, source_root, source_path, pipeline_id, has_jobs)
        SELECT 'archive', 'home', 'archive', id, true FROM quire.pipeline
        """, "INSERT INTO quire.tally (batch_id, documents, pages, blank) SELECT id, 1, 8, 1 FROM quire.batch",
        """
        INSERT INTO quire.document (sha256, pipeline_id, format, page_count)
        SELECT sha256('a'), id, 'pdf', 8 FROM quire.pipeline
        """,
        """
        INSERT INTO quire.batch_document (batch_id, document_id, page_count, blank)
        SELECT b.id, d.id, 8, 1 FROM quire.batch b, quire.document d
        """,
        """
        INSERT INTO quire.batch_file (batch_id, root, path, size, modified_ns, kind, document_id)
        SELECT batch_id, 'home', 'archive/a.pdf', 1, 1, 'document', document_id FROM quire.batch_document
        """,
        """
        INSERT INTO quire.worker (name, host, boot_id, pid, process_start_ticks, device, version, model_digest, seen_at)
        VALUES ('old', 'here', 'boot', 1, 1, 'cpu', '\(QuireVersion.current)', '\(Fixture.model)', now() + interval '1 h')
        """,
        """
        INSERT INTO quire.page (document_id, page_no, state, attempt, token, engine_version, width, height,
          render_seconds)
        SELECT id, 1, 'blank', 1, 1, '\(QuireVersion.engine)', 1, 1, 1 FROM quire.document
        """,
        """
        INSERT INTO quire.job (batch_id, document_id, state, first_page, n_pages, attempt, token, worker_id, started_at,
          lease_seconds, lease_first, due)
        SELECT batch_id, document_id, 'leased', 2, 7, 1, 77, 1, now(), 600, 2, now() + interval '10 min'
        FROM quire.batch_document
        """,
    ]

    @Test func `a database of before goes on, with workers of before and of now`() async throws {
        let fixture = Fixture(connectionString: try await TestPostgres.shared.makeDatabase(migrated: false))
        let steps = Array(allMigrations.prefix { $0.name != "0011_page_notes" })
        _ = try await Migrator(database: fixture.database, migrations: steps).migrate()
        for sql in Self.scripts { try await fixture.database.query(sql) }
        let applied = try await Migrator(database: fixture.database).migrate()
        #expect(applied == allMigrations.dropFirst(steps.count).map(\.name) && applied.first == "0011_page_notes")
        let batch = try await fixture.number("SELECT id FROM quire.batch")
        #expect(try await fixture.status(batch).pages.noted == 0)

        // As the program of before hands pages over: by 35 parameters.
        let names = try await fixture.database.query(
            """
            SELECT verdict FROM quire.record(1, $1, (SELECT id FROM quire.job), 77, 1, 2, 8, 2, 1, '{}', '{}', NULL, $2,
              '{2}', '{blank}', '{1}', '{1}', '{NULL}', '{0.5}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, $3, 'bf16', NULL)
            """, [.int(batch), .text(QuireVersion.engine), .text("0.1.0")])
        var row = try #require(names.first)
        #expect(try row.text() == "recorded")
        try await fixture.database.query("UPDATE quire.worker SET ended_at = now()")
        try await fixture.queue.maintain()
        try await fixture.database.query("UPDATE quire.job SET state = 'ready', due = NULL WHERE state = 'waiting'")

        let worker = try await fixture.worker("new", pid: 7)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.pages == 3...8)
        _ = try await fixture.queue.record(
            lease.pages.map { $0 < 5 ? Fixture.noted(Fixture.done($0)) : Fixture.done($0) }, lease: lease,
            worker: worker)
        let status = try await fixture.status(batch)
        #expect(status.isFinished && status.pages.noted == 2 && status.pages.blank == 2)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }
}
