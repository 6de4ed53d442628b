import Shared
import SystemPackage
import Testing

@Suite struct SubmitTests {
    typealias Fixture = QueueFixture

    @Test func `a batch is found again by folder and pipeline, and named for its folder`() async throws {
        let fixture = try await Fixture()
        let queue = fixture.queue
        let first = try await queue.openBatch(
            name: nil, source: Fixture.folder("a/letters"), pipeline: Fixture.pipeline(), priority: 3)
        #expect(first.isNew)
        #expect(first.batch.name == "letters")
        let again = try await queue.openBatch(
            name: nil, source: Fixture.folder("a/letters"), pipeline: Fixture.pipeline(), priority: 0)
        #expect(!again.isNew)
        #expect(again.batch.id == first.batch.id)
        #expect(again.batch.priority == 3)
        let other = try await queue.openBatch(
            name: nil, source: Fixture.folder("a/letters"), pipeline: Fixture.pipeline(mode: "tiny"), priority: 0)
        #expect(other.batch.name == "letters-2")
        #expect(try await queue.batches().map(\.name) == ["letters", "letters-2"])
        #expect(try await queue.batch(named: "letters-2")?.pipeline.mode == "tiny")
        #expect(try await queue.batch(named: "none") == nil)
    }

    @Test func `a name that belongs to another folder or pipeline is refused with a sentence`() async throws {
        let fixture = try await Fixture()
        _ = try await fixture.openBatch("mine")
        let folder = await #expect(throws: DatabaseError.self) { try await fixture.openBatch("mine", folder: "else") }
        #expect(folder?.description.contains("another folder") == true)
        let mode = await #expect(throws: DatabaseError.self) { try await fixture.openBatch("mine", mode: "tiny") }
        #expect(mode?.description.contains("another mode") == true)
    }

    @Test func `eight programs that open one batch at the same time get the same one`() async throws {
        let fixture = try await Fixture()
        let ids = try await withThrowingTaskGroup(of: Int64.self) { group in
            for _ in 0..<8 {
                let queue = fixture.another()
                group.addTask {
                    try await queue.openBatch(
                        name: nil, source: Fixture.folder(), pipeline: Fixture.pipeline(), priority: 0
                    ).batch.id
                }
            }
            return try await group.reduce(into: Set<Int64>()) { $0.insert($1) }
        }
        #expect(ids.count == 1)
    }

    @Test func `submitting again adds nothing`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let files = [
            Fixture.document("archive/a.pdf", content: "a", pages: 40),
            Fixture.document("archive/b.pdf", content: "b", pages: 3),
            Fixture.document("archive/copy of a.pdf", content: "a", pages: 40),
            Fixture.file("archive/bad.pdf", .unreadable(reason: "It is cut off.")),
            Fixture.file("archive/notes.txt", .ignored(reason: "It is a text.")),
        ]
        let first = try await fixture.queue.add(files, to: batch)
        var expected = SubmitCounts()
        (expected.added, expected.duplicates, expected.unreadable, expected.ignored) = (5, 1, 1, 1)
        expected.pagesQueued = 43
        #expect(first == expected)
        let again = try await fixture.queue.add(files, to: batch)
        #expect(again.unchanged == 3, "only documents count: the others are counted for themselves")
        #expect(again.pagesQueued == 0 && again.added == 0 && again.changed == 0 && again.duplicates == 0)
        let status = try await fixture.status(batch)
        #expect(status.documents.total == 2 && status.documents.pending == 2)
        #expect(status.documents.unreadable == 1 && status.documents.ignored == 1)
        #expect(status.pages.total == 43 && status.pages.pending == 43)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job") == 4)
        let known = try await fixture.queue.knownFiles(batch: batch, at: files.map(\.location))
        #expect(known.count == 5)
        #expect(known[files[0].location]?.isDocument == true)
        #expect(known[files[3].location]?.isDocument == false)
        #expect(known[files[0].location]?.stamp == files[0].stamp)
    }

    @Test func `a document without pages is unreadable`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let counts = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "a", pages: 0)], to: batch)
        #expect(counts.unreadable == 1)
        #expect(
            try await fixture.queue.problemGroups(batch: batch, limit: 9).map(\.reason) == [
                "The document has no pages."
            ])
    }

    @Test func `a changed file takes its old content out of the batch with all its counts`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "old", pages: 20)], to: batch)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.done(1), Fixture.failed(2, isPermanent: true)], lease: lease, worker: worker)
        let counts = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "new", pages: 5, stamp: 2)], to: batch)
        #expect(counts.changed == 1 && counts.pagesQueued == 5)
        let late = try await fixture.queue.record([Fixture.done(3)], lease: lease, worker: worker)
        #expect(late == .leaseLost)
        let status = try await fixture.status(batch)
        #expect(status.documents.total == 1 && status.pages.total == 5 && status.pages.pending == 5)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        // The old content is known: it comes back without its settled pages.
        let back = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "old", pages: 20, stamp: 3)], to: batch)
        #expect(back.pagesQueued == 18 && back.pagesAlreadyRecorded == 2)
        #expect(try await fixture.status(batch).pages.failed == 1)
    }

    @Test func `a content that another file still has stays`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add(
            [
                Fixture.document("archive/a.pdf", content: "same", pages: 2),
                Fixture.document("archive/b.pdf", content: "same", pages: 2),
            ], to: batch)
        _ = try await fixture.queue.add(
            [Fixture.document("archive/a.pdf", content: "new", pages: 3, stamp: 2)], to: batch)
        let status = try await fixture.status(batch)
        #expect(status.documents.total == 2 && status.pages.total == 5)
    }

    @Test func `a file may become readable, and unreadable again`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        let bad = Fixture.file("archive/a.pdf", .unreadable(reason: "It is cut off."))
        _ = try await fixture.queue.add([bad], to: batch)
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 2)], to: batch)
        #expect(try await fixture.status(batch).documents.unreadable == 0)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).documents.complete == 1)
        _ = try await fixture.queue.add([bad], to: batch)
        let status = try await fixture.status(batch)
        #expect(status.documents.total == 0 && status.documents.complete == 0 && status.documents.unreadable == 1)
        #expect(status.pages == BatchStatus.Pages())
        #expect(status.isFinished)
    }

    @Test func `another batch of the same pipeline recognises nothing again`() async throws {
        let fixture = try await Fixture()
        let worker = try await fixture.worker()
        let first = try await fixture.openBatch("first")
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 20)], to: first)
        try await fixture.finishAll(worker)
        let second = try await fixture.openBatch("second", folder: "elsewhere")
        let counts = try await fixture.queue.add(
            [Fixture.document("elsewhere/z.pdf", content: "a", pages: 20)], to: second)
        #expect(counts.pagesQueued == 0 && counts.pagesAlreadyRecorded == 20)
        let status = try await fixture.status(second)
        #expect(status.documents.complete == 1 && status.pages.done == 20 && status.isFinished)
        let other = try await fixture.openBatch("other mode", mode: "tiny")
        let tiny = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 20)], to: other)
        #expect(tiny.pagesQueued == 20)
    }

    @Test func `two batches with one document in work settle each page once`() async throws {
        let fixture = try await Fixture()
        let (first, second) = (try await fixture.openBatch("first"), try await fixture.openBatch("second", folder: "b"))
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: first)
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 4)], to: second)
        let one = try #require(try await fixture.claim(worker))
        let two = try #require(try await fixture.claim(worker))
        #expect(Set([one.batchID, two.batchID]) == [first, second])
        // Both are at work on the same pages; the slower one's results are dropped and the faster one's counted.
        _ = try await fixture.queue.record(
            [Fixture.done(1, "fast"), Fixture.blank(2)], lease: one, worker: worker)
        let receipt = try await fixture.queue.record(
            [Fixture.failed(1, isPermanent: true), Fixture.done(2, "slow")], lease: two, worker: worker)
        #expect(receipt == .accepted(remaining: 3...4))
        try await fixture.queue.release(one, worker: worker)
        try await fixture.queue.release(two, worker: worker)
        let third = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.done(3), Fixture.done(4)], lease: third, worker: worker)
        let fourth = try #require(try await fixture.claim(worker))
        #expect(fourth.recordedElsewhere == [3, 4])
        let last = try await fixture.queue.record([], alreadyRecorded: [3, 4], lease: fourth, worker: worker)
        #expect(last == .accepted(remaining: nil))
        for batch in [first, second] {
            let status = try await fixture.status(batch)
            #expect(status.pages.done == 3 && status.pages.blank == 1 && status.pages.failed == 0)
            #expect(status.documents.complete == 1)
            #expect(status.pages == (try await fixture.countedPages(batch)))
        }
    }

    @Test func `names that are not UTF-8 come back byte for byte`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch(folder: "archive")
        let worker = try await fixture.worker()
        let path = FilePath(bytes: Array("archive/M".utf8) + [0xFC] + Array("ller\n.pdf".utf8))
        let long = FilePath("archive").appending(String(repeating: "long/", count: 800)).appending("x.pdf")
        _ = try await fixture.queue.add(
            [
                Fixture.document(path, content: "a", pages: 1), Fixture.document(long, content: "b", pages: 1),
                Fixture.file(FilePath(bytes: Array("archive/".utf8) + [0xFF]), .unreadable(reason: "It is empty.")),
            ], to: batch)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.file.path.bytes == path.bytes)
        let place = SourceLocation(root: "home", path: path)
        #expect(try await fixture.queue.knownFiles(batch: batch, at: [place]).keys.contains(place))
        let shown = try await fixture.queue.problemGroups(batch: batch, limit: 9).map(\.path)
        #expect(shown == ["\\xff"])
        #expect(path.displayText == "archive/M\\xfcller\\x0a.pdf")
        let files = try await fixture.queue.files(batch: batch)
        #expect(files.map(\.location.path) == [path, long, FilePath(bytes: Array("archive/".utf8) + [0xFF])])
    }

    @Test func `ten thousand files in one call`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let files = (0..<10_000).map { Fixture.document(FilePath("archive/\($0).pdf"), content: "\($0)", pages: 2) }
        let counts = try await fixture.queue.add(files, to: batch)
        #expect(counts.added == 10_000 && counts.pagesQueued == 20_000)
        #expect(try await fixture.status(batch).pages.pending == 20_000)
    }
}
