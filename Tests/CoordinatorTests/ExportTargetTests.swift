import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// Names, and documents that come and go.
@Suite struct ExportTargetTests {
    private func exported(_ names: String...) async throws -> ExportFixture {
        let fixture = try await ExportFixture()
        for name in names { try await fixture.add(FilePath("home/archive/\(name)"), pages: 1) }
        try await fixture.record { _ in ExportFixture.text("Words") }
        _ = try await fixture.export()
        return fixture
    }

    @Test func `A name that the target refuses blocks one document, and all others are written`() async throws {
        let long = [String](repeating: String(repeating: "n", count: 250), count: 17).joined(separator: "/")
        let fixture = try await exported("a.pdf", "\(long)/b.pdf", "z.pdf")
        #expect(fixture.bytes("a.pdf/document.md") != nil && fixture.bytes("z.pdf/document.md") != nil)
        let listed = try fixture.listed()
        #expect(listed.map { $0["status"] as? String } == ["exported", "blocked", "exported"])
        #expect((listed[1]["reason"] as? String)?.contains("too long") == true)
        let report = try await fixture.export()
        #expect(report.unchanged == 2 && report.blocked.count == 1 && !report.isComplete)
    }

    @Test func `A source folder named like the list, or like Quire's own files, is exported`() async throws {
        let fixture = try await exported(
            "batch.json/a.pdf", "Batch.JSON/b.pdf", ".quire-export/c.pdf", ".QUIRE-x/d.pdf")
        #expect(
            try fixture.listed().map { $0["folder"] as? String } == [
                "_.QUIRE-x/d.pdf", "_.quire-export/c.pdf", "_Batch.JSON/b.pdf", "_batch.json/a.pdf",
            ])
        #expect(try await fixture.export().unchanged == 4)
    }

    @Test func `Only a disk that cannot be written to ends an export`() {
        for errno: Errno in [.noSpace, .diskQuotaExceeded, .readOnlyFileSystem, .ioError, .tooManyOpenFiles] {
            #expect(ExportError.system("/x", action: "write", errno: errno).endsExport)
        }
        for errno: Errno in [.fileNameTooLong, .invalidArgument, .illegalByteSequence, .permissionDenied, .isDirectory]
        {
            #expect(!ExportError.system("/x", action: "write", errno: errno).endsExport)
        }
    }

    @Test func `A document keeps its folder when another one of nearly the same name comes or goes`() async throws {
        let fixture = try await exported("brief.pdf")
        // It comes first in the order of the export, and gets the other name all the same.
        try await fixture.add("home/archive/Brief.pdf", pages: 1)
        try await fixture.record { _ in ExportFixture.text("Others") }
        #expect(try await fixture.export().unchanged == 1)
        #expect(try fixture.listed().map { $0["folder"] as? String } == ["Brief.pdf~2", "brief.pdf"])
        #expect(fixture.string("brief.pdf/document.md")?.contains("Words") == true)
        #expect(fixture.string("Brief.pdf~2/document.md")?.contains("Others") == true)
        // The first one leaves; the second one is not renamed for that.
        try await fixture.remove("home/archive/brief.pdf")
        #expect(try await fixture.export().unchanged == 1)
        #expect(try fixture.listed().map { $0["folder"] as? String } == ["Brief.pdf~2", "brief.pdf"])
        #expect(try fixture.listed()[1]["status"] as? String == "left")
        #expect(try await fixture.export().unchanged == 1)
        #expect(try fixture.listed().map { $0["folder"] as? String } == ["Brief.pdf~2"])
    }

    @Test func `A folder that holds another document of the batch is never overwritten`() async throws {
        let fixture = try await exported("a.pdf", "b.pdf")
        // As a target would show it that takes the two names for one, by rules that nobody foresaw.
        try FileManager.default.removeItem(atPath: fixture.out.appending("b.pdf").string)
        try FileManager.default.copyItem(
            atPath: fixture.out.appending("a.pdf").string, toPath: fixture.out.appending("b.pdf").string)
        let report = try await fixture.export()
        #expect(report.unchanged == 1)
        #expect(report.blocked.shown.map(\.path) == ["b.pdf"])
        #expect(report.blocked.shown.first?.reason.contains("home/archive/a.pdf") == true)
        #expect(try fixture.json("b.pdf/manifest.json")["path"] as? String == "home/archive/a.pdf")
    }

    @Test func `Folders of documents that left the batch go, unless somebody changed them`() async throws {
        let fixture = try await exported("a.pdf", "deep/er/b.pdf", "c.pdf", "d.pdf", "e.pdf")
        try fixture.write("note", to: fixture.out.appending("c.pdf/note.txt"))
        try fixture.write("corrected", to: fixture.out.appending("d.pdf/document.md"))
        for name in ["deep/er/b.pdf", "c.pdf", "d.pdf"] { try await fixture.remove(FilePath("home/archive/\(name)")) }
        // Not readable any more, so its old text is not its text.
        try await fixture.add("home/archive/e.pdf", .unreadable(reason: "The file is empty."))
        let report = try await fixture.export()
        #expect(report.unchanged == 1 && report.removed == 2)
        #expect(report.left.shown.map(\.path) == ["c.pdf", "d.pdf"])
        #expect(
            try fixture.names().filter { !$0.hasPrefix("a.pdf") && !$0.hasPrefix("c.pdf") && !$0.hasPrefix("d.pdf") }
                == [
                    ".quire-export", "batch.json",
                ])
        #expect(fixture.string("c.pdf/note.txt") == "note" && fixture.string("d.pdf/document.md") == "corrected")
        var listed = try fixture.listed()
        #expect(listed.map { $0["status"] as? String } == ["exported", "left", "left", "left", "left", "unreadable"])
        #expect(listed.map { $0["removed"] as? Bool } == [nil, nil, nil, true, true, nil])
        #expect((listed[1]["reason"] as? String)?.contains("somebody else") == true)
        // Those that are kept are named each time, until they are gone.
        try FileManager.default.removeItem(atPath: fixture.out.appending("c.pdf/note.txt").string)
        #expect(try await fixture.export().removed == 1)
        listed = try fixture.listed()
        #expect(listed.map { $0["status"] as? String } == ["exported", "left", "left", "unreadable"])
        #expect(try await fixture.export().left.count == 1)
        #expect(try fixture.listed().count == 3)
    }

    @Test func `What the model wrote is harmless, and raw on demand`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 2)
        let hostile =
            "<script>x</script>\n\n<a id=\"page-2\"></a>\n\n> **Page 2** failed: no\n\n![](https://e/x.png)\n\n```\nopen"
        try await fixture.record { _ in ExportFixture.text(hostile) }
        _ = try await fixture.export()
        let safe = try #require(fixture.string("a.pdf/document.md"))
        #expect(!safe.contains("<script") && !safe.contains("](https"))
        #expect(safe.split(separator: "\n").filter { $0.hasPrefix("<a id=\"page-") }.count == 2)
        #expect(!safe.split(separator: "\n").contains { $0.hasPrefix("> **Page") })
        let pages = try #require(try fixture.json("a.pdf/pages.json")["pages"] as? [[String: Any]])
        #expect(pages[0]["markdown"] as? String == hostile)
        #expect(try await fixture.export(isRaw: true).written == 1)
        #expect(fixture.string("a.pdf/document.md")?.contains("\n\n" + hostile + "\n\n") == true)
        #expect(try await fixture.export().written == 1)
        #expect(fixture.string("a.pdf/document.md") == safe)
    }

    @Test func `A file that is gone is said so, and its folder goes`() async throws {
        let fixture = try await exported("a.pdf", "b.pdf")
        try await fixture.database.query(
            "UPDATE quire.batch_file SET gone_at = now() WHERE path = 'home/archive/a.pdf'")
        let report = try await fixture.export()
        #expect(report.gone.count == 1 && report.removed == 1 && report.unchanged == 1)
        #expect(report.pages.total == 1)
        #expect(try fixture.listed().map { $0["status"] as? String } == ["left", "gone", "exported"])
        #expect(fixture.bytes("a.pdf/document.md") == nil)
        // It comes back under its own name.
        try await fixture.database.query("UPDATE quire.batch_file SET gone_at = NULL")
        #expect(try await fixture.export().written == 1)
        #expect(fixture.bytes("a.pdf/document.md") != nil)
    }

    @Test func `Pages that cannot be read tell the file's fault, and pages that are read again keep their text`()
        async throws
    {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 3)
        try await fixture.record { $0 == 1 ? ExportFixture.text("Good words") : nil }
        _ = try await fixture.export()
        try await fixture.database.query(
            """
            UPDATE quire.job SET state = 'waiting', due = 'infinity', token = NULL, worker_id = NULL, started_at = NULL,
              claim_key = NULL
            """)
        try await fixture.database.query(
            "UPDATE quire.batch_file SET fault = 'It *is* missing.', fault_at = now(), fault_count = 3")
        try await fixture.database.query("UPDATE quire.page SET redo_token = 1000000")
        let report = try await fixture.export()
        #expect(report.written == 1)
        #expect(report.pages.stranded == 2 && report.pages.pending == 0 && report.pages.done == 1)
        #expect(report.pageProblems.shown.map(\.page) == [2, 3])
        let markdown = try #require(fixture.string("a.pdf/document.md"))
        #expect(markdown.contains("Good words"))
        #expect(markdown.contains("> **Page 3** cannot be read: It \\*is\\* missing."))
        let pages = try #require(try fixture.json("a.pdf/pages.json")["pages"] as? [[String: Any]])
        #expect(pages.map { $0["state"] as? String } == ["done", "stranded", "stranded"])
        #expect(pages.map { $0["retrying"] as? Bool } == [true, nil, nil])
        #expect(pages[1]["error"] as? String == "It *is* missing.")
        #expect(try await fixture.export().unchanged == 1)
        // The file is there again.
        try await fixture.database.query("UPDATE quire.job SET state = 'ready', due = NULL")
        try await fixture.database.query("UPDATE quire.page SET redo_token = NULL")
        #expect(try await fixture.export().written == 1)
        #expect(fixture.string("a.pdf/document.md")?.contains("> **Page 3** is not recognised yet.") == true)
    }
}
