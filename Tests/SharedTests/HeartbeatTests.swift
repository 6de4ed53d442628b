import Shared
import SystemPackage
import Testing

/// Leases live by their heartbeats, and what a worker does not know of goes back.
@Suite struct HeartbeatTests {
    typealias Fixture = QueueFixture

    /// With a worker that was last heard of before it claimed anything.
    private func prepared(pages: Int = 40) async throws -> (fixture: Fixture, batch: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: pages)], to: batch)
        let worker = try await fixture.worker()
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '5 s'")
        return (fixture, batch, worker)
    }

    private func leased(_ fixture: Fixture) async throws -> Int64 {
        try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'")
    }

    // A2: leases that a living worker had dropped stayed for six hours.
    @Test func `a lease that the worker does not know goes back at its second heartbeat`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let kept = try #require(try await fixture.claim(worker))
        let forgotten = try #require(try await fixture.claim(worker))
        var reply = try await fixture.queue.heartbeat(worker: worker, tokens: [kept.token])
        #expect(reply.givenBack == 0 && reply.lostTokens.isEmpty, "its answer may be on its way")
        reply = try await fixture.queue.heartbeat(worker: worker, tokens: [kept.token])
        #expect(reply.givenBack == 1 && reply.lostTokens.isEmpty)
        #expect(try await fixture.queue.heartbeat(worker: worker, tokens: [kept.token]).givenBack == 0)
        #expect(try await fixture.status(batch).pages.leased == 16)
        let late = try await fixture.queue.record(
            forgotten.pages.map { Fixture.done($0) }, lease: forgotten, worker: worker)
        #expect(late == .leaseLost)
        #expect(try await fixture.number("SELECT max(losses) FROM quire.job") == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'released'") == 1)
        let again = try #require(try await fixture.claim(worker))
        #expect(again.attempt == 1 && again.token > forgotten.token)
    }

    @Test func `a claim whose answer was lost goes back, and one under way stays`() async throws {
        let (fixture, _, worker) = try await prepared()
        let claim = { (key: Int64, isRepeated: Bool) async throws -> Lease? in
            try await fixture.queue.claim(
                worker: worker, modelDigest: Fixture.model, leaseSeconds: 120, key: key, isRepeated: isRepeated)
        }
        let first = try #require(try await claim(7, false))
        _ = try #require(try await claim(8, false))
        for _ in 1...3 {
            let reply = try await fixture.queue.heartbeat(worker: worker, tokens: [], keys: [7])
            #expect(reply.lostTokens.isEmpty)
        }
        #expect(try await leased(fixture) == 1)
        // The worker asks again, and is answered at last.
        #expect(try await claim(7, true)?.token == first.token)
        #expect(try await fixture.queue.heartbeat(worker: worker, tokens: [first.token]).givenBack == 0)
        #expect(try await leased(fixture) == 1)
    }

    @Test func `a heartbeat renews what the worker holds where half of the time is gone`() async throws {
        let (fixture, _, worker) = try await prepared()
        let old = try #require(try await fixture.claim(worker, seconds: 120))
        let young = try #require(try await fixture.claim(worker, seconds: 120))
        let forgotten = try #require(try await fixture.claim(worker, seconds: 120))
        try await fixture.database.query(
            """
            UPDATE quire.job SET due = now() + CASE WHEN token = $1 THEN 70 ELSE 50 END * interval '1 s'
            WHERE state = 'leased'
            """, [.int(young.token)])
        _ = try await fixture.queue.heartbeat(worker: worker, tokens: [old.token, young.token])
        let isFull = { (token: Int64) async throws -> Bool in
            try await fixture.number(
                "SELECT (due > now() + interval '110 s')::int FROM quire.job WHERE token = $1", [.int(token)]) == 1
        }
        #expect(try await isFull(old.token))
        #expect(try await !isFull(young.token))
        #expect(try await !isFull(forgotten.token))
    }

    // While PostgreSQL's disk was slow, rows of leases were locked by results for longer than leases last.
    @Test func `a lease that its worker names is kept while its row is locked, and one that nobody names is lost`()
        async throws
    {
        let (fixture, _, worker) = try await prepared()
        let named = try #require(try await fixture.claim(worker, seconds: 1))
        _ = try #require(try await fixture.claim(worker, seconds: 1))
        let storing = Database(connectionString: fixture.connectionString)
        try await storing.query("BEGIN")
        try await storing.query("SELECT FROM quire.job WHERE token = $1 FOR UPDATE", [.int(named.token)])
        _ = try await fixture.queue.heartbeat(worker: worker, tokens: [named.token])
        try await fixture.database.query("SELECT pg_sleep(1.1)")
        try await storing.query("ROLLBACK")
        try await fixture.queue.maintain()
        #expect(try await fixture.number("SELECT min(token) FROM quire.job WHERE state = 'leased'") == named.token)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == 1)
        // With its worker it ends, named or not.
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '46 s'")
        try await fixture.queue.maintain()
        #expect(try await leased(fixture) == 0)
        await storing.close()
    }

    @Test func `what is wrong with a worker is told until it is well again`() async throws {
        let (fixture, _, worker) = try await prepared()
        _ = try await fixture.queue.heartbeat(worker: worker, tokens: [], unwell: "The renderer does not start.")
        var status = try #require(try await fixture.queue.workers().first)
        #expect(status.unwell == "The renderer does not start.")
        let since = try #require(status.unwellSince)
        _ = try await fixture.queue.heartbeat(worker: worker, tokens: [], unwell: "It cannot see the folder.")
        status = try #require(try await fixture.queue.workers().first)
        #expect(status.unwell == "It cannot see the folder." && status.unwellSince == since)
        var activity = try #require(try await fixture.queue.workerActivity(includingEnded: 0).first)
        #expect(activity.state == .unwell && activity.unwell == status.unwell && activity.unwellSince == since)
        _ = try await fixture.queue.heartbeat(worker: worker, tokens: [])
        status = try #require(try await fixture.queue.workers().first)
        #expect(status.unwell == nil && status.unwellSince == nil)
        activity = try #require(try await fixture.queue.workerActivity(includingEnded: 0).first)
        #expect(activity.state == .idle)
    }
}
