import Shared
import SystemPackage
import Testing

/// What housekeepers do, against workers, orders and each other.
@Suite struct RaceUpkeepTests {
    typealias Ending = RaceFixture.Ending
    typealias Fixture = QueueFixture

    @Test(arguments: Ending.allCases)
    func `a heartbeat that comes too late learns that its worker is dead`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let (lease, worker) = try await race.lease(try await race.batch(pages: 4))
        let outcome = try await race.run(ending) { queue in
            try await queue.reportDead(workers: [worker])
        } second: { queue in
            try await queue.heartbeat(worker: worker, tokens: [lease.token])
        }
        #expect(outcome.hasWaited)
        #expect(outcome.second.isUnknown == (ending == .commits))
        #expect(outcome.second.lostTokens == (ending == .commits ? [lease.token] : []))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a report of death waits for a heartbeat and holds`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let (lease, worker) = try await race.lease(try await race.batch(pages: 4))
        let outcome = try await race.run(ending) { queue in
            try await queue.heartbeat(worker: worker, tokens: [lease.token])
        } second: { queue in
            try await queue.reportDead(workers: [worker])
        }
        #expect(outcome.hasWaited)
        if ending == .isCutAndRepeated { #expect(outcome.first?.isUnknown == true) }
        #expect(try await race.fixture.queue.heartbeat(worker: worker, tokens: [lease.token]).isUnknown)
        #expect(try await race.attempts("lost") == 1)
        try await race.finish()
    }

    /// With a worker that has been silent for too long and is now leaving after all.
    private func silent() async throws -> (race: RaceFixture, worker: Int64) {
        let race = try await RaceFixture()
        let (_, worker) = try await race.lease(try await race.batch(pages: 4))
        try await race.fixture.queue.maintain()
        try await race.fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '1 h'")
        return (race, worker)
    }

    @Test(arguments: Ending.allCases)
    func `a rescue waits for a worker that is just leaving`(ending: Ending) async throws {
        let (race, worker) = try await silent()
        let outcome = try await race.run(ending) { queue in
            try await queue.unregister(worker: worker)
        } second: { queue in
            try await queue.maintain()
        }
        #expect(outcome.hasWaited)
        // How the lease ended is told once, whichever came first.
        #expect(try await race.attempts("released") == (ending == .commits ? 1 : 0))
        #expect(try await race.attempts("lost") == (ending == .commits ? 0 : 1))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a leaving worker waits for its rescue`(ending: Ending) async throws {
        let (race, worker) = try await silent()
        let outcome = try await race.run(ending) { queue in
            try await queue.maintain()
        } second: { queue in
            try await queue.unregister(worker: worker)
        }
        #expect(outcome.hasWaited)
        let (released, lost) = (try await race.attempts("released"), try await race.attempts("lost"))
        #expect(released + lost == 1)
        if ending != .commits { #expect(released == 1) }
        try await race.finish()
    }

    /// With a batch whose page 2 waits for its next attempt, which is due.
    private func waiting() async throws -> (race: RaceFixture, batch: Int64) {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 3)
        let (lease, worker) = try await race.lease(batch)
        _ = try await race.fixture.queue.record(
            [Fixture.done(1), Fixture.failed(2), Fixture.done(3)], lease: lease, worker: worker)
        try await race.fixture.queue.maintain()
        try await race.fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        return (race, batch)
    }

    @Test(arguments: Ending.allCases)
    func `a retry waits for the promotion of a page, which is queued once`(ending: Ending) async throws {
        let (race, batch) = try await waiting()
        let outcome = try await race.run(ending) { queue in
            try await queue.maintain()
        } second: { queue in
            try await queue.retry(.failed, batch: batch, override: nil)
        }
        #expect(outcome.hasWaited)
        #expect(outcome.second == (ending == .commits ? 0 : 1))
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job WHERE state = 'ready'") == 1)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job") == 1)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a promotion passes over pages that are just being retried`(ending: Ending) async throws {
        let (race, batch) = try await waiting()
        let outcome = try await race.run(ending) { queue in
            try await queue.retry(.failed, batch: batch, override: nil)
        } second: { queue in
            try await queue.maintain()
        }
        #expect(!outcome.hasWaited)
        try await race.expectExactLedger()
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job WHERE state = 'ready'") == 1)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `neither another housekeeper nor status waits for who keeps house, and status is exact`(
        ending: Ending
    ) async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 20)
        let (lease, worker) = try await race.lease(batch)
        try await race.fixture.queue.maintain()
        _ = try await race.fixture.queue.record([Fixture.done(1), Fixture.blank(2)], lease: lease, worker: worker)
        let outcome = try await race.run(ending) { queue in
            try await queue.maintain()
        } second: { queue -> BatchStatus.Pages? in
            try await queue.maintain()
            return try await queue.status(batch: batch).first?.pages
        }
        #expect(!outcome.hasWaited)
        let counted = try await race.fixture.countedPages(batch)
        #expect(outcome.second == counted)
        #expect(counted.done == 1 && counted.blank == 1)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `who has to fold waits for another fold, and each delta is folded once`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 20)
        let (lease, worker) = try await race.lease(batch)
        try await race.fixture.queue.setState(.cancelled, batch: try await race.batch(pages: 4, folder: "b"))
        try await race.fixture.queue.maintain()
        _ = try await race.fixture.queue.record([Fixture.done(1), Fixture.blank(2)], lease: lease, worker: worker)
        let other = try #require(try await race.fixture.queue.status(batch: nil).last?.id)
        let outcome = try await race.run(ending) { queue in
            try await queue.maintain()
        } second: { queue in
            // Opening a cancelled batch again begins with a fold.
            try await queue.setState(.open, batch: other)
        }
        #expect(outcome.hasWaited)
        try await race.expectExactLedger()
        #expect(try await race.fixture.status(batch).pages.done == 1)
        try await race.finish()
    }
}
