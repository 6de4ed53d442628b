import Migrations
import Shared
import SystemPackage
import TestSupport
import Testing

/// Logins that are members of the group roles, and what they may not do.
@Suite struct RolesTests {
    typealias Fixture = QueueFixture

    /// A queue with work in it, and the connection strings of logins in the group roles.
    private struct Logins {
        let fixture: Fixture
        let batch: Int64

        init() async throws {
            fixture = try await Fixture()
            try await TestPostgres.shared.acceptAllRoles()
            batch = try await fixture.openBatch()
            _ = try await fixture.queue.add(
                [Fixture.document("archive/a.pdf", content: "a", pages: 40)], to: batch)
        }

        /// A queue as a new login of the group sees it.
        func queue(_ group: String) async throws -> PageQueue {
            var rows = try await fixture.database.query("SELECT current_database()::text")
            let login = "\(group)_of_\(try rows[0].text())"
            try await fixture.database.query("CREATE ROLE \(login) LOGIN IN ROLE \(group)")
            return PageQueue(
                database: Database(connectionString: "\(fixture.connectionString) user=\(login)", limits: .brief))
        }
    }

    private func expectRefused(
        _ queue: PageQueue, _ statements: [String], _ location: Testing.SourceLocation = #_sourceLocation
    ) async {
        for statement in statements {
            let error = await #expect(throws: DatabaseError.self, sourceLocation: location) {
                try await queue.database.query(statement)
            }
            guard case .server("42501", _, _)? = error else {
                Issue.record("\(statement): \(String(describing: error))", sourceLocation: location)
                continue
            }
        }
    }

    /// What only the owner may do.
    private static let changes = [
        "ALTER TABLE quire.page ADD COLUMN x integer", "DROP TABLE quire.page", "DROP SCHEMA quire CASCADE",
        "TRUNCATE quire.page", "CREATE TABLE quire.x ()", "CREATE FUNCTION quire.x() RETURNS void RETURN NULL",
        "INSERT INTO quire.schema_migration VALUES ('x', '')", "DELETE FROM quire.schema_migration",
        "ALTER TYPE quire.batch_state ADD VALUE 'x'",
    ]

    @Test func `a worker's role does all that a worker does, and cannot change the schema or orders`() async throws {
        let logins = try await Logins()
        let queue = try await logins.queue("quire_worker")
        try await Migrator(database: queue.database).check()
        let fixture = logins.fixture
        let worker = try await queue.register(
            WorkerIdentity(
                name: "w", host: "h", bootID: "b", pid: 1, processStartTicks: 1, device: "cpu",
                version: QuireVersion.current, modelDigest: Fixture.model))
        let lease = try #require(try await fixture.claim(worker, on: queue))
        #expect(try await !queue.heartbeat(worker: worker, tokens: [lease.token]).isUnknown)
        let figure = Figure(name: "p.jpg", jpeg: [1, 2, 3])
        let receipt = try await queue.record(
            [Fixture.noted(Fixture.done(1, figures: [figure])), Fixture.failed(2)]
                + (3...16).map { $0 == 3 ? Fixture.noted(Fixture.blank($0)) : Fixture.failed($0, isPermanent: true) },
            lease: lease, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        // A file's fault, up to where no file is left, and what a result frees.
        for _ in 1...3 {
            try await fixture.database.query("UPDATE quire.job SET state = 'ready', due = NULL WHERE state = 'waiting'")
            try await fixture.database.query(
                "UPDATE quire.batch_file SET fault_at = now() - interval '1 d' WHERE fault_count > 0")
            let faulty = try #require(try await fixture.claim(worker, on: queue))
            #expect(try await queue.witnesses(for: faulty, limit: 5).isEmpty)
            #expect(try await queue.report(fileFault: "It is missing.", lease: faulty, worker: worker) != .lost)
        }
        #expect(try await fixture.claim(worker, on: queue) == nil)
        #expect(try await queue.status(batch: logins.batch).first.map { $0.pages.stranded > 0 } == true)
        #expect(try await fixture.queue.retry(.failed, batch: logins.batch, override: nil) > 0)
        // Another worker's loss, up to the quarantine of a page.
        try await fixture.database.query("UPDATE quire.batch SET max_losses = 1, retry_seconds = 0")
        for _ in 0..<200 {
            let other = try await queue.register(
                WorkerIdentity(
                    name: "o", host: "h", bootID: "b", pid: 2, processStartTicks: 1, device: "cpu",
                    version: QuireVersion.current, modelDigest: Fixture.model))
            guard try await fixture.claim(other, on: queue) != nil else { break }
            try await queue.reportDead(workers: [other])
            try await fixture.database.query(
                "UPDATE quire.job SET due = now() - interval '1 s' WHERE state = 'waiting'")
            try await queue.maintain()
        }
        // A page that somebody asked for again.
        try await fixture.database.query(
            """
            WITH marked AS (
              UPDATE quire.page SET redo_token = nextval('quire.lease_token') WHERE state = 'done' AND page_no = 1
              RETURNING document_id),
            counted AS (
              INSERT INTO quire.tally_delta (batch_id, document_id, done, noted)
              SELECT $1, document_id, -1, -1 FROM marked)
            INSERT INTO quire.job (batch_id, document_id, first_page, n_pages) SELECT $1, document_id, 1, 1 FROM marked
            """, [.int(logins.batch)])
        try await fixture.database.query("UPDATE quire.batch SET has_jobs = true")
        let redo = try #require(try await fixture.claim(worker, on: queue))
        #expect(redo.pages == 1...1)
        _ = try await queue.record([Fixture.done(1, "again")], lease: redo, worker: worker)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history WHERE markdown = 'text'") == 1)
        let last = try await fixture.claim(worker, on: queue)
        if let last { try await queue.release(last, worker: worker) }
        try await queue.maintain()
        _ = try await queue.requirements()
        _ = try await queue.workersOnHost(bootID: "b", host: "h")
        try await queue.unregister(worker: worker)
        let status = try #require(try await queue.status(batch: logins.batch).first)
        #expect(status.pages == (try await fixture.countedPages(logins.batch)))
        #expect(status.pages.quarantined > 0 && status.pages.noted == 1)

        await expectRefused(
            queue,
            Self.changes + [
                "DELETE FROM quire.page", "UPDATE quire.page SET markdown = ''", "DELETE FROM quire.batch",
                "UPDATE quire.batch SET state = 'cancelled'", "DELETE FROM quire.attempt", "DELETE FROM quire.document",
                "UPDATE quire.batch_document SET page_count = 1",
            ])
        let error = await #expect(throws: DatabaseError.self) {
            try await queue.setState(.cancelled, batch: logins.batch)
        }
        #expect(error?.description.contains("Grant the role its rights") == true)
    }

    @Test func `a reader's role sees status and results, and can neither claim nor submit`() async throws {
        let logins = try await Logins()
        let fixture = logins.fixture
        try await fixture.finishAll(try await fixture.worker())
        try await fixture.queue.maintain()
        let queue = try await logins.queue("quire_reader")
        try await Migrator(database: queue.database).check()
        let status = try #require(try await queue.status(batch: logins.batch).first)
        #expect(status.pages.done == 40)
        let file = try #require(try await queue.files(batch: logins.batch).first)
        guard case .document(let id, _, _, _) = file.content else {
            Issue.record("\(file)")
            return
        }
        #expect(try await queue.pages(document: id, from: 1, limit: 100).count == 40)
        _ = try await queue.workers()
        _ = try await queue.problemGroups(batch: nil, limit: 10)
        _ = try await queue.waits(batch: nil)
        _ = try await queue.workerActivity(includingEnded: 10)
        #expect(try await queue.report(document: id, page: 1).page == 1)
        await expectRefused(
            queue,
            Self.changes + [
                "DELETE FROM quire.job", "INSERT INTO quire.tally_delta (batch_id) VALUES (1)",
                "SELECT nextval('quire.lease_token')", "UPDATE quire.worker SET should_drain = true",
            ])
        // With work to be had.
        _ = try await fixture.queue.retry(.document(id: id, includingDone: true), batch: logins.batch, override: nil)
        let worker = try await fixture.worker("w2")
        await #expect(throws: DatabaseError.self) { try await fixture.claim(worker, on: queue) }
        await #expect(throws: DatabaseError.self) {
            try await queue.add([Fixture.document("archive/b.pdf", content: "b", pages: 1)], to: logins.batch)
        }
    }

    @Test func `a submitter's role gives all orders, and cannot change the schema`() async throws {
        let logins = try await Logins()
        let queue = try await logins.queue("quire_submitter")
        let opened = try await queue.openBatch(
            name: "mine", source: Fixture.folder("mine"), pipeline: Fixture.pipeline(mode: "large"), priority: 1)
        let batch = opened.batch.id
        _ = try await queue.add([Fixture.document("mine/a", content: "mine", pages: 3)], to: batch)
        let worker = try await logins.fixture.worker()
        let lease = try #require(try await logins.fixture.claim(worker, on: queue))
        _ = try await queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        _ = try await queue.retry(
            .document(id: lease.documentID, includingDone: true), batch: batch, override: nil)
        for state in [BatchState.paused, .cancelled, .open] { try await queue.setState(state, batch: batch) }
        _ = try await queue.add([Fixture.document("mine/a", content: "other", pages: 2, stamp: 2)], to: batch)
        try await queue.drain(workers: nil)
        try await queue.notifySubmitted()
        #expect(try await queue.status(batch: batch).first?.pages.total == 2)
        await expectRefused(queue, Self.changes)
    }

    @Test func `rights hold for tables and functions of later steps too`() async throws {
        let logins = try await Logins()
        let later =
            allMigrations + [
                Migration(
                    name: "9999_later",
                    sql:
                        "CREATE TABLE quire.later (n integer); CREATE SEQUENCE quire.s; INSERT INTO quire.later VALUES (7);"
                        + "CREATE FUNCTION quire.f() RETURNS bigint LANGUAGE sql RETURN (SELECT sum(n) FROM quire.later)"
                )
            ]
        _ = try await Migrator(database: logins.fixture.database, migrations: later).migrate()
        for group in ["quire_reader", "quire_worker", "quire_submitter"] {
            let queue = try await logins.queue(group)
            var rows = try await queue.database.query("SELECT quire.f()")
            #expect(try rows[0].int64() == 7)
            if group != "quire_submitter" { await expectRefused(queue, ["INSERT INTO quire.later VALUES (1)"]) }
        }
    }

    @Test func `an owner who may not make roles is told what to do, and grants them later`() async throws {
        let server = try await OwnServer()
        let admin = server.database("postgres")
        try await admin.query("CREATE ROLE plain_owner LOGIN")
        try await admin.query("CREATE DATABASE plain OWNER plain_owner")
        try await server.acceptAllRoles()
        let url = "\(server.connectionString) dbname=plain user=plain_owner"
        func migrate() async throws -> String {
            let outcome = try await RunningProgram.run(
                RunningProgram.product("quire"), ["migrate"],
                environment: ["DATABASE_URL": url, "QUIRE_CONFIG": nil, "HOME": "/nonexistent"])
            #expect(outcome.status == 0, "\(outcome.errors)")
            return outcome.output
        }
        let told = try await migrate()
        #expect(told.contains("CREATE ROLE quire_worker NOLOGIN;") && told.contains("quire migrate"), "\(told)")
        for role in ["quire_reader", "quire_worker", "quire_submitter"] {
            try await admin.query("CREATE ROLE \(role) NOLOGIN")
        }
        #expect(try await !migrate().contains("CREATE ROLE"))
        try await admin.query("CREATE ROLE reader LOGIN IN ROLE quire_reader")
        let reader = Database(connectionString: "\(server.connectionString) dbname=plain user=reader")
        #expect(try await PageQueue(database: reader).status(batch: nil).isEmpty)
        await server.stop()
    }

    @Test func `databases of one server that are migrated at once share the roles`() async throws {
        let server = try await OwnServer()
        let admin = server.database("postgres")
        let count = 5
        for number in 0..<count { try await admin.query("CREATE DATABASE d\(number)") }
        for round in 0..<2 {
            let applied = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<count {
                    let database = server.database("d\(number)")
                    group.addTask { try await Migrator(database: database).migrate(isGranting: true).count }
                }
                return try await group.reduce(0, +)
            }
            #expect(applied == (round == 0 ? count * allMigrations.count : 0))
        }
        var rows = try await admin.query("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'quire\\_%'")
        #expect(try rows[0].int() == 3)
        await server.stop()
    }
}
