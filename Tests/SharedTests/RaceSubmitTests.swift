import Shared
import SystemPackage
import Testing

/// Submissions and retries against results and against each other.
@Suite struct RaceSubmitTests {
    typealias Ending = RaceFixture.Ending
    typealias Fixture = QueueFixture

    /// Two batches that share a document: `done` has all its results, `other` holds a lease of it.
    private func shared() async throws -> (race: RaceFixture, done: Int64, other: Int64, lease: Lease, worker: Int64) {
        let race = try await RaceFixture()
        let done = try await race.batch(pages: 4)
        let other = try await race.batch(pages: 4, folder: "b")
        let (first, firstWorker) = try await race.lease(done, "first")
        _ = try await race.fixture.queue.record(
            RaceFixture.outcomes(first, "old"), lease: first, worker: firstWorker)
        let (lease, worker) = try await race.lease(other, "second")
        #expect(lease.recordedElsewhere == [1, 2, 3, 4])
        try await race.fixture.queue.maintain()
        return (race, done, other, lease, worker)
    }

    @Test(arguments: Ending.allCases)
    func `a retry waits for another batch that takes the results over`(ending: Ending) async throws {
        let (race, done, other, lease, worker) = try await shared()
        let outcome = try await race.run(ending) { queue in
            try await queue.record([], alreadyRecorded: lease.recordedElsewhere, lease: lease, worker: worker)
        } second: { queue in
            try await queue.retry(
                .document(id: lease.documentID, includingDone: true), batch: done, override: nil)
        }
        #expect(outcome.hasWaited && outcome.second == 4)
        try await race.expectExactLedger()
        // The old text stays until the new one is there.
        #expect(try await race.texts(lease.documentID) == Array(repeating: "old", count: 4))
        #expect(try await race.fixture.status(done).pages.pending == 4)
        #expect(try await race.fixture.status(other).pages.pending == 4)
        try await race.finish()
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.page_history") == 4)
        #expect(try await race.texts(lease.documentID) == Array(repeating: "text", count: 4))
    }

    @Test(arguments: Ending.allCases)
    func `results that a retry wants again meanwhile are not counted`(ending: Ending) async throws {
        let (race, done, other, lease, worker) = try await shared()
        let outcome = try await race.run(ending) { queue in
            try await queue.retry(
                .document(id: lease.documentID, includingDone: true), batch: done, override: nil)
        } second: { queue in
            try await queue.record([], alreadyRecorded: lease.recordedElsewhere, lease: lease, worker: worker)
        }
        #expect(outcome.hasWaited && outcome.second == .accepted(remaining: nil))
        try await race.expectExactLedger()
        #expect(try await race.fixture.status(other).pages.pending == (ending == .rollsBack ? 0 : 4))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a result of a lease from before a retry does not answer it`(ending: Ending) async throws {
        let (race, done, other, lease, worker) = try await shared()
        let outcome = try await race.run(ending) { queue in
            try await queue.retry(
                .document(id: lease.documentID, includingDone: true), batch: done, override: nil)
        } second: { queue in
            try await queue.record((1...4).map { Fixture.done($0, "new") }, lease: lease, worker: worker)
        }
        #expect(outcome.hasWaited && outcome.second == .accepted(remaining: nil))
        try await race.expectExactLedger()
        // Without the retry the first result is kept; with it, what was begun before is not what was asked for.
        #expect(try await race.texts(lease.documentID) == Array(repeating: "old", count: 4))
        #expect(try await race.fixture.status(other).pages.done == (ending == .rollsBack ? 4 : 0))
        try await race.finish()
        let last = ending == .rollsBack ? "old" : "text"
        #expect(try await race.texts(lease.documentID) == Array(repeating: last, count: 4))
        #expect(
            try await race.fixture.number("SELECT count(*) FROM quire.page_history")
                == (ending == .rollsBack ? 0 : 4))
    }

    private func changed() -> [ScannedFile] {
        [Fixture.document("archive/a.pdf", content: "changed", pages: 7, stamp: 2)]
    }

    @Test(arguments: Ending.allCases)
    func `a changed file waits for results of the old one, and takes it out of the batch`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 4)
        let (lease, worker) = try await race.lease(batch)
        try await race.fixture.queue.maintain()
        let outcome = try await race.run(ending) { queue in
            try await queue.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
        } second: { queue in
            try await queue.add(changed(), to: batch)
        }
        #expect(outcome.hasWaited && outcome.second.changed == 1)
        if ending == .isCutAndRepeated { #expect(outcome.first == .leaseLost) }
        let status = try await race.fixture.status(batch)
        #expect(status.pages.total == 7 && status.pages.pending == 7 && status.documents.total == 1)
        // Results are kept by content, for whoever submits the old file again.
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.page") == (ending == .commits ? 4 : 0))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `results of a file wait for its change, and are refused once it is committed`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 4)
        let (lease, worker) = try await race.lease(batch)
        let outcome = try await race.run(ending) { queue in
            try await queue.add(changed(), to: batch)
        } second: { queue in
            try await queue.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
        }
        #expect(outcome.hasWaited)
        #expect(outcome.second == (ending == .commits ? .leaseLost : .accepted(remaining: nil)))
        let status = try await race.fixture.status(batch)
        #expect(status.pages.total == (ending == .rollsBack ? 4 : 7))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `two submissions of the same files to one batch add them once`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let batch = try await race.fixture.openBatch()
        let files = (0..<5).map { Fixture.document(FilePath("archive/\($0).pdf"), content: "\($0)", pages: 20) }
        let add = { @Sendable (queue: PageQueue) -> SubmitCounts in try await queue.add(files, to: batch) }
        let outcome = try await race.run(ending, first: add, second: add)
        #expect(outcome.hasWaited)
        #expect(outcome.second.added == (ending == .commits ? 0 : 5))
        #expect(outcome.second.unchanged == (ending == .commits ? 5 : 0))
        if ending == .isCutAndRepeated { #expect(outcome.first?.unchanged == 5) }
        #expect(try await race.fixture.status(batch).pages.total == 100)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job") == 10)
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `two submissions of the same contents to two batches share the documents`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let batches = [try await race.fixture.openBatch(), try await race.fixture.openBatch(folder: "b")]
        let files = { @Sendable (folder: String, numbers: [Int]) in
            numbers.map { Fixture.document(FilePath("\(folder)/\($0).pdf"), content: "\($0)", pages: 20) }
        }
        let outcome = try await race.run(ending) { queue in
            try await queue.add(files("archive", Array(0..<5)), to: batches[0])
        } second: { queue in
            // In the opposite order, which must not make them lock each other out.
            try await queue.add(files("b", (0..<5).reversed()), to: batches[1])
        }
        #expect(outcome.hasWaited && outcome.second.pagesQueued == 100)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.document") == 5)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job") == (ending == .rollsBack ? 10 : 20))
        try await race.finish()
    }

    @Test(arguments: Ending.allCases)
    func `a folder that is submitted twice at once gets one batch`(ending: Ending) async throws {
        let race = try await RaceFixture()
        let open = { @Sendable (queue: PageQueue) -> (Int64, Bool) in
            let opened = try await queue.openBatch(
                name: nil, source: Fixture.folder(), pipeline: Fixture.pipeline(), priority: 0)
            return (opened.batch.id, opened.isNew)
        }
        let outcome = try await race.run(ending, first: open, second: open)
        #expect(outcome.hasWaited)
        #expect(outcome.second.1 == (ending != .commits))
        if ending != .rollsBack { #expect(outcome.first?.0 == outcome.second.0) }
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.batch") == 1)
    }
}
