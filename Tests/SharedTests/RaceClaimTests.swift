import Shared
import SystemPackage
import Testing

/// Claims against whatever else wants the same jobs at the same moment.
@Suite struct RaceClaimTests {
    typealias Ending = RaceFixture.Ending

    @Test(arguments: Ending.allCases)
    func `claims at once get different ranges, and none waits`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        _ = try await race.batch(pages: 60)
        let workers = [try await fixture.worker("w1"), try await fixture.worker("w2"), try await fixture.worker("w3")]
        let outcome = try await race.run(ending) { queue in
            try await fixture.claim(workers[0], on: queue)?.pages
        } second: { queue in
            [try await fixture.claim(workers[1], on: queue), try await fixture.claim(workers[2], on: queue)]
                .map { $0?.pages }
        }
        #expect(!outcome.hasWaited)
        #expect(outcome.second == [17...32, 33...48])
        if ending == .rollsBack {
            #expect(try await fixture.claim(workers[0])?.pages == 1...16)
        } else {
            #expect(outcome.first == 1...16)
        }
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a cancellation waits for a claim and takes its lease away`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        let batch = try await race.batch(pages: 4)
        let worker = try await fixture.worker()
        let outcome = try await race.run(ending) { queue in
            try await fixture.claim(worker, on: queue)
        } second: { queue in
            try await queue.setState(.cancelled, batch: batch)
        }
        #expect(outcome.hasWaited)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)
        #expect(try await race.attempts("cancelled") == (ending == .commits ? 1 : 0))
        if ending == .commits {
            let lease = try #require(outcome.first.flatMap { $0 })
            let late = try await fixture.queue.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
            #expect(late == .leaseLost)
            #expect(
                try await fixture.queue.heartbeat(worker: worker, tokens: [lease.token]).lostTokens == [lease.token])
        } else {
            #expect(outcome.first.flatMap { $0 } == nil)
        }
        #expect(try await fixture.number("SELECT count(*) FROM quire.page") == 0)
        try await fixture.queue.setState(.open, batch: batch)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a claim neither waits for a cancellation nor gets a job of it`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        let batch = try await race.batch(pages: 4)
        let worker = try await fixture.worker()
        let outcome = try await race.run(ending) { queue in
            try await queue.setState(.cancelled, batch: batch)
        } second: { queue in
            try await fixture.claim(worker, on: queue)?.pages
        }
        #expect(!outcome.hasWaited && outcome.second == nil)
        #expect(try await fixture.claim(worker)?.pages == (ending == .rollsBack ? 1...4 : nil))
        try await fixture.queue.setState(.open, batch: batch)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases, [true, false])
    func `a claim and a pause do not wait for each other, and the lease holds`(
        ending: Ending, isClaimFirst: Bool
    ) async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        let batch = try await race.batch(pages: 4)
        let worker = try await fixture.worker()
        let claim = { @Sendable (queue: PageQueue) -> Lease? in try await fixture.claim(worker, on: queue) }
        let pause = { @Sendable (queue: PageQueue) -> Lease? in
            try await queue.setState(.paused, batch: batch)
            return nil
        }
        let outcome =
            isClaimFirst
            ? try await race.run(ending, first: claim, second: pause)
            : try await race.run(ending, first: pause, second: claim)
        #expect(!outcome.hasWaited)
        let lease = isClaimFirst ? outcome.first.flatMap { $0 } : outcome.second
        if isClaimFirst, ending != .commits {
            // Rolled back, or repeated when the batch was paused.
            #expect(lease == nil)
        } else {
            let held = try #require(lease)
            let receipt = try await fixture.queue.record(RaceFixture.outcomes(held), lease: held, worker: worker)
            #expect(receipt == .accepted(remaining: nil))
        }
        try await race.expectExactLedger()
        try await fixture.queue.setState(.open, batch: batch)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `what a worker claims while it is reported dead is rescued`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let fixture = race.fixture
        _ = try await race.batch(pages: 4)
        let worker = try await fixture.worker()
        let outcome = try await race.run(ending) { queue in
            try await fixture.claim(worker, on: queue)
        } second: { queue in
            try await queue.reportDead(workers: [worker])
        }
        #expect(!outcome.hasWaited)
        try await race.expectExactLedger()
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == 0)
        #expect(try await race.attempts("lost") == (ending == .commits ? 1 : 0))
        try await race.finish()
    }
}
