import Coordinator
import Digest
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct ExportTests {
    @Test func `Every page has an anchor, and its text or the reason why there is none`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/letters/a.pdf", pages: 5)
        try await fixture.record { page in
            switch page {
            case 1: ExportFixture.text("# Title\n\nWords & <b>more</b>\n")
            case 2: ExportFixture.blank
            case 3: .failed(reason: "The *object*\n<a id=\"page-1\"></a> is damaged.", isPermanent: true)
            case 4: ExportFixture.text("Cut", reachedEnd: false)
            default: nil
            }
        }
        let report = try await fixture.export()
        #expect(
            fixture.string("letters/a.pdf/document.md") == """
                <a id="page-1"></a>

                # Title

                Words & <b>more</b>

                <a id="page-2"></a>

                > **Page 2** is blank.

                <a id="page-3"></a>

                > **Page 3** failed: The \\*object\\* &lt;a id="page-1"&gt;&lt;/a&gt; is damaged.

                <a id="page-4"></a>

                Cut

                > **Page 4** is cut off here: the token limit of 512 was reached.

                <a id="page-5"></a>

                > **Page 5** is not recognised yet.


                """)
        #expect(report.written == 1)
        #expect(report.pages.total == 5)
        #expect(report.pages.done == 2)
        #expect(report.pages.blank == 1)
        #expect(report.pages.failed == 1)
        #expect(report.pages.pending == 1)
        #expect(report.pages.cutOff == 1)
        #expect(report.pageProblems.shown.map(\.page) == [3])
        #expect(report.pageProblems.shown.map(\.path) == ["letters/a.pdf"])
        #expect(report.isComplete)
    }

    @Test func `pages.json holds layout, facts and provenance of every page`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 3, content: "A")
        let layout = #"[{"label": "text", "boxes": [[1, 2, 30, 40]], "text": "a \"quoted\" \\ word\u000b"}]"#
        try await fixture.record { page in
            switch page {
            case 1: ExportFixture.text("Tab\t\"x\" \\ \u{1}\u{2028}é", layout: layout)
            case 2: ExportFixture.text("x", layout: "not JSON ]")
            default: ExportFixture.blank
            }
        }
        _ = try await fixture.export([.json])
        let object = try fixture.json("a.pdf/pages.json")
        let document = try #require(object["document"] as? [String: Any])
        #expect(document["sha256"] as? String == SHA256.hash(Array("A".utf8)).hex)
        #expect(document["pageCount"] as? Int == 3)
        let pages = try #require(object["pages"] as? [[String: Any]])
        #expect(pages.map { $0["page"] as? Int } == [1, 2, 3])
        #expect(pages.map { $0["state"] as? String } == ["done", "done", "blank"])
        #expect(pages[0]["markdown"] as? String == "Tab\t\"x\" \\ \u{1}\u{2028}é")
        let blocks = try #require(pages[0]["layout"] as? [[String: Any]])
        #expect(blocks[0]["boxes"] as? [[Int]] == [[1, 2, 30, 40]])
        #expect(blocks[0]["text"] as? String == "a \"quoted\" \\ word\u{B}")
        #expect(pages[1]["layout"] is NSNull)
        #expect((pages[2]["image"] as? [String: Any])?["width"] as? Int == 10)
        let provenance = try #require(pages[0]["provenance"] as? [String: Any])
        #expect(provenance["modelDigest"] as? String == ExportFixture.model)
        #expect(provenance["mode"] as? String == "tiny")
        #expect(provenance["prompt"] as? String == "<image>\nFree OCR.")
        #expect(provenance["maxNewTokens"] as? Int == 512)
        #expect(provenance["engineVersion"] as? String == QuireVersion.current)
        #expect(provenance["worker"] as? String == "w1")
        #expect(provenance["attempt"] as? Int == 1)
        #expect((provenance["leaseToken"] as? Int).map { $0 > 0 } == true)
        #expect((provenance["seconds"] as? [String: Double])?["encode"] == 1.25)
        #expect((provenance["tokens"] as? [String: Int])?["output"] == 20)
        #expect((provenance["finishedAt"] as? String)?.hasSuffix("Z") == true)
        #expect(fixture.bytes("a.pdf/document.md") == nil)
    }

    @Test func `Figures lie under images, whatever their names in the database are`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        let figures = [
            Figure(name: "p0001-0.jpg", jpeg: [1, 2, 3]), Figure(name: "../../../evil", jpeg: [4]),
            Figure(name: "/tmp/evil", jpeg: [5]),
        ]
        try await fixture.record { _ in ExportFixture.text("![](images/p0001-0.jpg)", figures: figures) }
        _ = try await fixture.export()
        #expect(fixture.bytes("a.pdf/images/p0001-0.jpg") == [1, 2, 3])
        #expect(
            try fixture.names() == [
                ".quire-export", "a.pdf", "a.pdf/.quire-document", "a.pdf/document.md", "a.pdf/images",
                "a.pdf/images/p0001-0.jpg", "a.pdf/images/p1-0.jpg",
                "a.pdf/images/p1-1.jpg", "a.pdf/manifest.json", "a.pdf/pages.json", "batch.json",
            ])
    }

    @Test func `The manifest lists every file with its size and digest`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        try await fixture.record { _ in
            ExportFixture.text("x", figures: [Figure(name: "f.jpg", jpeg: [9, 9])])
        }
        _ = try await fixture.export()
        let files = try #require(try fixture.json("a.pdf/manifest.json")["files"] as? [[String: Any]])
        #expect(files.compactMap { $0["path"] as? String } == ["document.md", "pages.json", "images/f.jpg"])
        for file in files {
            let path = try #require(file["path"] as? String)
            let bytes = try #require(fixture.bytes(FilePath("a.pdf/\(path)")))
            #expect(file["size"] as? Int == bytes.count)
            #expect(file["sha256"] as? String == SHA256.hash(bytes).hex)
        }
    }

    @Test func `batch.json tells what became of every file`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1, content: "same")
        try await fixture.add("home/archive/b.pdf", pages: 1, content: "same")
        try await fixture.add("home/archive/c.pdf", .unreadable(reason: "The file is empty."))
        try await fixture.add("home/archive/d.txt", .ignored(reason: "Plain text."))
        try await fixture.record { _ in ExportFixture.text("x") }
        let report = try await fixture.export()
        let object = try fixture.json("batch.json")
        let files = try #require(object["files"] as? [[String: Any]])
        #expect(files.map { $0["status"] as? String } == ["exported", "exported", "unreadable", "ignored"])
        #expect(files.map { $0["folder"] as? String } == ["a.pdf", "b.pdf", nil, nil])
        #expect(files[2]["reason"] as? String == "The file is empty.")
        #expect((object["pipeline"] as? [String: Any])?["mode"] as? String == "tiny")
        let counts = try #require(object["counts"] as? [String: Any])
        #expect(counts["exported"] as? Int == 2)
        // A copy is exported too, but its pages count once.
        #expect((counts["pages"] as? [String: Int])?["total"] == 1)
        #expect(report.written == 2)
        #expect(report.unreadable.shown.map(\.path) == ["c.pdf"])
        #expect(report.ignored.shown.map(\.path) == ["d.txt"])
    }

    @Test func `Names that are not UTF-8 are exported byte for byte and told in full`() async throws {
        let fixture = try await ExportFixture()
        let name = Array("home/archive/caf".utf8) + [0xE9] + Array(".pdf".utf8)
        try await fixture.add(FilePath(bytes: name), pages: 1)
        try await fixture.record { _ in ExportFixture.text("x") }
        _ = try await fixture.export()
        #expect(fixture.bytes(FilePath(bytes: Array("caf".utf8) + [0xE9] + Array(".pdf/document.md".utf8))) != nil)
        let files = try #require(try fixture.json("batch.json")["files"] as? [[String: Any]])
        #expect(files[0]["folder"] as? String == "caf\\xe9.pdf")
        #expect(files[0]["folderHex"] as? String == "636166e92e706466")
        #expect(try await fixture.export().unchanged == 1)
    }

    @Test func `Pages beyond the first group that is fetched are there, gaps included`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 203)
        try await fixture.record { ExportFixture.text("Text \($0)") }
        try await fixture.database.query("DELETE FROM quire.page WHERE page_no IN (1, 64, 65, 150, 203)")
        let report = try await fixture.export()
        #expect(report.pages.total == 203)
        #expect(report.pages.pending == 5)
        let pages = try #require(try fixture.json("a.pdf/pages.json")["pages"] as? [[String: Any]])
        #expect(pages.compactMap { $0["page"] as? Int } == Array(1...203))
        #expect(pages[148]["markdown"] as? String == "Text 149")
        let markdown = try #require(fixture.string("a.pdf/document.md"))
        #expect(markdown.contains("<a id=\"page-203\"></a>\n\n> **Page 203** is not recognised yet."))
        #expect(markdown.contains("Text 202\n"))
    }

    @Test func `Nothing is written outside the export folder, whatever the database says`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1, content: "A")
        try await fixture.add(FilePath(bytes: Array("home/archive/../../b.pdf".utf8)), pages: 1, content: "B")
        try await fixture.record { _ in ExportFixture.text("x") }
        _ = try await fixture.export()
        #expect(try fixture.names().filter { $0.hasSuffix(".pdf") } == ["__/__/b.pdf", "a.pdf"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path.string) == ["out"])
    }
}
