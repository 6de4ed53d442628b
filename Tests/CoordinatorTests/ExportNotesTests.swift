import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// What an export says of pages that are done although something is wrong with them, and of documents.
@Suite struct ExportNotesTests {
    private static let torn = PageNote(code: "picture-damaged", text: "Rows 5 to *9* are missing.")
    private static let reduced = PageNote(code: "picture-reduced", text: "It was halved.")
    private static let attached = PageNote(code: "attachments", text: "Attached: plan.dwg.")

    /// Four pages: done with notes, blank with one, done with one, done without; and a document with a note of its own.
    private func prepared() async throws -> ExportFixture {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 4, content: "A")
        let worker = try await fixture.another(host: "here")
        let lease = try #require(
            try await fixture.queue.claim(worker: worker, modelDigest: ExportFixture.model, leaseSeconds: 600))
        let text = ExportFixture.text("Words")
        _ = try await fixture.queue.record(
            [
                PageOutcome(page: 1, result: text, notes: [Self.torn, Self.torn, Self.reduced]),
                PageOutcome(page: 2, result: ExportFixture.blank, notes: [Self.reduced]),
                PageOutcome(page: 3, result: text, notes: [Self.torn]), PageOutcome(page: 4, result: text),
            ], lease: lease, worker: worker)
        return fixture
    }

    private func attach(_ fixture: ExportFixture, _ notes: [PageNote]) async throws {
        let file = try #require(try await fixture.queue.files(batch: fixture.batch.id).first)
        guard case .document(_, let sha256, let format, let count) = file.content else { return }
        let scanned = ScannedFile(
            location: file.location, stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
            finding: .document(sha256: sha256, format: format, pageCount: count), notes: notes)
        _ = try await fixture.queue.add([scanned], to: fixture.batch.id)
    }

    @Test func `pages.json has a page's notes, and no such key where there is none`() async throws {
        let fixture = try await prepared()
        let report = try await fixture.export()
        let pages = try #require(try fixture.json("a.pdf/pages.json")["pages"] as? [[String: Any]])
        let notes = pages.map { $0["notes"] as? [[String: String]] }
        let torn = ["code": Self.torn.code, "text": Self.torn.text]
        let reduced = ["code": Self.reduced.code, "text": Self.reduced.text]
        #expect(notes == [[torn, torn, reduced], [reduced], [torn], nil])
        #expect(pages[3]["notes"] == nil && report.pages.noted == 3)
    }

    @Test func `document.md says where something may be missing, and of nothing else`() async throws {
        let fixture = try await prepared()
        _ = try await fixture.export()
        let text = try #require(fixture.string("a.pdf/document.md"))
        #expect(text.contains("Words\n\n> **Page 3** may lack something: Rows 5 to \\*9\\* are missing.\n"))
        #expect(!text.contains("halved") && !text.contains("**Page 4**"))
    }

    @Test func `manifest and list count what was noted, of a document once however many copies it has`() async throws {
        let fixture = try await prepared()
        try await fixture.add("home/archive/copy.pdf", pages: 4, content: "A")
        try await fixture.add("home/archive/plain.pdf", pages: 1, content: "B")
        try await fixture.record { _ in ExportFixture.text("x") }
        try await attach(fixture, [Self.attached])
        let report = try await fixture.export()
        let manifest = try fixture.json("a.pdf/manifest.json")
        #expect(manifest["notes"] as? [[String: String]] == [["code": "attachments", "text": "Attached: plan.dwg."]])
        #expect((manifest["pages"] as? [String: Int])?["noted"] == 3)
        let noted = try #require(manifest["noted"] as? [[String: Any]])
        #expect(
            noted.map { "\($0["code"] ?? "") \($0["pages"] ?? 0) \($0["firstPage"] ?? 0)" } == [
                "picture-damaged 2 1", "picture-reduced 2 1",
            ])
        let plain = try #require(fixture.string("plain.pdf/manifest.json"))
        #expect(!plain.contains("note"), "as before there were notes")

        let codes = ["attachments": 1, "picture-damaged": 2, "picture-reduced": 2]
        let listed = try fixture.listed()
        #expect(listed.map { $0["notes"] as? [String: Int] } == [codes, codes, nil])
        #expect(listed.map { ($0["pages"] as? [String: Int])?["noted"] } == [3, 3, 0])
        let counts = try #require(try fixture.json("batch.json")["counts"] as? [String: Any])
        #expect(counts["notes"] as? [String: Int] == codes)
        #expect((counts["pages"] as? [String: Int])?["noted"] == 3)
        #expect(
            Array(ExportSummary(report).lines.suffix(4)) == [
                "Noted on what is done", "  2 pages: part of a picture is missing (such as a.pdf:1)",
                "  2 pages: a picture was reduced while it was read (such as a.pdf:1)",
                "  1 document: attached files are not read (such as a.pdf)",
            ])
        // From the manifests alone.
        let again = try await fixture.export()
        #expect(again.written == 0 && again.noted == report.noted && again.pages == report.pages)
    }

    @Test func `a change of notes makes a document's export out of date`() async throws {
        let fixture = try await prepared()
        #expect(try await fixture.export().written == 1)
        #expect(try await fixture.export().written == 0)
        try await attach(fixture, [Self.attached])
        #expect(try await fixture.export().written == 1)
        #expect(try await fixture.export().written == 0)
        try await attach(fixture, [])
        #expect(try await fixture.export().written == 1)
        #expect(try fixture.json("a.pdf/manifest.json")["notes"] == nil)
        try await fixture.database.query("UPDATE quire.page SET notes = NULL WHERE page_no = 1")
        #expect(try await fixture.export().written == 1)
        #expect(try fixture.json("a.pdf/manifest.json")["noted"] != nil)
        #expect(try await fixture.export().pages.noted == 2)
    }

    @Test func `status and show print what was noted, as text and as JSON`() async throws {
        let fixture = try await prepared()
        try await attach(fixture, [Self.attached])
        func quire(_ arguments: String...) async throws -> ProgramOutcome {
            try await RunningProgram.run(
                RunningProgram.product("quire"), arguments,
                environment: [
                    "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
                ])
        }
        func object(_ text: String) throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
        }
        let shown = try await quire("show", "a.pdf:3").output
        #expect(shown.contains("\nnote        picture-damaged: Rows 5 to *9* are missing.\n"), "\(shown)")
        #expect(shown.contains("\nof the file attachments: Attached: plan.dwg.\n"), "\(shown)")
        let json = try object(try await quire("show", "a.pdf:3", "--json").output)
        #expect(((json["result"] as? [String: Any])?["notes"] as? [[String: String]])?.count == 1)
        #expect((json["documentNotes"] as? [[String: String]])?.first?["code"] == "attachments")

        let status = try await quire("status").output
        #expect(status.contains("4: 3 done, 1 blank; 3 noted\n"), "\(status)")
        #expect(
            status.hasSuffix(
                """
                Noted on what is done
                  2 pages: part of a picture is missing (such as archive: a.pdf:1)
                  2 pages: a picture was reduced while it was read (such as archive: a.pdf:1)
                  1 document: attached files are not read (such as archive: a.pdf)

                """), "\(status)")
        let report = try object(try await quire("status", "--json").output)
        #expect((report["notes"] as? [[String: Any]])?.map { $0["pages"] as? Int } == [2, 2, 0])
        let pages = (report["batches"] as? [[String: Any]])?.first?["pages"] as? [String: Int]
        #expect(pages?["noted"] == 3)
    }
}
