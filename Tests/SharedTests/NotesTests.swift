import Shared
import SystemPackage
import Testing

/// What is wrong with pages that are done, and with documents: stored, counted, replaced and taken back.
@Suite struct NotesTests {
    typealias Fixture = QueueFixture

    private static let torn = PageNote(code: "picture-damaged", text: "It is torn.")
    private static let glyph = PageNote(code: "glyphs-missing", text: "No glyph for \"\u{4E00}\".")

    /// A document of four pages: done with two notes, blank with one, done without, and failed.
    private func prepared() async throws -> (fixture: Fixture, batch: Int64, worker: Int64, document: Int64) {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        let worker = try await fixture.worker()
        let lease = try #require(try await fixture.claim(worker))
        var blank = Fixture.blank(2)
        blank.notes = [PageNote(code: "boxes-disagree", text: "The crop box lies outside.")]
        var first = Fixture.done(1)
        first.notes = [Self.torn, Self.glyph]
        let receipt = try await fixture.queue.record(
            [first, blank, Fixture.done(3), Fixture.noted(Fixture.failed(4, isPermanent: true))], lease: lease,
            worker: worker)
        #expect(receipt == .accepted(remaining: nil))
        return (fixture, batch, worker, lease.documentID)
    }

    /// The tally as it is and as it must be, before and after the changes are folded in; and that nothing is wrong.
    private func expectNoted(_ count: Int, _ batch: Int64, _ fixture: Fixture) async throws {
        for _ in 0..<2 {
            let pages = try await fixture.status(batch).pages
            #expect(pages.noted == count)
            #expect(pages == (try await fixture.countedPages(batch)))
            #expect(try await QueueCheck(fixture.queue).faults() == [])
            try await fixture.queue.maintain()
        }
    }

    private func notes(_ fixture: Fixture, _ document: Int64) async throws -> [[PageNote]] {
        try await fixture.queue.pages(document: document, from: 1, limit: 9).map(\.notes)
    }

    @Test func `notes are stored with pages that are done or blank, and counted`() async throws {
        let (fixture, batch, _, document) = try await prepared()
        let notes = try await notes(fixture, document)
        #expect(notes.map { $0.map(\.code) } == [["picture-damaged", "glyphs-missing"], ["boxes-disagree"], [], []])
        #expect(notes[0] == [Self.torn, Self.glyph])
        try await expectNoted(2, batch, fixture)
        let report = try await fixture.queue.report(document: document, page: 1)
        #expect(report.result?.notes == [Self.torn, Self.glyph] && report.notes.isEmpty)
    }

    @Test func `a retry takes a note off the count, and its result's notes replace the old ones`() async throws {
        let (fixture, batch, worker, document) = try await prepared()
        _ = try await fixture.queue.retry(.page(document: document, page: 1), batch: batch, override: nil)
        #expect(try await notes(fixture, document)[0].count == 2, "the old result is still shown as it was")
        try await expectNoted(1, batch, fixture)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.done(1, "new")], lease: lease, worker: worker)
        #expect(try await notes(fixture, document)[0].isEmpty)
        try await expectNoted(1, batch, fixture)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.page_history WHERE jsonb_array_length(notes) = 2") == 1
        )
    }

    @Test func `a page that was in order has notes after a retry that found some`() async throws {
        let (fixture, batch, worker, document) = try await prepared()
        _ = try await fixture.queue.retry(.page(document: document, page: 3), batch: batch, override: nil)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.noted(Fixture.done(3))], lease: lease, worker: worker)
        #expect(try await notes(fixture, document)[2] == [Self.torn])
        try await expectNoted(3, batch, fixture)
    }

    @Test func `a retry that fails keeps the text with its notes`() async throws {
        let (fixture, batch, worker, document) = try await prepared()
        _ = try await fixture.queue.retry(.page(document: document, page: 1), batch: batch, override: nil)
        let lease = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.failed(1, isPermanent: true)], lease: lease, worker: worker)
        #expect(try await notes(fixture, document)[0] == [Self.torn, Self.glyph])
        try await expectNoted(2, batch, fixture)
    }

    @Test func `every batch that holds the document counts its notes`() async throws {
        let (fixture, batch, worker, _) = try await prepared()
        // Known before.
        let later = try await fixture.openBatch("later", folder: "b")
        _ = try await fixture.queue.add([Fixture.document("b/a.pdf", content: "a", pages: 4)], to: later)
        try await expectNoted(2, later, fixture)
        // Recorded by another batch meanwhile.
        let files = { (folder: String) in [Fixture.document(FilePath("\(folder)/c.pdf"), content: "c", pages: 2)] }
        _ = try await fixture.queue.add(files("archive"), to: batch)
        _ = try await fixture.queue.add(files("b"), to: later)
        let one = try #require(try await fixture.claim(worker))
        let two = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record(
            [Fixture.noted(Fixture.done(1)), Fixture.done(2)], lease: one, worker: worker)
        _ = try await fixture.queue.record(
            [Fixture.done(1, "late"), Fixture.noted(Fixture.done(2, "late"))], lease: two, worker: worker)
        try await expectNoted(3, batch, fixture)
        try await expectNoted(3, later, fixture)
        // Cancelled and resumed.
        try await fixture.queue.setState(.cancelled, batch: later)
        try await fixture.queue.setState(.open, batch: later)
        try await expectNoted(3, later, fixture)
    }

    @Test
    func `a document that leaves its batch takes its notes along, and one that shrinks loses those beyond its end`()
        async throws
    {
        let (fixture, batch, _, document) = try await prepared()
        #expect(try await fixture.queue.correctPageCount(document: document, count: 1))
        try await expectNoted(1, batch, fixture)
        #expect(
            try await fixture.number("SELECT count(*) FROM quire.page_history WHERE page_no = 2 AND notes IS NOT NULL")
                == 1)
        let file = try await fixture.number("SELECT min(id) FROM quire.batch_file")
        _ = try await fixture.queue.markGone([file], batch: batch)
        try await expectNoted(0, batch, fixture)
        #expect(try await fixture.status(batch).pages.total == 0)
    }

    @Test func `a stranded range settles noted pages that another batch has read`() async throws {
        let (fixture, batch, worker, _) = try await prepared()
        let other = try await fixture.openBatch("other", folder: "b")
        for (folder, id) in [("archive", batch), ("b", other)] {
            _ = try await fixture.queue.add(
                [Fixture.document(FilePath("\(folder)/c.pdf"), content: "c", pages: 2)], to: id)
        }
        let one = try #require(try await fixture.claim(worker))
        // Of one batch or the other, as the lottery has it.
        let two = try #require(try await fixture.claim(worker))
        _ = try await fixture.queue.record([Fixture.noted(Fixture.done(1))], lease: one, worker: worker)
        try await fixture.database.query(
            "UPDATE quire.batch_file SET gone_at = now() WHERE path IN ('archive/c.pdf'::bytea, 'b/c.pdf'::bytea)")
        // The first batch has noted pages of its own.
        let before = try await fixture.status(two.batchID).pages
        #expect(try await fixture.queue.report(fileFault: "It is gone.", lease: two, worker: worker) == .stranded)
        let pages = try await fixture.status(two.batchID).pages
        #expect(pages.noted == before.noted + 1 && pages.stranded == 1)
        #expect(pages == (try await fixture.countedPages(two.batchID)))
    }

    @Test func `a document's notes are those of the last look into it`() async throws {
        let (fixture, batch, _, document) = try await prepared()
        let attached = PageNote(code: "attachments", text: "Attached: letter.doc, plan.dwg.")
        var file = Fixture.document("archive/a.pdf", content: "a", pages: 4)
        for notes in [[attached, Self.torn], [attached], [], [attached]] {
            file.notes = notes
            _ = try await fixture.queue.add([file], to: batch)
            #expect(try await fixture.queue.report(document: document, page: 3).notes == notes)
            #expect(try await fixture.queue.files(batch: batch).map(\.notes) == [notes])
        }
        try await expectNoted(2, batch, fixture)
        let groups = try await fixture.queue.noteGroups(batch: batch)
        #expect(
            groups.map { "\($0.code) \($0.pages) \($0.documents) \($0.batch) \($0.path) \($0.page ?? 0)" } == [
                "attachments 0 1 archive a.pdf 0", "boxes-disagree 1 0 archive a.pdf 2",
                "glyphs-missing 1 0 archive a.pdf 1", "picture-damaged 1 0 archive a.pdf 1",
            ])
        #expect(groups[0].text == attached.text && groups[3].text == Self.torn.text)
        #expect(try await fixture.queue.noteGroups(batch: nil) == groups)
        let other = try await fixture.openBatch("other", folder: "b")
        #expect(try await fixture.queue.noteGroups(batch: other).isEmpty)
    }

    @Test func `a change of notes changes the fingerprint of the results`() async throws {
        let (fixture, batch, _, _) = try await prepared()
        let before = try await fixture.queue.files(batch: batch).map(\.fingerprint)
        try await fixture.database.query(
            "UPDATE quire.page SET notes = '[{\"code\": \"unsupported\", \"text\": \"x\"}]' WHERE page_no = 1")
        #expect(try await fixture.queue.files(batch: batch).map(\.fingerprint) != before)
    }

    @Test func `only pages that are done or blank can have notes`() async throws {
        let (fixture, _, _, _) = try await prepared()
        await #expect(throws: DatabaseError.self) {
            try await fixture.database.query("UPDATE quire.page SET notes = '[1]' WHERE state = 'failed'")
        }
        await #expect(throws: DatabaseError.self) {
            try await fixture.database.query("UPDATE quire.page SET notes = '[]' WHERE page_no = 3")
        }
    }
}
