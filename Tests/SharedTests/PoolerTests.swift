import Migrations
import Shared
import SystemPackage
import TestSupport
import Testing

/// All that programs do, through pgbouncer in transaction mode: no SET, LISTEN, session lock or prepared statement.
@Suite struct PoolerTests {
    typealias Fixture = QueueFixture

    private func pooled(migrated: Bool = true) async throws -> (pooler: Pooler, direct: String) {
        let direct = try await TestPostgres.shared.makeDatabase(migrated: migrated)
        return (try await Pooler(before: direct), direct)
    }

    @Test func `migration, submission, work, upkeep and status go through a pooler`() async throws {
        let (pooler, direct) = try await pooled(migrated: false)
        let text = pooler.connectionString
        #expect(try await Database(connectionString: text).isPooled())
        #expect(try await !Database(connectionString: direct).isPooled())
        #expect(try await Migrator(database: Database(connectionString: text)).migrate() == allMigrations.map(\.name))
        try await Migrator(database: Database(connectionString: text, limits: .brief)).check()

        let fixture = Fixture(connectionString: text)
        let batch = try await fixture.openBatch()
        let files = (0..<12).map { Fixture.document(FilePath("archive/\($0)"), content: "\($0)", pages: 20) }
        #expect(try await fixture.queue.add(files, to: batch).pagesQueued == 240)
        try await fixture.queue.notifySubmitted()
        // Twice as many connections as the pool has sessions of the server.
        let pages = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<6 {
                let database = Database(connectionString: text, limits: .brief)
                let queue = PageQueue(database: database)
                let worker = try await fixture.worker("w\(number)", pid: Int32(number + 1))
                group.addTask {
                    var pages = 0
                    while let lease = try await fixture.claim(worker, on: queue) {
                        #expect(try await !queue.heartbeat(worker: worker, tokens: [lease.token]).isUnknown)
                        let receipt = try await queue.record(
                            lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
                        #expect(receipt == .accepted(remaining: nil))
                        pages += lease.pages.count
                        try await queue.maintain()
                    }
                    try await queue.unregister(worker: worker)
                    return pages
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(pages == 240)
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 240 && status.documents.complete == 12)
        #expect(status.pages == (try await fixture.countedPages(batch)))

        let document = try #require(try await fixture.queue.documents(matching: "3", batch: batch).first)
        let again = try await fixture.queue.retry(
            .document(id: document.id, includingDone: true), batch: batch, override: nil)
        #expect(again == 20)
        try await fixture.queue.setState(.cancelled, batch: batch)
        try await fixture.queue.setState(.open, batch: batch)
        try await fixture.finishAll(try await fixture.worker("last"))
        #expect(try await fixture.queue.pages(document: document.id, from: 1, limit: 100).count == 20)
        #expect(try await fixture.status(batch).pages.done == 240)
    }

    @Test func `time limits hold behind a pooler and stay with their transaction`() async throws {
        let (pooler, _) = try await pooled()
        let database = Database(
            connectionString: pooler.connectionString,
            limits: StatementLimits(statementSeconds: 0.3, lockSeconds: 0.2))
        let error = await #expect(throws: DatabaseError.self) { try await database.query("SELECT pg_sleep(600)") }
        guard case .server("57014", _, _) = try #require(error) else {
            Issue.record("\(String(describing: error))")
            return
        }
        // What a program without limits finds in the sessions that the pool has.
        for _ in 0..<5 {
            let shown = try await RunningProgram.run(
                "psql", [pooler.connectionString, "-AtXc", "SELECT current_setting('statement_timeout')"])
            #expect(shown.output == "0\n", "\(shown.errors)")
        }
    }

    @Test func `a session that the server ends behind a pooler is replaced`() async throws {
        let (pooler, direct) = try await pooled()
        let (database, admin) = (
            Database(connectionString: pooler.connectionString), Database(connectionString: direct)
        )
        for _ in 0..<3 {
            var rows = try await database.query("SELECT pg_backend_pid()")
            try await admin.query("SELECT pg_terminate_backend($1::bigint::integer)", [.int(try rows[0].int64())])
            var answer = try await database.query("SELECT 42::bigint")
            #expect(try answer[0].int() == 42)
        }
    }

    @Test func `nobody listens through a pooler`() async throws {
        let (pooler, _) = try await pooled()
        #expect(await SubmissionListener(connectionString: pooler.connectionString).run {} == false)
    }
}
