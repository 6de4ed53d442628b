import Shared
import SystemPackage
import Testing

/// A file that cannot be read is never the fate of its content: another copy is read, or its pages are stranded.
@Suite struct FileFaultTests {
    typealias Fixture = QueueFixture

    private func prepared(pages: Int = 4) async throws -> (fixture: Fixture, batch: Int64, worker: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: pages)], to: batch)
        return (fixture, batch, try await fixture.worker())
    }

    private static let missing = "The file is missing."

    private func fault(_ fixture: Fixture, _ worker: Int64) async throws -> FaultReceipt {
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.attempt == 1)
        return try await fixture.queue.report(fileFault: Self.missing, lease: lease, worker: worker)
    }

    /// The only file fails until no more attempt is made.
    private func strand(_ fixture: Fixture, _ batch: Int64, _ worker: Int64) async throws {
        for round in 1...3 {
            #expect(try await fault(fixture, worker) == (round == 3 ? .stranded : .waits))
            #expect(try await fixture.claim(worker) == nil)
            try await fixture.passTime()
        }
        try await expectExact(fixture)
    }

    private func expectExact(_ fixture: Fixture, _ location: Testing.SourceLocation = #_sourceLocation) async throws {
        for isFolded in [false, true] {
            if isFolded { try await fixture.queue.maintain() }
            for status in try await fixture.queue.status(batch: nil) {
                #expect(
                    status.pages == (try await fixture.countedPages(status.id)), "folded: \(isFolded)",
                    sourceLocation: location)
            }
        }
    }

    // A mount below the batch's folder was away for a minute, and all pages below it were stranded for good.
    @Test func `a file below an empty folder is tried again for as long as that is so`() async throws {
        let (fixture, batch, worker) = try await prepared()
        for _ in 1...5 {
            let lease = try #require(try await fixture.claim(worker))
            let receipt = try await fixture.queue.report(
                fileFault: Self.missing, isAbsent: true, lease: lease, worker: worker)
            #expect(receipt == .waits)
            #expect(try await fixture.claim(worker) == nil)
            let due = try await fixture.number("SELECT extract(epoch FROM due - now())::bigint FROM quire.job")
            #expect(30...60 ~= due)
            let wait = try #require(try await fixture.queue.waits(batch: batch).first)
            #expect(wait.file == BatchWait.FaultyFile(path: "a.pdf", fault: Self.missing))
            try await fixture.passTime()
        }
        #expect(try await fixture.status(batch).pages.stranded == 0)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).documents.complete == 1)
        #expect(try await fixture.number("SELECT count(*) FROM quire.batch_file WHERE fault_count <> 0") == 0)
        try await expectExact(fixture)
    }

    @Test func `a copy of a batch that was cancelled keeps nobody waiting`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let old = try await fixture.openBatch("old", folder: "old")
        _ = try await fixture.queue.add([Fixture.document("old/x.pdf", content: "a", pages: 4)], to: old)
        try await fixture.queue.setState(.cancelled, batch: old)
        for round in 1...3 {
            #expect(try await fault(fixture, worker) == (round == 3 ? .stranded : .waits))
            try await fixture.passTime()
        }
        #expect(try await fixture.status(batch).pages.stranded == 4)
        // Opened again, its file is there for both.
        try await fixture.queue.setState(.open, batch: old)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).pages.done == 4)
        try await expectExact(fixture)
    }

    // A4: one changed copy failed every intact copy.
    @Test func `the intact copy of another batch is read instead of a faulty file`() async throws {
        let (fixture, one, worker) = try await prepared()
        let two = try await fixture.openBatch("two", folder: "two")
        _ = try await fixture.queue.add([Fixture.document("two/x.pdf", content: "a", pages: 4)], to: two)
        try await fixture.queue.setState(.paused, batch: two)
        #expect(try await fault(fixture, worker) == .next)
        let lease = try #require(try await fixture.claim(worker))
        #expect(lease.batchID == one && lease.file.path == "two/x.pdf" && lease.attempt == 1)
        _ = try await fixture.queue.record(lease.pages.map { Fixture.done($0) }, lease: lease, worker: worker)
        try await fixture.queue.setState(.open, batch: two)
        try await fixture.finishAll(worker)
        for batch in [one, two] {
            let status = try await fixture.status(batch)
            #expect(status.pages.done == 4 && status.pages.failed == 0 && status.documents.complete == 1)
        }
        #expect(try await fixture.number("SELECT count(*) FROM quire.page WHERE state <> 'done'") == 0)
    }

    // A5: a renamed file could never be read.
    @Test func `the newest file is read first, and files that are gone never`() async throws {
        let (fixture, batch, worker) = try await prepared()
        _ = try await fixture.queue.add([Fixture.document("archive/b.pdf", content: "a", pages: 4)], to: batch)
        var lease = try #require(try await fixture.claim(worker))
        #expect(lease.file.path == "archive/b.pdf" && lease.pageCount == 4)
        // One that had a fault comes after one that had none.
        #expect(try await fixture.queue.report(fileFault: Self.missing, lease: lease, worker: worker) == .next)
        lease = try #require(try await fixture.claim(worker))
        #expect(lease.file.path == "archive/a.pdf")
        try await fixture.queue.release(lease, worker: worker)
        try await fixture.database.query(
            "UPDATE quire.batch_file SET gone_at = now() WHERE path = 'archive/a.pdf'::bytea")
        try await fixture.passTime()
        lease = try #require(try await fixture.claim(worker))
        #expect(lease.file.path == "archive/b.pdf" && lease.fileFaults == 1)
        _ = try await fixture.queue.record([Fixture.done(1)], lease: lease, worker: worker)
        // It could be read after all.
        #expect(try await fixture.number("SELECT count(*) FROM quire.batch_file WHERE fault IS NOT NULL") == 0)
    }

    @Test func `pages to which no file leads are stranded, and the batch ends and says why`() async throws {
        let (fixture, batch, worker) = try await prepared()
        _ = try await fixture.queue.add([Fixture.document("archive/good.pdf", content: "g", pages: 2)], to: batch)
        let good = try #require(try await fixture.number("SELECT max(id) FROM quire.document"))
        try await fixture.database.query(
            "UPDATE quire.job SET state = 'waiting', due = now() + interval '1 h' WHERE document_id = $1", [.int(good)])
        for round in 1...3 {
            #expect(try await fault(fixture, worker) == (round == 3 ? .stranded : .waits))
            try await fixture.database.query(
                """
                UPDATE quire.job SET due = now() - interval '1 s'
                WHERE state = 'waiting' AND due < 'infinity' AND document_id <> $1
                """, [.int(good)])
            try await fixture.database.query("UPDATE quire.batch_file SET fault_at = fault_at - interval '1 d'")
            try await fixture.queue.maintain()
        }
        try await fixture.passTime()
        try await fixture.finishAll(worker)
        let status = try await fixture.status(batch)
        #expect(status.isFinished && status.pages.stranded == 4 && status.pages.done == 2 && status.pages.pending == 0)
        #expect(status.documents.withFailures == 1 && status.documents.complete == 1)
        try await expectExact(fixture)
        #expect(try await fixture.number("SELECT count(*) FROM quire.page WHERE state = 'failed'") == 0)
        let problems = try await fixture.queue.problemGroups(batch: batch, limit: 5)
        #expect(problems.map(\.reason) == [Self.missing] && problems.map(\.path) == ["a.pdf"])
        let document = try await fixture.number("SELECT min(id) FROM quire.document")
        let report = try await fixture.queue.report(document: document, page: 1)
        #expect(report.jobs.map(\.state) == [.stranded] && report.jobs[0].due == nil)
        #expect(report.files.map(\.fault) == [Self.missing] && report.files[0].faults == 3)
        #expect(report.attempts.map(\.error) == [Self.missing, Self.missing, Self.missing])
        // Nothing brings them back by itself.
        try await fixture.queue.maintain()
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await fixture.queue.waits(batch: batch).allSatisfy { $0.due == nil })
    }

    enum Rescue: CaseIterable, Sendable {
        case sameFile, otherFile, otherBatch, retry, retryOfDocument
    }

    @Test(arguments: Rescue.allCases)
    func `stranded pages go on when a file is there, or when they are retried`(rescue: Rescue) async throws {
        let (fixture, batch, worker) = try await prepared()
        try await strand(fixture, batch, worker)
        #expect(try await fixture.status(batch).pages.stranded == 4)
        let document = try await fixture.number("SELECT id FROM quire.document")
        let location = SourceLocation(root: "home", path: "archive/a.pdf")
        #expect(
            try await fixture.queue.knownFiles(batch: batch, at: [location]).isEmpty, "a faulty file is looked at anew")
        switch rescue {
        case .sameFile:
            _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        case .otherFile:
            _ = try await fixture.queue.add([Fixture.document("archive/b.pdf", content: "a", pages: 4)], to: batch)
        case .otherBatch:
            let other = try await fixture.openBatch("two", folder: "two")
            _ = try await fixture.queue.add([Fixture.document("two/x.pdf", content: "a", pages: 4)], to: other)
        case .retry:
            #expect(try await fixture.queue.retry(.failed, batch: batch, override: nil) == 4)
        case .retryOfDocument:
            let selection = RetrySelection.document(id: document, includingDone: false)
            #expect(try await fixture.queue.retry(selection, batch: batch, override: nil) == 4)
        }
        #expect(try await fixture.status(batch).pages.stranded == 0)
        #expect(try await fixture.status(batch).pages.pending == 4)
        try await expectExact(fixture)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).documents.complete == 1)
        try await expectExact(fixture)
    }

    @Test func `a result of another batch frees stranded pages, and those that it settles are counted`() async throws {
        let (fixture, one, worker) = try await prepared()
        let two = try await fixture.openBatch("two", folder: "two")
        _ = try await fixture.queue.add([Fixture.document("two/x.pdf", content: "a", pages: 4)], to: two)
        try await fixture.queue.setState(.paused, batch: one)
        let other = try #require(try await fixture.claim(worker))
        #expect(other.batchID == two)
        // The other batch's copy is gone by now, yet its worker has it in hand.
        try await fixture.database.query("UPDATE quire.batch_file SET gone_at = now() WHERE batch_id = $1", [.int(two)])
        try await fixture.queue.setState(.open, batch: one)
        try await strand(fixture, one, worker)
        #expect(try await fixture.status(one).pages.stranded == 4)
        _ = try await fixture.queue.record([Fixture.done(1), Fixture.blank(2)], lease: other, worker: worker)
        #expect(try await fixture.status(one).pages.pending == 4)
        #expect(try await fixture.claim(worker) == nil)
        var status = try await fixture.status(one)
        #expect(status.pages.done == 1 && status.pages.blank == 1 && status.pages.stranded == 2)
        try await expectExact(fixture)
        let rest = try await fixture.queue.record([Fixture.done(3), Fixture.done(4)], lease: other, worker: worker)
        #expect(rest == .accepted(remaining: nil))
        #expect(try await fixture.claim(worker) == nil)
        status = try await fixture.status(one)
        #expect(status.pages.done == 3 && status.isFinished && status.documents.complete == 1)
        try await expectExact(fixture)
    }

    @Test func `a cancelled batch has no stranded pages, and a document that is taken out takes them along`()
        async throws
    {
        let (fixture, batch, worker) = try await prepared()
        try await strand(fixture, batch, worker)
        try await fixture.queue.setState(.cancelled, batch: batch)
        var status = try await fixture.status(batch)
        #expect(status.pages.stranded == 0 && status.pages.pending == 4 && status.documents.pending == 1)
        try await fixture.queue.setState(.open, batch: batch)
        try await expectExact(fixture)
        // Its file still has its faults.
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await fixture.status(batch).pages.stranded == 4)
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "new", pages: 3)], to: batch)
        status = try await fixture.status(batch)
        #expect(status.pages.total == 3 && status.pages.stranded == 0 && status.documents.total == 1)
        try await expectExact(fixture)
        try await fixture.finishAll(worker)
        #expect(try await fixture.status(batch).documents.complete == 1)
    }

    @Test func `many leases that meet the fault of one file at once count it once`() async throws {
        let (fixture, _, worker) = try await prepared(pages: 80)
        var leases: [Lease] = []
        while let lease = try await fixture.claim(worker) { leases.append(lease) }
        #expect(leases.count == 5)
        for lease in leases {
            #expect(try await fixture.queue.report(fileFault: Self.missing, lease: lease, worker: worker) == .waits)
        }
        #expect(try await fixture.number("SELECT fault_count FROM quire.batch_file") == 1)
        // Nor do ranges that were not in hand run into it before it is due.
        try await fixture.database.query("UPDATE quire.job SET state = 'ready', due = NULL")
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'waiting' AND due > now()") == 5)
        #expect(try await fixture.number("SELECT max(attempt) FROM quire.job") == 0)
        let late = try await fixture.queue.report(fileFault: Self.missing, lease: leases[0], worker: worker)
        #expect(late == .lost)
    }

    @Test func `pages whose files others can reach are put off, not stranded`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let far = try await fixture.queue.openBatch(
            name: "far", source: SourceLocation(root: "nas", path: "far"), pipeline: Fixture.pipeline(), priority: 0
        ).batch.id
        let copy = ScannedFile(
            location: SourceLocation(root: "nas", path: "far/a.pdf"), stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
            finding: .document(sha256: Fixture.digest("a"), format: .pdf, pageCount: 4))
        _ = try await fixture.queue.add([copy], to: far)
        try await fixture.database.query(
            "UPDATE quire.batch_file SET gone_at = now() WHERE batch_id = $1", [.int(batch)])
        let near = { (excluded: Set<Int64>, roots: [String]) async throws -> Lease? in
            try await fixture.queue.claim(
                worker: worker, modelDigest: Fixture.model, roots: roots, leaseSeconds: 60, excluding: excluded)
        }
        #expect(try await near([], ["home"]) == nil)
        #expect(try await fixture.status(batch).pages.stranded == 0)
        try await fixture.passTime()
        // A batch whose folder cannot be seen lends no file either.
        #expect(try await near([far], ["home", "nas"]) == nil)
        try await fixture.passTime()
        let lease = try #require(try await near([batch], ["home", "nas"]))
        #expect(lease.batchID == far)
        try await fixture.queue.release(lease, worker: worker)
        try await fixture.queue.setState(.paused, batch: far)
        #expect(try await near([], ["home", "nas"])?.file.root == "nas")
    }

    @Test func `a claim leaves nothing leased that it does not return`() async throws {
        let (fixture, batch, worker) = try await prepared(pages: 40)
        try await fixture.database.query("DELETE FROM quire.batch_file")
        #expect(try await fixture.claim(worker) == nil)
        #expect(try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'") == 0)
        #expect(try await fixture.status(batch).pages.stranded == 40)
        try await expectExact(fixture)
    }

    @Test func `files that lie beside a lease's are its witnesses`() async throws {
        let (fixture, batch, worker) = try await prepared()
        let lease = try #require(try await fixture.claim(worker))
        #expect(try await fixture.queue.witnesses(for: lease, limit: 20).isEmpty)
        _ = try await fixture.queue.add(
            (0..<30).map { Fixture.document(FilePath("archive/\($0).pdf"), content: "\($0)", pages: 1) }
                + [Fixture.document("archive/copy.pdf", content: "a", pages: 4)], to: batch)
        let other = try await fixture.openBatch("two", folder: "two")
        _ = try await fixture.queue.add([Fixture.document("two/x.pdf", content: "x", pages: 1)], to: other)
        try await fixture.database.query(
            "UPDATE quire.batch_file SET gone_at = now() WHERE path = 'archive/0.pdf'::bytea")
        try await fixture.database.query(
            """
            UPDATE quire.batch_file SET fault = 'x', fault_at = now(), fault_count = 1 WHERE path = 'archive/1.pdf'::bytea
            """)
        let witnesses = try await fixture.queue.witnesses(for: lease, limit: 20)
        #expect(witnesses.count >= 10 && Set(witnesses).count == witnesses.count)
        let paths = witnesses.map(\.path)
        #expect(!paths.contains("archive/a.pdf") && !paths.contains("two/x.pdf"))
        #expect(!paths.contains("archive/0.pdf") && !paths.contains("archive/1.pdf"))
    }
}
