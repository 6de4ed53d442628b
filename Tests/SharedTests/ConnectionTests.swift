import Shared
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// What a connection does when the server, or what lies before it, does not answer.
@Suite struct ConnectionTests {
    typealias Fixture = QueueFixture

    private static let hasty = StatementLimits(statementSeconds: 0.5, lockSeconds: 0.3, graceSeconds: 0.3)

    @Test func `a statement that takes too long is cancelled by the server`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let error = await #expect(throws: DatabaseError.self) {
            try await Database(connectionString: text, limits: Self.hasty).query("SELECT pg_sleep(600)")
        }
        guard case .server("57014", _, let advice)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(advice?.contains("time limit") == true)
    }

    @Test func `a wait for a lock is given up and tried again until patience ends`() async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 1)
        let database = Database(
            connectionString: race.fixture.connectionString, patienceSeconds: 0.5,
            limits: StatementLimits(statementSeconds: 30, lockSeconds: 0.1))
        let outcome = try await race.run(.rollsBack) { queue in
            try await queue.setState(.paused, batch: batch)
        } second: { _ in
            await #expect(throws: DatabaseError.self) {
                try await PageQueue(database: database).setState(.cancelled, batch: batch)
            }?.description ?? ""
        }
        #expect(outcome.second.contains("55P03") && outcome.second.contains("pg_blocking_pids"), "\(outcome.second)")
    }

    @Test func `limits of the connection string stand`() async throws {
        let text = try await TestPostgres.shared.makeDatabase(migrated: false)
        let question = """
            SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
              current_setting('idle_in_transaction_session_timeout')
            """
        var rows = try await Database(connectionString: text, limits: .brief).query(question)
        #expect([try rows[0].text(), try rows[0].text(), try rows[0].text()] == ["30s", "20s", "1min"])
        let own = "\(text) options='-c statement_timeout=77s -c lock_timeout=5s'"
        rows = try await Database(connectionString: own, limits: .brief).query(question)
        #expect([try rows[0].text(), try rows[0].text(), try rows[0].text()] == ["77s", "5s", "1min"])
    }

    @Test(arguments: [Relay.Mode.losesAnswers, .frozen])
    func `a half-open connection is noticed while an answer is waited for`(mode: Relay.Mode) async throws {
        let relay = try await Relay(before: try await TestPostgres.shared.makeDatabase(migrated: false))
        let database = Database(
            connectionString: relay.connectionString, patienceSeconds: 0, limits: Self.hasty)
        try await database.query("SELECT 1")
        relay.become(mode)
        let error = await #expect(throws: DatabaseError.self) { try await database.query("SELECT 2") }
        guard case .connectionLost(let reason)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("no answer"))
        relay.become(.open)
        var rows = try await database.query("SELECT 3::bigint")
        #expect(try rows[0].int() == 3)
        #expect(relay.connections == 2)
    }

    @Test func `a large parameter does not hang on a half-open connection`() async throws {
        let relay = try await Relay(before: try await TestPostgres.shared.makeDatabase(migrated: false))
        let database = Database(connectionString: relay.connectionString, patienceSeconds: 0, limits: Self.hasty)
        try await database.query("SELECT 1")
        relay.become(.frozen)
        let large = [UInt8](repeating: 7, count: 20_000_000)
        await #expect(throws: DatabaseError.self) { try await database.query("SELECT $1", [.bytes(large)]) }
    }

    @Test func `an order whose answer is lost is repeated and takes effect once`() async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        let batch = try await race.batch(pages: 40)
        let relay = try await Relay(before: fixture.connectionString)
        let queue = PageQueue(
            database: Database(connectionString: "\(relay.connectionString) application_name=gated", limits: .brief))
        let worker = try await fixture.worker()
        try await queue.database.query("SELECT 1")

        /// Runs `order`; once the server has committed it, so that `effect` is there, its answer is lost.
        func loseAnswer<Value: Sendable>(
            effect: String, _ order: @escaping @Sendable () async throws -> Value
        ) async throws -> Value {
            try await race.closeGate()
            let running = Task { try await order() }
            try await race.waitAtGate(running)
            relay.become(.losesAnswers)
            try await race.openGate()
            while try await fixture.number("SELECT count(*) FROM \(effect)") == 0 {
                try await Task.sleep(for: .milliseconds(2))
            }
            relay.become(.open)
            relay.cut()
            return try await running.value
        }

        let lease = try #require(
            try await loseAnswer(effect: "quire.job WHERE state = 'leased'") {
                try await fixture.claim(worker, on: queue)
            })
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == 1)
        let receipt = try await loseAnswer(effect: "quire.page") {
            try await queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        }
        #expect(receipt == .accepted(remaining: nil))
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 16)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        #expect(relay.connections == 3)
        try await race.finish()
    }

    @Test func `a worker waits at its start for a server that is not there yet, and says so`() async throws {
        let server = try await OwnServer()
        await server.stop()
        let told = Told()
        let database = Database(
            connectionString: server.connectionString, limits: .brief,
            start: StartPatience(seconds: 600) { told.add("\($0)") })
        let answer = Task { try await database.query("SELECT 1").count }
        while told.first == nil { try await Task.sleep(for: .milliseconds(5)) }
        #expect(told.first?.contains("cannot be reached") == true)
        // A command says so at once.
        await #expect(throws: DatabaseError.self) {
            try await Database(connectionString: server.connectionString).query("SELECT 1")
        }
        let again = try await server.restarted()
        #expect(try await answer.value == 1)
        // A server that answers and refuses is not waited for.
        let wrong = Database(
            connectionString: "\(again.connectionString) dbname=missing", start: StartPatience(seconds: 600) { _ in })
        let error = await #expect(throws: DatabaseError.self) { try await wrong.query("SELECT 1") }
        #expect(error?.description.contains("missing") == true)
        await database.close()
        await again.stop()
    }

    @Test func `TLS is as the connection string asks for it`() async throws {
        var server = try await OwnServer()
        let port = Int.random(in: 20_000..<60_000)
        let script = """
            set -e; cd "$1"; data=cluster/data
            for ca in right wrong; do
              openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$ca" -keyout $ca.key -out $ca.crt
            done
            openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
            printf 'subjectAltName=DNS:localhost' > names
            openssl x509 -req -in server.csr -CA right.crt -CAkey right.key -CAcreateserial -days 2 -extfile names \
              -out server.crt
            cp server.crt server.key $data
            chown "$(stat -c %u:%g $data)" $data/server.crt $data/server.key && chmod 600 $data/server.key
            chmod 644 right.crt wrong.crt
            """
        let made = try await RunningProgram.run("/bin/sh", ["-c", script, "sh", server.path.string])
        #expect(made.isSuccess, "\(made.errors)")
        let admin = server.database("postgres")
        for setting in ["ssl = on", "listen_addresses = '127.0.0.1'", "port = \(port)"] {
            try await admin.query("ALTER SYSTEM SET \(setting)")
        }
        try await server.acceptAllRoles("hostssl all all 127.0.0.1/32 trust\n")
        await admin.close()
        server = try await server.restarted()

        func ask(_ host: String, _ settings: String) async throws -> Bool {
            let url = "postgresql://quire@\(host):\(port)/quire?hostaddr=127.0.0.1&\(settings)"
            var rows = try await Database(connectionString: url).query(
                "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            return try rows[0].bool()
        }
        let (right, wrong) = ("\(server.path)/right.crt", "\(server.path)/wrong.crt")
        #expect(try await ask("localhost", "sslmode=verify-full&sslrootcert=\(right)"))
        #expect(try await ask("localhost", "sslmode=require"))
        for (host, settings, told) in [
            ("localhost", "sslmode=verify-full&sslrootcert=\(wrong)", "certificate verify failed"),
            ("elsewhere", "sslmode=verify-full&sslrootcert=\(right)", "does not match host name"),
            ("localhost", "sslmode=verify-full&sslrootcert=/nonexistent", "/nonexistent"),
            ("localhost", "sslmode=disable", "no encryption"),
        ] {
            let error = await #expect(throws: DatabaseError.self) { try await ask(host, settings) }
            #expect(error?.description.contains(told) == true, "\(String(describing: error))")
        }
        await server.stop()
    }
}

/// What a program was told while it waited.
private final class Told: Sendable {
    private let texts = Mutex<[String]>([])

    var first: String? { texts.withLock { $0.first } }

    func add(_ text: String) { texts.withLock { $0.append(text) } }
}
