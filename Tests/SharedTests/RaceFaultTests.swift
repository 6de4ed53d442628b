import Shared
import SystemPackage
import Testing

/// The last fault of a file against whatever may make its pages readable again: none stays stranded without a reason.
@Suite struct RaceFaultTests {
    typealias Ending = RaceFixture.Ending
    typealias Fixture = QueueFixture

    /// A lease whose only file had all faults but one, and one of another batch whose file has had all by now.
    private struct Prepared {
        let race: RaceFixture
        let batch: Int64
        let other: Int64
        let lease: Lease
        let otherLease: Lease
        let worker: Int64

        init() async throws {
            race = try await RaceFixture()
            batch = try await race.batch(pages: 4)
            other = try await race.batch(pages: 4, folder: "b")
            let leased = try await race.lease(batch)
            (lease, worker) = leased
            otherLease = try await race.lease(other, "other").lease
            try await race.fixture.database.query(
                """
                UPDATE quire.batch_file SET fault = 'x', fault_at = now() - interval '1 d',
                  fault_count = CASE batch_id WHEN $1 THEN 2 ELSE 3 END
                """, [.int(batch)])
            try await race.fixture.queue.maintain()
        }

        var otherWorker: Int64 {
            get async throws {
                try await race.fixture.number(
                    "SELECT worker_id FROM quire.job WHERE token = $1", [.int(otherLease.token)])
            }
        }

        @Sendable func fault(_ queue: PageQueue) async throws -> FaultReceipt {
            try await queue.report(fileFault: "It is missing.", lease: lease, worker: worker)
        }

        @Sendable func submit(_ queue: PageQueue) async throws -> SubmitCounts {
            try await queue.add([RaceFixture.document(pages: 4)], to: batch)
        }

        /// Everything ends: nothing is stranded where a file or a result is there.
        func finish() async throws {
            try await race.finish()
            #expect(try await race.fixture.status(batch).pages.stranded == 0)
            #expect(try await race.fixture.status(batch).pages.failed == 0)
        }
    }

    @Test(arguments: Ending.allCases)
    func `a submission waits for a file's last fault, and brings its pages back`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let outcome = try await prepared.race.run(ending, first: prepared.fault, second: prepared.submit)
        #expect(outcome.hasWaited)
        if ending == .commits { #expect(outcome.first == .stranded) }
        try await prepared.race.expectExactLedger()
        #expect(try await prepared.race.fixture.status(prepared.batch).pages.stranded == 0)
        try await prepared.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a file's last fault strands nothing while its file is submitted`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let outcome = try await prepared.race.run(ending, first: prepared.submit, second: prepared.fault)
        #expect(!outcome.hasWaited)
        #expect(outcome.second != .stranded && outcome.second != .lost)
        try await prepared.race.expectExactLedger()
        if ending != .rollsBack { try await prepared.finish() }
    }

    @Test(arguments: Ending.allCases)
    func `a result of another batch waits for a file's last fault, and settles its pages`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let other = try await prepared.otherWorker
        let lease = prepared.otherLease
        let outcome = try await prepared.race.run(ending, first: prepared.fault) { queue in
            try await queue.record(RaceFixture.outcomes(lease), lease: lease, worker: other)
        }
        #expect(outcome.second == .accepted(remaining: nil))
        try await prepared.race.expectExactLedger()
        try await prepared.finish()
        #expect(try await prepared.race.fixture.status(prepared.batch).pages.done == 4)
    }

    @Test(arguments: Ending.allCases)
    func `a file's last fault strands nothing that another batch is just recording`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let other = try await prepared.otherWorker
        let lease = prepared.otherLease
        let outcome = try await prepared.race.run(
            ending,
            first: { queue in
                try await queue.record(RaceFixture.outcomes(lease), lease: lease, worker: other)
            }, second: prepared.fault)
        #expect(!outcome.hasWaited)
        #expect(outcome.second == .waits)
        try await prepared.race.expectExactLedger()
        if ending != .rollsBack { try await prepared.finish() }
    }

    @Test(arguments: Ending.allCases)
    func `a retry waits for a file's last fault, and brings its pages back`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let outcome = try await prepared.race.run(ending, first: prepared.fault) { queue in
            try await queue.retry(
                .document(id: prepared.lease.documentID, includingDone: false), batch: prepared.batch, override: nil)
        }
        #expect(outcome.hasWaited)
        if ending == .commits { #expect(outcome.second == 4) }
        try await prepared.race.expectExactLedger()
        if ending == .commits { #expect(try await prepared.race.fixture.status(prepared.batch).pages.stranded == 0) }
    }

    @Test(arguments: Ending.allCases)
    func `a cancellation waits for a file's last fault, and leaves nothing stranded`(ending: Ending) async throws {
        let prepared = try await Prepared()
        let outcome = try await prepared.race.run(ending, first: prepared.fault) { queue in
            try await queue.setState(.cancelled, batch: prepared.batch)
        }
        #expect(outcome.hasWaited)
        let status = try await prepared.race.fixture.status(prepared.batch)
        #expect(status.pages.stranded == 0 && status.pages.pending == 4)
        try await prepared.race.fixture.queue.setState(.open, batch: prepared.batch)
        try await prepared.race.expectExactLedger()
    }

    @Test func `what is stranded is freed by a result that is stored while a page count is corrected`() async throws {
        let prepared = try await Prepared()
        let (race, worker) = (prepared.race, try await prepared.otherWorker)
        #expect(try await prepared.fault(race.fixture.queue) == .stranded)
        // The correction comes to the stranded job while the result holds another one.
        for statement in [
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$",
            "CREATE TRIGGER slow BEFORE INSERT ON quire.page FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        ] { try await race.fixture.database.query(statement) }
        let (recording, correcting) = (race.fixture.another(), race.fixture.another())
        let lease = prepared.otherLease
        async let receipt = recording.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
        try await Task.sleep(for: .milliseconds(200))
        try await correcting.correctPageCount(document: lease.documentID, count: 5)
        _ = try await receipt
        try await race.expectExactLedger()
        #expect(try await race.fixture.status(prepared.batch).pages.stranded == 0)
        await recording.database.close()
        await correcting.database.close()
    }
}
