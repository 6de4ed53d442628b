import Shared
import SystemPackage
import Testing

/// What the queue does with files that are there no more.
@Suite struct GoneFileTests {
    typealias Fixture = QueueFixture

    private func id(_ path: String, _ fixture: Fixture) async throws -> Int64 {
        try await fixture.number(
            "SELECT id FROM quire.batch_file WHERE path = convert_to($1, 'UTF8')", [.text(path)])
    }

    @Test func `a renamed file is read under its new name`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        _ = try await fixture.queue.add([Fixture.document("archive/b.pdf", content: "a", pages: 4)], to: batch)
        #expect(try await fixture.queue.markGone([id("archive/a.pdf", fixture)], batch: batch) == 1)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.file.path == "archive/b.pdf")
        #expect(try await fixture.status(batch).pages.total == 4)
        #expect(try await fixture.queue.documents(matching: "a.pdf", batch: batch).isEmpty)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a document leaves with its last file, and comes back with its results`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        let files = [
            Fixture.document("archive/a.pdf", content: "a", pages: 4),
            Fixture.document("archive/copy.pdf", content: "a", pages: 4),
            Fixture.document("archive/c.pdf", content: "c", pages: 3),
        ]
        _ = try await fixture.queue.add(files, to: batch)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        #expect(try await fixture.queue.markGone([id("archive/a.pdf", fixture)], batch: batch) == 1)
        #expect(try await fixture.status(batch).pages.total == 7)
        #expect(try await fixture.queue.markGone([id("archive/copy.pdf", fixture)], batch: batch) == 1)
        #expect(try await fixture.queue.markGone([id("archive/copy.pdf", fixture)], batch: batch) == 0)
        let status = try await fixture.status(batch)
        #expect(status.documents.total == 1 && status.pages.total == 3 && status.pages.done == 0)
        #expect(status.pages == (try await fixture.countedPages(batch)))
        let late = try await fixture.queue.record([Fixture.done(2)], lease: lease, worker: worker)
        #expect(late == .leaseLost)
        #expect(try await QueueCheck(fixture.queue).faults() == [])

        let known = try await fixture.queue.knownFiles(batch: batch, at: files.map(\.location))
        #expect(known.keys.map(\.path) == ["archive/c.pdf"])
        let back = try await fixture.queue.add([files[1]], to: batch)
        #expect(back.added == 1 && back.pagesAlreadyRecorded == 1 && back.pagesQueued == 3)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).documents.complete == 2)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `unreadable and ignored files that are gone are not counted`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let files = [
            Fixture.file("archive/bad.pdf", .unreadable(reason: "It is cut off.")),
            Fixture.file("archive/notes.txt", .ignored(reason: "It is a text.")),
        ]
        _ = try await fixture.queue.add(files, to: batch)
        let ids = [try await id("archive/bad.pdf", fixture), try await id("archive/notes.txt", fixture)]
        #expect(try await fixture.queue.markGone(ids, batch: batch) == 2)
        var documents = try await fixture.status(batch).documents
        #expect(documents.unreadable == 0 && documents.ignored == 0)
        #expect(try await fixture.queue.ignoredFiles(batch: batch, limit: 9).isEmpty)
        #expect(try await fixture.queue.problemGroups(batch: batch, limit: 9).isEmpty)
        let back = try await fixture.queue.add(files, to: batch)
        #expect(back.added == 2 && back.changed == 0)
        documents = try await fixture.status(batch).documents
        #expect(documents.unreadable == 1 && documents.ignored == 1)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a known document that cannot be read for the moment stays, and a new one is told`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let worker = try await fixture.worker()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        let lease = try #require(try await fixture.claim(worker))
        var files = ["archive/a.pdf", "archive/b.pdf"].map { path in
            Fixture.file(FilePath(path), .unreadable(reason: "It cannot be opened: Stale file handle."))
        }
        for index in files.indices { files[index].isFault = true }
        let counts = try await fixture.queue.add(files, to: batch)
        #expect(counts.unreadable == 1 && counts.changed == 0)
        let receipt = try await fixture.queue.record(RaceFixture.outcomes(lease), lease: lease, worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        let status = try await fixture.status(batch)
        #expect(status.documents.complete == 1 && status.documents.unreadable == 1)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `files below paths are counted and come in parts`() async throws {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        let paths: [FilePath] = (0..<25).map { FilePath("archive/sub/\($0).pdf") }
        let others: [FilePath] = ["archive/sub.pdf", "archive/subway/1.pdf", "archive/x.pdf"]
        _ = try await fixture.queue.add(
            (paths + others).map { Fixture.document($0, content: $0.string, pages: 1) }, to: batch)
        let queue = fixture.queue
        let count = { (below: [FilePath]) in try await queue.liveFileCount(batch: batch, root: "home", below: below) }
        #expect(try await count(["archive/sub"]) == 25)
        #expect(try await count(["archive/sub", "archive/sub.pdf"]) == 26)
        #expect(try await count([""]) == 28)
        #expect(try await queue.liveFileCount(batch: batch, root: "elsewhere", below: [""]) == 0)
        var found: [FilePath] = []
        var last: PageQueue.LiveFile?
        repeat {
            let part = try await queue.liveFiles(
                batch: batch, root: "home", below: ["archive/sub"], after: last, limit: 4)
            found += part.map(\.location.path)
            last = part.last
        } while last != nil
        #expect(Set(found) == Set(paths) && found.count == 25)
    }
}
