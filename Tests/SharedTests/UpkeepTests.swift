import Shared
import SystemPackage
import Testing

/// Who is taken for dead after an outage.
@Suite struct UpkeepTests {
    typealias Fixture = QueueFixture

    /// With a worker that holds pages and has been silent for an hour.
    private func silent() async throws -> Fixture {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        _ = try await fixture.claim(try await fixture.worker())
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '1 h'")
        return fixture
    }

    private func leases(_ fixture: Fixture) async throws -> Int64 {
        try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'")
    }

    @Test func `silence tells nothing to who has not listened for long enough`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .seconds(3600), pause: .seconds(3600))
        for _ in 1...3 { try await upkeep.keep() }
        #expect(try await leases(fixture) == 1)
        // Nor does a lease that was not renewed: its worker may not have reached the database either.
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
    }

    @Test func `who has listened for long enough takes back what is overdue`() async throws {
        let fixture = try await silent()
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now()")
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        var upkeep = Upkeep(queue: fixture.queue, hearing: .milliseconds(20), pause: .seconds(3600))
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(20))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.worker WHERE ended_at IS NULL") == 1)
    }

    @Test func `who has listened for long enough takes the silent for dead`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .milliseconds(20), pause: .seconds(3600))
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(20))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
    }

    // A round may have begun in the outage: how long it took says nothing of whom it heard.
    @Test func `the first round takes nobody for dead, however little there is to listen`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .zero, pause: .seconds(3600))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
    }

    @Test func `after an outage it listens anew`() async throws {
        let fixture = try await silent()
        // Each pause between two rounds is an outage.
        var upkeep = Upkeep(queue: fixture.queue, hearing: .nanoseconds(1), pause: .zero)
        for _ in 1...3 {
            try await upkeep.keep()
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try await leases(fixture) == 1)
    }

    /// Over a connection for which another clock goes, `seconds` ahead of the true one, as `chaos.step` has it.
    private func withAnotherClock(_ fixture: Fixture) async throws -> PageQueue {
        for statement in [
            "CREATE SCHEMA chaos", "CREATE TABLE chaos.step (seconds float8 NOT NULL)",
            "INSERT INTO chaos.step VALUES (0)",
            """
            CREATE FUNCTION chaos.now() RETURNS timestamptz LANGUAGE sql STABLE AS
            $$ SELECT pg_catalog.now() + (SELECT seconds FROM chaos.step) * interval '1 s' $$
            """,
            """
            CREATE FUNCTION chaos.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
            $$ SELECT pg_catalog.clock_timestamp() + (SELECT seconds FROM chaos.step) * interval '1 s' $$
            """,
        ] { try await fixture.database.query(statement) }
        return PageQueue(
            database: Database(
                connectionString: fixture.connectionString + " options='-c search_path=chaos,pg_catalog'"))
    }

    private func setClock(_ fixture: Fixture, ahead seconds: Double) async throws {
        try await fixture.database.query("UPDATE chaos.step SET seconds = $1", [.double(seconds)])
    }

    // A15: each living worker was taken for dead when the server's clock was set forward.
    @Test func `a clock that is set forward ends nobody who lives`() async throws {
        let fixture = try await silent()
        let queue = try await withAnotherClock(fixture)
        let worker = try await fixture.number("SELECT max(id) FROM quire.worker")
        var rows = try await fixture.database.query("SELECT token FROM quire.job WHERE state = 'leased'")
        let token = try rows[0].int64()
        _ = try await queue.heartbeat(worker: worker, tokens: [token])
        var upkeep = Upkeep(queue: queue, hearing: .milliseconds(300), pause: .seconds(3600))
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(300))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
        try await setClock(fixture, ahead: 600)
        try await upkeep.keep()
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
        // Until it has had time to be heard by the new clock; who is not heard is dead.
        _ = try await queue.heartbeat(worker: worker, tokens: [token])
        try await Task.sleep(for: .milliseconds(300))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
        try await fixture.database.query("UPDATE quire.worker SET seen_at = seen_at - interval '46 s'")
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
        await queue.database.close()
    }

    @Test func `a clock that is set back keeps nobody alive who is dead`() async throws {
        let fixture = try await silent()
        let queue = try await withAnotherClock(fixture)
        try await setClock(fixture, ahead: 7200)
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() + interval '2 h'")
        var upkeep = Upkeep(queue: queue, silenceSeconds: 0.2, hearing: .milliseconds(10), pause: .seconds(3600))
        try await upkeep.keep()
        try await setClock(fixture, ahead: 0)
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(300))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
        await queue.database.close()
    }
}
