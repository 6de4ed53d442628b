import Shared
import SystemPackage
import TestSupport
import Testing

/// A document that turns out to have more or fewer pages than was counted.
@Suite struct PageCountTests {
    typealias Fixture = QueueFixture

    private func shared(
        pages: Int
    ) async throws -> (fixture: Fixture, batches: [Int64], worker: Int64, document: Int64) {
        let fixture = try await Fixture()
        var batches: [Int64] = []
        for folder in ["archive", "b", "c"] as [FilePath] {
            let batch = try await fixture.openBatch(folder: folder)
            _ = try await fixture.queue.add(
                [Fixture.document(folder.appending("a.pdf"), content: "a", pages: pages)], to: batch)
            batches.append(batch)
        }
        try await fixture.queue.setState(.cancelled, batch: batches[2])
        let document = try await fixture.number("SELECT id FROM quire.document")
        return (fixture, batches, try await fixture.worker(), document)
    }

    @Test(arguments: [true, false])
    func `further pages are queued in all batches that are not over`(isFolded: Bool) async throws {
        let (fixture, batches, worker, document) = try await shared(pages: 4)
        try await fixture.finishAll(worker)
        if isFolded { try await fixture.queue.maintain() }
        #expect(try await fixture.queue.correctPageCount(document: document, count: 40))
        #expect(try await !fixture.queue.correctPageCount(document: document, count: 40))
        for batch in batches.prefix(2) {
            let status = try await fixture.status(batch)
            #expect(status.pages.total == 40 && status.pages.done == 4 && status.pages.pending == 36)
            #expect(status.documents.complete == 0 && status.documents.pending == 1)
            #expect(status.pages == (try await fixture.countedPages(batch)))
        }
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE batch_id = $1", [.int(batches[2])]) == 0)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batches[0]).documents.complete == 1)
        try await fixture.queue.setState(.open, batch: batches[2])
        #expect(try await fixture.status(batches[2]).pages.done == 40)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test(arguments: [true, false])
    func `of fewer, results beyond the end go to the history and jobs end there`(isFolded: Bool) async throws {
        let (fixture, batches, worker, document) = try await shared(pages: 40)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.pages == 1...16)
        _ = try await fixture.queue.record(
            (1...16).map { $0 == 9 ? Fixture.failed($0, isPermanent: true) : Fixture.done($0) }, lease: lease,
            worker: worker)
        let reaching = try #require(try await fixture.claim(worker))
        if isFolded { try await fixture.queue.maintain() }
        #expect(try await fixture.queue.correctPageCount(document: document, count: 7))
        // A lease that ends before the end would stay; this one's range is gone, or handed out again.
        let receipt = try await fixture.queue.record(
            reaching.pages.map { Fixture.done($0) }, lease: reaching, worker: worker)
        #expect(receipt == .leaseLost)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page") == 7)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page_history") == 9)
        for batch in batches.prefix(2) {
            let status = try await fixture.status(batch)
            #expect(status.pages.total == 7 && status.pages.failed == 0)
            #expect(status.pages == (try await fixture.countedPages(batch)))
        }
        #expect(try await QueueCheck(fixture.queue).faults() == [])
        try await fixture.finishAll(worker)
        for batch in batches.prefix(2) { #expect(try await fixture.status(batch).documents.complete == 1) }
        try await fixture.queue.setState(.open, batch: batches[2])
        #expect(try await fixture.status(batches[2]).documents.complete == 1)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a lease within the pages that there are goes on`() async throws {
        let (fixture, batches, worker, document) = try await shared(pages: 40)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        #expect(try await fixture.queue.correctPageCount(document: document, count: 16))
        let receipt = try await fixture.queue.record(
            (2...16).map { Fixture.done($0) }, lease: lease, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        var done = 0
        for batch in batches.prefix(2) { done += try await fixture.status(batch).pages.done }
        #expect(done == 16)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a worker's login may correct a count, and change no document otherwise`() async throws {
        let (fixture, _, _, document) = try await shared(pages: 4)
        try await TestPostgres.shared.acceptAllRoles()
        func login(_ group: String) async throws -> PageQueue {
            let name = "\(group)_counts_\(UInt32.random(in: 0...UInt32.max))"
            try await fixture.database.query("CREATE ROLE \(name) LOGIN IN ROLE \(group)")
            return PageQueue(
                database: Database(connectionString: "\(fixture.connectionString) user=\(name)", limits: .brief))
        }
        let reader = try await login("quire_reader")
        let refusal = await #expect(throws: DatabaseError.self) {
            try await reader.correctPageCount(document: document, count: 6)
        }
        #expect(refusal?.description.contains("42501") == true, "\(String(describing: refusal))")
        let queue = try await login("quire_worker")
        #expect(try await queue.correctPageCount(document: document, count: 6))
        let error = await #expect(throws: DatabaseError.self) {
            try await queue.database.query("UPDATE quire.document SET page_count = 9")
        }
        guard case .server("42501", _, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await fixture.number("SELECT page_count::bigint FROM quire.document") == 6)
    }

    @Test func `contents are known by their digests, within the batch's pipeline`() async throws {
        let (fixture, batches, _, document) = try await shared(pages: 4)
        let known = try await fixture.queue.pageCounts(
            of: [Fixture.digest("a"), Fixture.digest("none")], batch: batches[0])
        #expect(known.count == 1)
        #expect(known[Fixture.digest("a")]?.document == document && known[Fixture.digest("a")]?.count == 4)
        let other = try await fixture.openBatch("tiny", mode: "tiny")
        #expect(try await fixture.queue.pageCounts(of: [Fixture.digest("a")], batch: other).isEmpty)
    }
}
