import Shared
import SystemPackage
import Testing

/// Pages that are to be read again keep what they have until its successor is there.
@Suite struct RedoTests {
    typealias Fixture = QueueFixture

    private func prepared(
        _ outcomes: [PageOutcome] = [Fixture.done(1, "old"), Fixture.done(2, "old")]
    ) async throws -> (fixture: Fixture, batch: Int64, worker: Int64, document: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 2)], to: batch)
        let worker = try await fixture.worker()
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(outcomes, lease: lease, worker: worker)
        return (fixture, batch, worker, lease.documentID)
    }

    /// What a retry does to the tables: the page is marked, not tallied, and covered by a job.
    private func ask(_ fixture: Fixture, _ batch: Int64, page: Int64, mode: String?) async throws {
        try await fixture.database.query(
            """
            WITH marked AS (
              UPDATE quire.page SET redo_token = nextval('quire.lease_token'), redo_mode = $2 WHERE page_no = $1
              RETURNING document_id, state),
            made AS (
              INSERT INTO quire.job (batch_id, document_id, first_page, n_pages, override_mode)
              SELECT $3, document_id, $1, 1, $2 FROM marked),
            opened AS (UPDATE quire.batch SET has_jobs = true WHERE id = $3)
            INSERT INTO quire.tally_delta (batch_id, document_id, done, failed)
            SELECT $3, document_id, -(state = 'done')::int, -(state = 'failed')::int FROM marked
            """, [.int(page), .text(mode), .int(batch)])
    }

    private func texts(_ fixture: Fixture, _ document: Int64) async throws -> [String?] {
        try await fixture.queue.pages(document: document, from: 1, limit: 9).map(\.text?.markdown)
    }

    private func expectExact(_ fixture: Fixture) async throws {
        try await fixture.queue.maintain()
        for status in try await fixture.queue.status(batch: nil) {
            #expect(status.pages == (try await fixture.countedPages(status.id)))
        }
    }

    @Test func `the successor replaces the old text, which goes to the history`() async throws {
        let (fixture, batch, worker, document) = try await prepared()
        try await ask(fixture, batch, page: 2, mode: "gundam")
        #expect(try await texts(fixture, document) == ["old", "old"])
        #expect(
            try await fixture.queue.pages(document: document, from: 1, limit: 9).map(\.isToBeReadAgain) == [
                false, true,
            ])
        #expect(try await fixture.status(batch).pages.pending == 1)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.recordedElsewhere.isEmpty && lease.pipeline.mode == "gundam" && lease.pages == 2...2)
        let figure = Figure(name: "f.jpg", jpeg: [7])
        _ = try await fixture.queue.record([Fixture.done(2, "new", figures: [figure])], lease: lease, worker: worker)
        let pages = try await fixture.queue.pages(document: document, from: 1, limit: 9)
        #expect(pages.map(\.text?.markdown) == ["old", "new"] && pages.map(\.pipeline.mode) == ["base", "gundam"])
        #expect(pages[1].token == lease.token && pages[1].text?.figures == [figure] && !pages[1].isToBeReadAgain)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.page_history WHERE markdown = 'old' AND page_no = 2")
                == 1)
        #expect(try await fixture.status(batch).documents.complete == 1)
        try await expectExact(fixture)
    }

    @Test(arguments: [false, true])
    func `a failure keeps the good text, and takes the place of an older failure`(hadText: Bool) async throws {
        let (fixture, batch, worker, document) = try await prepared([
            Fixture.done(1, "old"), hadText ? Fixture.done(2, "old") : Fixture.failed(2, isPermanent: true),
        ])
        try await ask(fixture, batch, page: 2, mode: nil)
        let lease = try #require(try await fixture.claim(worker))
        let failure = PageOutcome(page: 2, result: .failed(reason: "Worse.", isPermanent: true))
        let receipt = try await fixture.queue.record([failure], lease: lease, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        let page = try #require(try await fixture.queue.pages(document: document, from: 2, limit: 1).first)
        #expect(page.state == (hadText ? .done : .failed) && !page.isToBeReadAgain)
        #expect(page.error == (hadText ? nil : "Worse."))
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.page_history WHERE state = 'failed' AND page_no = 2")
                == 1)
        let status = try await fixture.status(batch)
        #expect(status.pages.done == (hadText ? 2 : 1) && status.pages.failed == (hadText ? 0 : 1))
        #expect(status.isFinished)
        try await expectExact(fixture)
    }

    // A10: `retry --mode X` was ignored while another batch had the page in hand.
    @Test func `a lease from before it was asked for does not answer it, and its page is read as asked`() async throws {
        let fixture = try await Fixture()
        let (one, two) = (try await fixture.openBatch(), try await fixture.openBatch("two", folder: "two"))
        for (batch, path) in [(one, FilePath("archive/a.pdf")), (two, "two/a.pdf")] {
            _ = try await fixture.queue.add([Fixture.document(path, content: "a", pages: 2)], to: batch)
        }
        let worker = try await fixture.worker()
        try await fixture.queue.setState(.paused, batch: one)
        let early = try #require(try await fixture.claim(worker))
        try await fixture.queue.setState(.paused, batch: two)
        try await fixture.queue.setState(.open, batch: one)
        try await fixture.finishAll(worker, text: "old")
        try await ask(fixture, one, page: 2, mode: "gundam")

        let late = try await fixture.queue.record(
            [Fixture.done(1, "late"), Fixture.done(2, "late")], lease: early, worker: worker)
        #expect(late == .accepted(remaining: nil))
        #expect(try await texts(fixture, early.documentID) == ["old", "old"])
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE override_mode = 'gundam'") == 2)
        #expect(try await fixture.status(two).pages.done == 1)
        try await expectExact(fixture)
        try await fixture.queue.setState(.open, batch: two)
        try await fixture.finishAll(worker, text: "new")
        let pages = try await fixture.queue.pages(document: early.documentID, from: 1, limit: 9)
        #expect(pages.map(\.text?.markdown) == ["old", "new"] && pages.map(\.pipeline.mode) == ["base", "gundam"])
        for batch in [one, two] { #expect(try await fixture.status(batch).documents.complete == 1) }
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 1)
        try await expectExact(fixture)
    }

    @Test func `a result made otherwise than was asked is not taken, nor is the wish lost with its batch`() async throws
    {
        let (fixture, batch, worker, document) = try await prepared()
        try await ask(fixture, batch, page: 1, mode: "gundam")
        try await fixture.database.query("UPDATE quire.job SET override_mode = NULL")
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1, "otherwise")], lease: lease, worker: worker)
        #expect(try await texts(fixture, document) == ["old", "old"])
        try await expectExact(fixture)
        try await fixture.queue.setState(.cancelled, batch: batch)
        try await fixture.queue.setState(.open, batch: batch)
        #expect(try await fixture.status(batch).pages.pending == 1)
        try await expectExact(fixture)
        #expect(try await fixture.claim(worker)?.pipeline.mode == "gundam")
    }

    @Test func `a page that kills workers when it is read again keeps its text`() async throws {
        let (fixture, batch, _, document) = try await prepared()
        try await fixture.database.query("UPDATE quire.batch SET max_losses = 1")
        try await ask(fixture, batch, page: 1, mode: nil)
        let doomed = try await fixture.worker("doomed", pid: 5)
        _ = try #require(try await fixture.claim(doomed))
        try await fixture.queue.reportDead(workers: [doomed])
        #expect(try await texts(fixture, document) == ["old", "old"])
        #expect(try await fixture.number("SELECT count(*) FROM quire.page WHERE redo_token IS NOT NULL") == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history WHERE state = 'quarantined'") == 1)
        #expect(try await fixture.status(batch).pages.done == 2)
        try await expectExact(fixture)
    }
}
