import Shared
import SystemPackage
import Testing

/// Results against rescue, cancellation, each other, and late results of workers that were given up.
@Suite struct RaceRecordTests {
    typealias Ending = RaceFixture.Ending
    typealias Fixture = QueueFixture

    enum Rescue: CaseIterable, Sendable {
        case overdue, reportedDead
    }

    private func rescue(_ rescue: Rescue, _ worker: Int64, _ queue: PageQueue) async throws {
        switch rescue {
        case .overdue: try await queue.maintain()
        case .reportedDead: try await queue.reportDead(workers: [worker])
        }
    }

    private func prepared() async throws -> (race: RaceFixture, batch: Int64, lease: Lease, worker: Int64) {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 4)
        let (lease, worker) = try await race.lease(batch)
        try await race.fixture.queue.maintain()
        return (race, batch, lease, worker)
    }

    private func record(_ lease: Lease, _ worker: Int64, _ queue: PageQueue) async throws -> RecordReceipt {
        try await queue.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
    }

    @Test(arguments: Ending.allCases, Rescue.allCases)
    func `a rescue passes over a lease that is just being completed`(ending: Ending, rescue: Rescue) async throws {
        let (race, _, lease, worker) = try await prepared()
        try await race.fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        let outcome = try await race.run(ending) { queue in
            try await record(lease, worker, queue)
        } second: { queue in
            try await self.rescue(rescue, worker, queue)
        }
        #expect(!outcome.hasWaited)
        if ending != .rollsBack {
            #expect(outcome.first == .accepted(remaining: nil))
            #expect(try await race.attempts("lost") == 0)
        }
        try await race.expectExactLedger()
        #expect(try await race.attempts("lost") == (ending == .rollsBack ? 1 : 0))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases, Rescue.allCases)
    func `a completion waits for a rescue, and is refused once it is committed`(
        ending: Ending, rescue: Rescue
    ) async throws {
        let (race, _, lease, worker) = try await prepared()
        try await race.fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        let outcome = try await race.run(ending) { queue in
            try await self.rescue(rescue, worker, queue)
        } second: { queue in
            try await record(lease, worker, queue)
        }
        #expect(outcome.hasWaited)
        #expect(outcome.second == (ending == .commits ? .leaseLost : .accepted(remaining: nil)))
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.page") == (ending == .commits ? 0 : 4))
        #expect(try await race.attempts("lost") == (ending == .commits ? 1 : 0))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a cancellation waits for a completion and keeps its results`(ending: Ending) async throws {
        let (race, batch, lease, worker) = try await prepared()
        let outcome = try await race.run(ending) { queue in
            try await record(lease, worker, queue)
        } second: { queue in
            try await queue.setState(.cancelled, batch: batch)
        }
        #expect(outcome.hasWaited)
        #expect(
            outcome.first == (ending == .commits ? .accepted(remaining: nil) : ending == .rollsBack ? nil : .leaseLost))
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.page") == (ending == .commits ? 4 : 0))
        #expect(try await race.attempts("cancelled") == (ending == .commits ? 0 : 1))
        try await race.fixture.queue.setState(.open, batch: batch)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a completion waits for a cancellation, and is refused once it is committed`(ending: Ending) async throws {
        let (race, batch, lease, worker) = try await prepared()
        let outcome = try await race.run(ending) { queue in
            try await queue.setState(.cancelled, batch: batch)
        } second: { queue in
            try await record(lease, worker, queue)
        }
        #expect(outcome.hasWaited)
        #expect(outcome.second == (ending == .commits ? .leaseLost : .accepted(remaining: nil)))
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.page") == (ending == .commits ? 0 : 4))
        try await race.fixture.queue.setState(.open, batch: batch)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases, [2, 4])
    func `the same pages handed over twice at once are stored and counted once`(
        ending: Ending, count: Int
    ) async throws {
        let (race, batch, lease, worker) = try await prepared()
        let record = { @Sendable (queue: PageQueue) -> RecordReceipt in
            try await queue.record((1...count).map { Fixture.done($0) }, lease: lease, worker: worker)
        }
        let outcome = try await race.run(ending, first: record, second: record)
        let accepted = RecordReceipt.accepted(remaining: count == 4 ? nil : 3...4)
        #expect(outcome.hasWaited)
        #expect(outcome.second == accepted)
        #expect(outcome.first == (ending == .rollsBack ? nil : accepted))
        let again = try await record(race.fixture.another())
        #expect(again == accepted)
        #expect(try await race.fixture.status(batch).pages.done == count)
        try await race.finish()
    }

    @Test(arguments: ["claimed", "partly recorded", "finished"])
    func `a zombie's results are refused, however far its successor has come`(state: String) async throws {
        let (race, _, lost, zombie) = try await prepared()
        try await race.fixture.queue.reportDead(workers: [zombie])
        let worker = try await race.fixture.worker("successor", pid: 7)
        let lease = try #require(try await race.fixture.claim(worker))
        let pages = state == "claimed" ? 0 : state == "finished" ? 4 : 2
        if pages > 0 {
            _ = try await race.fixture.queue.record(
                (1...pages).map { Fixture.done($0, "good") }, lease: lease, worker: worker)
        }
        for outcomes in [[Fixture.done(1, "late")], RaceFixture.outcomes(lost, "late")] {
            let late = try await race.fixture.another().record(outcomes, lease: lost, worker: zombie)
            #expect(late == .leaseLost)
        }
        try await race.fixture.queue.release(lost, worker: zombie)
        #expect(try await race.texts(lease.documentID) == Array(repeating: "good", count: pages))
        if pages < 4 {
            let rest = (pages + 1...4).map { Fixture.done($0, "good") }
            let receipt = try await race.fixture.queue.record(rest, lease: lease, worker: worker)
            #expect(receipt == .accepted(remaining: nil))
        }
        #expect(try await race.texts(lease.documentID) == Array(repeating: "good", count: 4))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases, [true, false])
    func `a zombie is refused at once while its successor claims or records`(
        ending: Ending, isClaiming: Bool
    ) async throws {
        let (race, _, lost, zombie) = try await prepared()
        let fixture = race.fixture
        try await fixture.queue.reportDead(workers: [zombie])
        let worker = try await fixture.worker("successor", pid: 7)
        let lease = isClaiming ? nil : try await fixture.claim(worker)
        let outcome = try await race.run(ending) { queue in
            guard let lease else { return try await fixture.claim(worker, on: queue) != nil }
            return try await queue.record(RaceFixture.outcomes(lease, "good"), lease: lease, worker: worker)
                == .accepted(remaining: nil)
        } second: { queue in
            try await queue.record(RaceFixture.outcomes(lost, "late"), lease: lost, worker: zombie)
        }
        #expect(!outcome.hasWaited && outcome.second == .leaseLost)
        #expect(outcome.first != false)
        #expect(try await !race.texts(lost.documentID).contains("late"))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `two batches that record one page keep the first result and count it in both`(ending: Ending) async throws {
        let (race, batch, lease, worker) = try await prepared()
        let other = try await race.batch(pages: 4, folder: "b")
        let (second, secondWorker) = try await race.lease(other, "second")
        let outcome = try await race.run(ending) { queue in
            try await queue.record(RaceFixture.outcomes(lease, "first"), lease: lease, worker: worker)
        } second: { queue in
            try await queue.record(RaceFixture.outcomes(second, "second"), lease: second, worker: secondWorker)
        }
        #expect(outcome.hasWaited && outcome.second == .accepted(remaining: nil))
        let kept = ending == .commits ? "first" : "second"
        #expect(try await race.texts(lease.documentID) == Array(repeating: kept, count: 4))
        #expect(try await race.fixture.status(other).pages.done == 4)
        #expect(try await race.fixture.status(batch).pages.done == (ending == .rollsBack ? 0 : 4))
        try await race.finish()
    }
}
