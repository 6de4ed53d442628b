import Shared
import SystemPackage
import Testing

/// A retry takes nothing away before its successor is there.
@Suite struct RetryTests {
    typealias Fixture = QueueFixture

    private func prepared(
        pages: Int = 4
    ) async throws -> (fixture: Fixture, batch: Int64, worker: Int64, document: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: pages)], to: batch)
        try await fixture.finishAll(worker, text: "old")
        return (fixture, batch, worker, try await fixture.number("SELECT id FROM quire.document"))
    }

    private func pages(_ document: Int64, _ fixture: Fixture) async throws -> [ExportPage] {
        try await fixture.queue.pages(document: document, from: 1, limit: 100)
    }

    @Test func `good text stays until its successor is there, and is said to be read again`() async throws {
        let (fixture, batch, worker, document) = try await prepared()
        let whole = RetrySelection.document(id: document, includingDone: true)
        #expect(try await fixture.queue.retry(whole, batch: batch, override: nil) == 4)
        var found = try await pages(document, fixture)
        #expect(found.map(\.text?.markdown) == Array(repeating: "old", count: 4))
        #expect(found.map(\.isToBeReadAgain) == Array(repeating: true, count: 4))
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 0)
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 0 && status.pages.pending == 4 && status.documents.complete == 0)
        #expect(try await QueueCheck(fixture.queue).faults() == [])

        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.recordedElsewhere.isEmpty)
        _ = try await fixture.queue.record(
            [Fixture.done(1, "new"), Fixture.done(2, "new")], lease: lease, worker: worker)
        found = try await pages(document, fixture)
        #expect(found.map(\.text?.markdown) == ["new", "new", "old", "old"])
        #expect(found.map(\.isToBeReadAgain) == [false, false, true, true])
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 2)
        #expect(try await fixture.status(batch).pages.done == 2)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a retry that fails keeps the good text, and the failure goes to the history`() async throws {
        let (fixture, batch, worker, document) = try await prepared(pages: 2)
        let whole = RetrySelection.document(id: document, includingDone: true)
        _ = try await fixture.queue.retry(whole, batch: batch, override: PipelineOverride(mode: "gundam"))
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.failed(1, isPermanent: true), Fixture.blank(2)], lease: lease, worker: worker)
        let found = try await pages(document, fixture)
        #expect(found.map(\.state) == [.done, .blank] && found[0].text?.markdown == "old")
        #expect(!found[0].isToBeReadAgain && found[0].pipeline.mode == "base")
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 1 && status.pages.blank == 1 && status.documents.complete == 1)
        let report = try await fixture.queue.report(document: document, page: 1)
        #expect(report.replaced.map(\.state) == [.failed] && report.replaced[0].mode == "gundam")
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a late result of another batch does not answer a retry with another mode`() async throws {
        let (fixture, first, worker, document) = try await prepared()
        // Another batch's worker has the pages in hand since before they were recorded.
        let second = try await fixture.openBatch("second", folder: "b")
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 4)], to: second)
        let whole = RetrySelection.document(id: document, includingDone: true)
        _ = try await fixture.queue.retry(whole, batch: second, override: nil)
        try await fixture.queue.setState(.paused, batch: first)
        let late = try #require(try await fixture.claim(worker))
        #expect(late.batchID == second)
        try await fixture.queue.setState(.open, batch: first)

        let page = RetrySelection.page(document: document, page: 2)
        #expect(try await fixture.queue.retry(page, batch: first, override: PipelineOverride(mode: "gundam")) == 1)
        let receipt = try await fixture.queue.record(
            late.pages.map { Fixture.done($0, "late") }, lease: late, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        var found = try await pages(document, fixture)
        #expect(found.map(\.text?.markdown) == ["late", "old", "late", "late"])
        #expect(found.map(\.isToBeReadAgain) == [false, true, false, false])
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        while let lease = try await fixture.claim(worker) {
            let left = lease.pages.filter { !lease.recordedElsewhere.contains($0) }
            #expect(left.allSatisfy { $0 != 2 } || lease.pipeline.mode == "gundam" || lease.pages.count > 1)
            _ = try await fixture.queue.record(
                left.map { Fixture.done($0, lease.pipeline.mode) }, alreadyRecorded: lease.recordedElsewhere,
                lease: lease, worker: worker)
        }
        found = try await pages(document, fixture)
        #expect(found[1].text?.markdown == "gundam" && found[1].pipeline.mode == "gundam")
        for batch in [first, second] { #expect(try await fixture.status(batch).documents.complete == 1) }
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `the latest order about a page is the one that counts, and the same one again is none`() async throws {
        let (fixture, batch, worker, document) = try await prepared(pages: 1)
        let page = RetrySelection.page(document: document, page: 1)
        let override = { (mode: String) in PipelineOverride(mode: mode) }
        #expect(try await fixture.queue.retry(page, batch: batch, override: override("large")) == 1)
        let early = try #require(try await fixture.claim(worker))
        #expect(early.pipeline.mode == "large")
        #expect(try await fixture.queue.retry(page, batch: batch, override: override("large")) == 0)
        #expect(try await fixture.queue.retry(page, batch: batch, override: nil) == 0)
        #expect(try await fixture.queue.retry(page, batch: batch, override: override("gundam")) == 1)
        _ = try await fixture.queue.record([Fixture.done(1, "large")], lease: early, worker: worker)
        #expect(try await pages(document, fixture).map(\.text?.markdown) == ["old"])
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.pipeline.mode == "gundam")
        _ = try await fixture.queue.record([Fixture.done(1, "gundam")], lease: lease, worker: worker)
        #expect(try await pages(document, fixture).map(\.text?.markdown) == ["gundam"])
        #expect(try await fixture.status(batch).documents.complete == 1)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a page that waits after a retry is hurried, and read as the last order says`() async throws {
        let (fixture, batch, worker, document) = try await prepared(pages: 1)
        let page = RetrySelection.page(document: document, page: 1)
        _ = try await fixture.queue.retry(page, batch: batch, override: nil)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.failed(1)], lease: lease, worker: worker)
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await pages(document, fixture)[0].text?.markdown == "old")
        #expect(try await fixture.queue.retry(.failed, batch: batch, override: PipelineOverride(mode: "gundam")) == 1)
        let again = try #require(try await fixture.claim(worker))
        #expect(again.pipeline.mode == "gundam")
        _ = try await fixture.queue.record([Fixture.done(1, "gundam")], lease: again, worker: worker)
        #expect(try await pages(document, fixture).map(\.text?.markdown) == ["gundam"])
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a cancelled retry is queued again as it was asked when the batch is resumed`() async throws {
        let (fixture, batch, worker, document) = try await prepared(pages: 20)
        let page = RetrySelection.page(document: document, page: 7)
        _ = try await fixture.queue.retry(page, batch: batch, override: PipelineOverride(mode: "gundam"))
        try await fixture.queue.setState(.cancelled, batch: batch)
        #expect(try await pages(document, fixture)[6].text?.markdown == "old")
        try await fixture.queue.setState(.open, batch: batch)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.pages == 7...7 && lease.pipeline.mode == "gundam")
        _ = try await fixture.queue.record([Fixture.done(7, "new")], lease: lease, worker: worker)
        #expect(try await fixture.status(batch).documents.complete == 1)
    }
}
