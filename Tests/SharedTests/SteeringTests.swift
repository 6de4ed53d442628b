import Shared
import SystemPackage
import Testing

@Suite struct SteeringTests {
    typealias Fixture = QueueFixture

    private func prepared(pages: Int) async throws -> (fixture: Fixture, batch: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            [Fixture.document("archive/sub/a.pdf", content: "a", pages: pages)], to: batch)
        return (fixture, batch, try await fixture.worker())
    }

    @Test func `a paused batch is not claimed, and its leases run on`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 20)
        let lease = try #require(try await fixture.claim(worker))
        try await fixture.queue.setState(.paused, batch: batch)
        #expect(try await fixture.claim(worker) == nil)
        let receipt = try await fixture.queue.record(
            lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        try await fixture.queue.setState(.open, batch: batch)
        #expect(try await fixture.claim(worker)?.pages == 17...20)
    }

    @Test func `cancelling during work refuses the results, and resuming queues what is left`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 20)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        try await fixture.another().setState(.cancelled, batch: batch)
        let late = try await fixture.queue.record([Fixture.done(2)], lease: lease, worker: worker)
        #expect(late == .leaseLost)
        #expect(try await fixture.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'cancelled'") == 1)
        #expect(try await fixture.claim(worker) == nil)
        let cancelled = try await fixture.status(batch)
        #expect(cancelled.state == .cancelled && cancelled.pages.done == 1 && cancelled.pages.pending == 19)
        #expect(cancelled.secondsLeft == nil)
        let error = await #expect(throws: DatabaseError.self) {
            try await fixture.queue.retry(.failed, batch: batch, override: nil)
        }
        #expect(error?.description.contains("quire resume") == true)

        try await fixture.queue.setState(.open, batch: batch)
        #expect(try await fixture.claim(worker)?.pages == 2...17)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).pages.leased == 16)
    }

    @Test func `a batch resumed counts what another did meanwhile`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 5)
        try await fixture.queue.setState(.cancelled, batch: batch)
        let other = try await fixture.openBatch("other", folder: "b")
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 5)], to: other)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1), Fixture.blank(2)], lease: lease, worker: worker)
        try await fixture.queue.setState(.paused, batch: batch)
        let status = try await fixture.status(batch)
        #expect(status.pages.done == 1 && status.pages.blank == 1 && status.pages.pending == 3)
        #expect(status.pages == (try await fixture.countedPages(batch)))
    }

    @Test func `a cancellation and a record at the same time agree`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        let (one, two) = (fixture.another(), fixture.another())
        for round in 0..<20 {
            let path = FilePath("archive/\(round)")
            _ = try await fixture.queue.add([Fixture.document(path, content: "\(round)", pages: 2)], to: batch)
            let lease = try #require(try await fixture.claim(worker))
            async let receipt = one.record([Fixture.failed(1), Fixture.done(2)], lease: lease, worker: worker)
            async let cancelled: Void = two.setState(.cancelled, batch: batch)
            _ = try await (receipt, cancelled)
            #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 0)
            try await fixture.queue.setState(.open, batch: batch)
            try await fixture.finishAll(worker)
            #expect(try await fixture.status(batch).pages.done == Int64(2 * (round + 1)))
        }
    }

    @Test func `failed pages are tried again with another mode, and their old results kept`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 4)
        let lease = try #require(try await fixture.claim(worker))
        let outcomes = [
            Fixture.done(1), Fixture.failed(2, isPermanent: true), Fixture.failed(3, isPermanent: true),
            Fixture.blank(4),
        ]
        _ = try await fixture.queue.record(outcomes, lease: lease, worker: worker)
        #expect(try await fixture.status(batch).documents.withFailures == 1)
        let queued = try await fixture.queue.retry(.failed, batch: batch, override: PipelineOverride(mode: "gundam"))
        #expect(queued == 2)
        var status = try await fixture.status(batch)
        #expect(status.pages.failed == 0 && status.pages.pending == 2)
        #expect(status.documents.pending == 1 && status.documents.withFailures == 0)
        let again = try #require(try await fixture.claim(worker))
        #expect(again.pages == 2...3 && again.pipeline.mode == "gundam" && again.attempt == 1)
        #expect(again.pipeline.prompt == Fixture.pipeline().prompt)
        _ = try await fixture.queue.record([Fixture.done(2), Fixture.done(3)], lease: again, worker: worker)
        status = try await fixture.status(batch)
        #expect(status.pages.done == 3 && status.documents.complete == 1)
        let pages = try await fixture.queue.pages(document: lease.documentID, from: 1, limit: 9)
        #expect(pages.map(\.pipeline.mode) == ["base", "gundam", "gundam", "base"])
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history WHERE state = 'failed'") == 2)
        #expect(try await fixture.queue.retry(.failed, batch: batch, override: nil) == 0)
    }

    @Test func `one page or a whole document is recognised again, in all batches that hold it`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 40)
        let other = try await fixture.openBatch("other", folder: "b")
        try await fixture.finishAll(worker, text: "old")
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 40)], to: other)
        let found = try await fixture.queue.documents(matching: "sub/a.pdf", batch: batch)
        let document = try #require(found.first)
        #expect(document.pageCount == 40)

        #expect(
            try await fixture.queue.retry(.page(document: document.id, page: 7), batch: batch, override: nil) == 1)
        for id in [batch, other] {
            #expect(try await fixture.status(id).pages.pending == 1)
            #expect(try await fixture.status(id).documents.complete == 0)
        }
        try await fixture.finishAll(worker, text: "new")
        for id in [batch, other] { #expect(try await fixture.status(id).documents.complete == 1) }
        let pages = try await fixture.queue.pages(document: document.id, from: 6, limit: 3)
        #expect(pages.map(\.text?.markdown) == ["old", "new", "old"])

        let all = RetrySelection.document(id: document.id, includingDone: true)
        #expect(try await fixture.queue.retry(all, batch: other, override: nil) == 40)
        #expect(try await fixture.status(batch).pages == (try await fixture.countedPages(batch)))
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.pages == 1...16)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 1)
        let failed = RetrySelection.document(id: document.id, includingDone: false)
        #expect(try await fixture.queue.retry(failed, batch: batch, override: nil) == 0)
        try await fixture.queue.release(lease, worker: worker)
        try await fixture.finishAll(worker, text: "newest")
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 41)
        let last = try await fixture.queue.pages(document: document.id, from: 1, limit: 40)
        #expect(last.map(\.text?.markdown) == Array(repeating: "newest", count: 40))
        for id in [batch, other] { #expect(try await fixture.status(id).documents.complete == 1) }
    }

    @Test func `figures of a replaced result do not mix with the new ones`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 1)
        for round in 1...2 {
            let lease = try #require(try await fixture.claim(worker))
            let figure = Figure(name: "p0001-0.jpg", jpeg: [UInt8(round)])
            _ = try await fixture.queue.record([Fixture.done(1, figures: [figure])], lease: lease, worker: worker)
            let pages = try await fixture.queue.pages(document: lease.documentID, from: 1, limit: 1)
            #expect(pages.first?.text?.figures == [figure])
            let page = RetrySelection.page(document: lease.documentID, page: 1)
            #expect(try await fixture.queue.retry(page, batch: batch, override: nil) == 1)
        }
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_figure") == 2)
    }

    @Test func `a retry hurries pages that wait`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 1)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.failed(1)], lease: lease, worker: worker)
        #expect(try await fixture.claim(worker) == nil)
        let queued = try await fixture.queue.retry(.failed, batch: batch, override: PipelineOverride(prompt: "<image>"))
        #expect(queued == 1)
        #expect(try await fixture.claim(worker)?.pipeline.prompt == "<image>")
    }

    @Test func `what is not there is named in a sentence`() async throws {
        let (fixture, batch, _) = try await prepared(pages: 3)
        let document = try #require(try await fixture.queue.documents(matching: "a.pdf", batch: batch).first)
        await #expect(throws: DatabaseError.notFound(reason: "There is no page 4: the document has 3.")) {
            try await fixture.queue.retry(.page(document: document.id, page: 4), batch: batch, override: nil)
        }
        await #expect(throws: DatabaseError.notFound(reason: "The batch has no document number 99.")) {
            try await fixture.queue.retry(.page(document: 99, page: 1), batch: batch, override: nil)
        }
        await #expect(throws: DatabaseError.notFound(reason: "There is no batch number 99.")) {
            try await fixture.queue.setState(.paused, batch: 99)
        }
    }

    @Test func `documents are found by path, by the end of one, and all that fit`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let odd = FilePath(bytes: Array("archive/x/".utf8) + [0xE4, 0x27] + Array(".pdf".utf8))
        _ = try await fixture.queue.add(
            [
                Fixture.document("archive/1871/letter.pdf", content: "1", pages: 1),
                Fixture.document("archive/1872/letter.pdf", content: "2", pages: 1),
                Fixture.document("archive/letter.pdf", content: "3", pages: 1),
                Fixture.document("archive/other-letter.pdf", content: "4", pages: 1),
                Fixture.document(odd, content: "5", pages: 1),
                Fixture.document("archive/2/same.pdf", content: "5", pages: 1),
            ], to: batch)
        let find = { (path: FilePath) in
            try await fixture.queue.documents(matching: path, batch: batch).map(\.location.path)
        }
        #expect(try await find("1871/letter.pdf") == ["archive/1871/letter.pdf"])
        #expect(try await find("archive/1872/letter.pdf") == ["archive/1872/letter.pdf"])
        #expect(try await find("letter.pdf") == ["archive/letter.pdf"])
        #expect(try await find("./other-letter.pdf") == ["archive/other-letter.pdf"])
        #expect(try await find("same.pdf") == ["archive/2/same.pdf"])
        #expect(try await find(FilePath(bytes: [0xE4, 0x27] + Array(".pdf".utf8))) == [odd])
        #expect(try await find("none.pdf") == [])
        #expect(try await find("") == [])
        try await fixture.database.query("DELETE FROM quire.batch_file WHERE path = 'archive/letter.pdf'::bytea")
        #expect(try await find("letter.pdf").count == 2)
    }
}
