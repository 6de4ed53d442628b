import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct ExportAgainTests {
    /// Two documents of one page, both done.
    private func exported() async throws -> ExportFixture {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        try await fixture.add("home/archive/b.pdf", pages: 1)
        try await fixture.record { _ in ExportFixture.text("First") }
        _ = try await fixture.export()
        return fixture
    }

    /// Has the page of `a.pdf` recognised again.
    private func recogniseAgain(_ fixture: ExportFixture, _ text: String) async throws {
        let match = try #require(try await fixture.queue.documents(matching: "a.pdf", batch: fixture.batch.id).first)
        _ = try await fixture.queue.retry(.page(document: match.id, page: 1), batch: fixture.batch.id, override: nil)
        try await fixture.record { _ in ExportFixture.text(text) }
    }

    @Test func `Nothing is written again when nothing changed`() async throws {
        let fixture = try await exported()
        let before = try fixture.names().map { fixture.bytes(FilePath($0)) }
        let report = try await fixture.export()
        #expect(report.written == 0)
        #expect(report.unchanged == 2)
        #expect(report.pages.done == 2)
        #expect(try fixture.names().map { fixture.bytes(FilePath($0)) } == before)
    }

    @Test func `Only the document that changed is written again`() async throws {
        let fixture = try await exported()
        try await recogniseAgain(fixture, "Second")
        let report = try await fixture.export()
        #expect(report.written == 1)
        #expect(report.unchanged == 1)
        #expect(fixture.string("a.pdf/document.md")?.contains("Second") == true)
        #expect(fixture.string("b.pdf/document.md")?.contains("First") == true)
    }

    @Test func `What others put into a document's folder stays, and what they edited is kept`() async throws {
        let fixture = try await exported()
        try fixture.write("my note", to: fixture.out.appending("a.pdf/note.txt"))
        try fixture.write("corrected", to: fixture.out.appending("a.pdf/document.md"))
        try FileManager.default.createDirectory(
            atPath: fixture.out.appending("a.pdf/extra").string, withIntermediateDirectories: false)
        try fixture.write("deep", to: fixture.out.appending("a.pdf/extra/deep.txt"))

        // Nothing changed: the edited text is left alone.
        #expect(try await fixture.export().unchanged == 2)
        #expect(fixture.string("a.pdf/document.md") == "corrected")

        try await recogniseAgain(fixture, "Second")
        #expect(try await fixture.export().written == 1)
        #expect(fixture.string("a.pdf/note.txt") == "my note")
        #expect(fixture.string("a.pdf/extra/deep.txt") == "deep")
        #expect(fixture.string("a.pdf/document.md")?.contains("Second") == true)
        #expect(fixture.string("a.pdf/document.md.edited") == "corrected")
        #expect(try fixture.leftovers() == [])
    }

    @Test func `A file that was removed is written again`() async throws {
        let fixture = try await exported()
        try FileManager.default.removeItem(atPath: fixture.out.appending("a.pdf/document.md").string)
        let report = try await fixture.export()
        #expect(report.written == 1)
        #expect(fixture.string("a.pdf/document.md")?.contains("First") == true)
    }

    @Test func `Another choice of formats is written anew`() async throws {
        let fixture = try await exported()
        #expect(try await fixture.export([.markdown]).written == 2)
        #expect(fixture.bytes("a.pdf/pages.json") == nil)
        #expect(fixture.bytes("a.pdf/document.md") != nil)
    }

    @Test func `An export that was interrupted leaves no half document`() async throws {
        let fixture = try await exported()
        // As between the two renames: the old folder stands aside and the new one is complete.
        let a = fixture.out.appending("a.pdf")
        let (new, old) = ExportNaming.temporaryNames(for: a)
        try FileManager.default.moveItem(atPath: a.string, toPath: old.string)
        try FileManager.default.createDirectory(atPath: new.string, withIntermediateDirectories: false)
        try fixture.write("half", to: new.appending("document.md"))
        let report = try await fixture.export()
        #expect(report.unchanged == 2)
        #expect(fixture.string("a.pdf/document.md")?.contains("First") == true)
        #expect(try fixture.leftovers() == [])
    }

    @Test func `Something that no export wrote is left alone, and the rest is exported`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        try await fixture.add("home/archive/b.pdf", pages: 1)
        try await fixture.add("home/archive/c/d.pdf", pages: 1)
        try await fixture.record { _ in ExportFixture.text("x") }
        try FileManager.default.createDirectory(
            atPath: fixture.out.appending("b.pdf").string, withIntermediateDirectories: true)
        try fixture.write("the document itself", to: fixture.out.appending("a.pdf"))
        try fixture.write("precious", to: fixture.out.appending("b.pdf/thesis.txt"))
        // A link that leads elsewhere.
        try FileManager.default.createSymbolicLink(
            atPath: fixture.out.appending("c").string, withDestinationPath: fixture.scratch.path.string)
        let report = try await fixture.export()
        #expect(report.blocked.shown.map(\.path) == ["a.pdf", "b.pdf", "c/d.pdf"])
        #expect(!report.isComplete)
        #expect(fixture.string("a.pdf") == "the document itself")
        #expect(fixture.string("b.pdf/thesis.txt") == "precious")
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path.string) == ["out"])
        let files = try #require(try fixture.json("batch.json")["files"] as? [[String: Any]])
        #expect(files.map { $0["status"] as? String } == ["blocked", "blocked", "blocked"])
    }

    @Test func `A folder that holds the export of another source is refused`() async throws {
        let fixture = try await exported()
        let other = try await fixture.queue.openBatch(
            name: "other", source: SourceLocation(root: "local", path: "home/elsewhere"),
            pipeline: fixture.batch.pipeline, priority: 0
        ).batch
        await #expect(throws: ExportError.self) {
            try await Exporter(queue: fixture.queue, batch: other, directory: fixture.out).export()
        }
        #expect(try fixture.json("batch.json")["batch"] as? String == "archive")
    }

    @Test func `Two exports into one folder do not meet`() async throws {
        let fixture = try await exported()
        let file = try FileDescriptor.open(fixture.out, .readOnly, options: [.directory])
        defer { try? file.close() }
        #expect(flock(file.rawValue, LOCK_EX) == 0)
        await #expect(throws: ExportError.self) { try await fixture.export() }
    }

    @Test func `An export of an earlier version is taken over, with what others put there`() async throws {
        let fixture = try await exported()
        for name in ["a.pdf", "b.pdf"] {
            let manifest = FilePath("\(name)/manifest.json")
            let text = try #require(fixture.string(manifest)).split(separator: "\n").filter { !$0.contains("stranded") }
            try fixture.write(text.joined(separator: "\n"), to: fixture.out.appending(manifest.components))
            try FileManager.default.removeItem(atPath: fixture.out.appending("\(name)/.quire-document").string)
        }
        try FileManager.default.removeItem(atPath: fixture.out.appending(".quire-export").string)
        try fixture.write("my note", to: fixture.out.appending("a.pdf/note.txt"))
        try fixture.write("corrected", to: fixture.out.appending("b.pdf/document.md"))
        let report = try await fixture.export()
        #expect(report.written == 2 && report.isComplete)
        #expect(fixture.string("a.pdf/note.txt") == "my note")
        #expect(fixture.string("b.pdf/document.md.edited") == "corrected")
        #expect(try await fixture.export().unchanged == 2)
    }
}
