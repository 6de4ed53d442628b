import Shared
import SystemPackage
import Testing

/// A deletion that was begun against all other orders.
@Suite struct DeletingTests {
    typealias Ending = RaceFixture.Ending
    typealias Fixture = QueueFixture

    private func prepared() async throws -> (fixture: Fixture, batch: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch("b")
        _ = try await fixture.queue.add(
            (0..<700).map { Fixture.document(FilePath("archive/\($0).pdf"), content: "\($0)", pages: 2) }, to: batch)
        let worker = try await fixture.worker()
        try await fixture.finishAll(worker)
        return (fixture, batch, worker)
    }

    @Test func `every order about a batch whose deletion was begun is refused with a sentence, and it goes on`()
        async throws
    {
        let (fixture, batch, _) = try await prepared()
        let queue = fixture.queue
        try await queue.beginDeleting(batch)
        #expect(try await fixture.status(batch).state == .deleting)
        let orders: [(String, () async throws -> Void)] = [
            ("resume", { try await queue.setState(.open, batch: batch) }),
            ("pause", { try await queue.setState(.paused, batch: batch) }),
            ("cancel", { try await queue.setState(.cancelled, batch: batch) }),
            ("retry", { _ = try await queue.retry(.failed, batch: batch, override: nil) }),
            ("priority", { _ = try await queue.setPriority(3, weight: nil, batch: batch) }),
            (
                "submit files",
                { _ = try await queue.add([Fixture.document("archive/n", content: "n", pages: 1)], to: batch) }
            ),
            ("submit a folder", { _ = try await fixture.openBatch() }),
            ("submit by name", { _ = try await fixture.openBatch("b") }),
        ]
        for (name, order) in orders {
            let error = await #expect(throws: DatabaseError.self, "\(name)") { try await order() }
            #expect(error == .isBeingDeleted("b"), "\(name)")
        }
        #expect(DatabaseError.isBeingDeleted("b").description.contains("quire prune --batch b --results --yes"))
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)

        let counts = try await queue.deleteBatch(batch)
        #expect(counts.documents == 700 && counts.results == 1400)
        for table in ["batch", "tally", "tally_delta", "batch_file", "batch_document", "job", "page", "throughput"] {
            #expect(try await fixture.number("SELECT count(*) FROM quire.\(table)") == 0, "\(table)")
        }
    }

    @Test(arguments: Ending.allCases)
    func `a batch that is resumed while its deletion begins is deleted, or open with all its jobs`(
        ending: Ending
    ) async throws {
        let race = try await RaceFixture()
        let batch = try await race.batch(pages: 40)
        try await race.fixture.queue.setState(.cancelled, batch: batch)
        let outcome = try await race.run(ending) { queue in
            try await queue.beginDeleting(batch)
        } second: { queue in
            await Result { try await queue.setState(.open, batch: batch) }
        }
        #expect(outcome.hasWaited)
        switch (ending, outcome.second) {
        case (.commits, .failure(let error as DatabaseError)): #expect(error == .isBeingDeleted("archive"))
        case (.rollsBack, .success), (.isCutAndRepeated, .success): break
        default: Issue.record("\(ending): \(outcome.second)")
        }
        let jobs = try await race.fixture.number("SELECT count(*) FROM quire.job")
        #expect(jobs == (ending == .rollsBack ? 3 : 0))
        _ = try await race.fixture.queue.deleteBatch(batch)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.job") == 0)
        #expect(try await race.fixture.number("SELECT count(*) FROM quire.batch") == 0)
    }

    @Test func `a retry in another batch makes no jobs in one that is being deleted`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let other = try await fixture.openBatch("other", folder: "b")
        _ = try await fixture.queue.add([Fixture.document("b/x.pdf", content: "3", pages: 2)], to: other)
        try await fixture.queue.beginDeleting(batch)
        let document = try #require(try await fixture.queue.documents(matching: "x.pdf", batch: other).first)
        let whole = RetrySelection.document(id: document.id, includingDone: true)
        #expect(try await fixture.queue.retry(whole, batch: other, override: nil) == 2)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.job WHERE batch_id = $1", [.int(batch)]) == 0)
        let counts = try await fixture.queue.deleteBatch(batch)
        #expect(counts.ownDocuments == 699)
        try await fixture.finishAll(worker, text: "new")
        #expect(try await fixture.status(other).documents.complete == 1)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `results of files that are gone go with their batch, too`() async throws {
        let (fixture, batch, _) = try await prepared()
        let file = try await fixture.number("SELECT min(id) FROM quire.batch_file")
        #expect(try await fixture.queue.markGone([file], batch: batch) == 1)
        #expect(try await fixture.status(batch).documents.total == 699)
        #expect(try await fixture.queue.deletion(of: batch).results == 1400)
        #expect(try await fixture.queue.deleteBatch(batch).results == 1400)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page") == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.batch_file") == 0)
    }
}

extension Result where Failure == any Error {
    /// What an asynchronous call gave or threw.
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
