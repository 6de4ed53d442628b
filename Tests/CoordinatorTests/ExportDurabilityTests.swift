import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// What is in its place is on the disk, and an export that is cut off is completed by the next one.
@Suite(.serialized) struct ExportDurabilityTests {
    private func quire(_ fixture: ExportFixture, _ more: [String: String?] = [:]) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), ["export", "archive", "--out", fixture.out.string],
            environment: [
                "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
            ]
            .merging(more) { $1 })
    }

    private func filled() async throws -> ExportFixture {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 2)
        try await fixture.add("home/archive/letters/b.pdf", pages: 1)
        try await fixture.add("home/archive/letters/old/c.pdf", pages: 1)
        try await fixture.add("home/archive/d.pdf", .unreadable(reason: "The file is empty."))
        try await fixture.record { page in
            ExportFixture.text(
                "Words of page \(page)", figures: page == 2 ? [Figure(name: "f.jpg", jpeg: [1, 2, 3])] : [])
        }
        return fixture
    }

    /// Cuts an export off at every `step`-th of its operations, with every kind of loss, and completes it.
    private func cutEverywhere(_ fixture: ExportFixture, step: Int) async throws {
        let cut = try PowerCut(watching: fixture.scratch.path)
        let whole = try await quire(fixture, cut.environment())
        #expect(whole.status == 0, "\(whole.errors)")
        let expected = try PowerCut.tree(fixture.out)
        let count = cut.operations().count
        #expect(count > 30)
        // After the end nothing is lost, whatever the disk does.
        try cut.lose(.everything)
        #expect(try PowerCut.tree(fixture.out) == expected)
        let losses: [PowerCut.Loss] = [.none, .everything, .contents, .zeros, .some(seed: 1), .some(seed: 2)]
        for (number, after) in stride(from: 0, to: count, by: step).enumerated() {
            for loss in [losses[number % losses.count], .some(seed: UInt64(1000 + after))] {
                try cut.reset()
                #expect(try await quire(fixture, cut.environment(after: after)).status == 137)
                try cut.lose(loss)
                let next = try await quire(fixture)
                #expect(next.status == 0, "\(loss) at \(after): \(next.errors)")
                let found = try PowerCut.tree(fixture.out)
                guard found == expected else {
                    let differences = Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }
                    Issue.record("\(loss) at \(after): \(differences.sorted())")
                    return
                }
            }
        }
    }

    @Test func `A first export that is cut off anywhere is completed by the next one`() async throws {
        try await cutEverywhere(filled(), step: 3)
    }

    @Test func `An export over an older one that is cut off anywhere is completed by the next one`() async throws {
        let fixture = try await filled()
        _ = try await fixture.export()
        try fixture.write("my note", to: fixture.out.appending("a.pdf/note.txt"))
        try fixture.write("corrected", to: fixture.out.appending("letters/b.pdf/document.md"))
        try await fixture.remove("home/archive/letters/old/c.pdf")
        try await fixture.add("home/archive/letters/e.pdf", pages: 1)
        for name in ["a.pdf", "b.pdf"] {
            let match = try #require(
                try await fixture.queue.documents(matching: FilePath(name), batch: fixture.batch.id).first)
            _ = try await fixture.queue.retry(
                .page(document: match.id, page: 1), batch: fixture.batch.id, override: nil)
        }
        try await fixture.record { _ in ExportFixture.text("Other words") }
        try await cutEverywhere(fixture, step: 4)
        #expect(fixture.string("a.pdf/note.txt") == "my note")
        #expect(fixture.string("letters/b.pdf/document.md.edited") == "corrected")
        #expect(fixture.bytes("letters/old/c.pdf/document.md") == nil)
    }

    /// What the other tests would find if exports did not wait for the disk.
    @Test func `A program that does not wait for the disk loses what it wrote`() async throws {
        let fixture = try await filled()
        let cut = try PowerCut(watching: fixture.scratch.path)
        let result = try await quire(fixture, cut.environment().merging(["QUIRE_CUT_NEVER_SYNC": "1"]) { $1 })
        #expect(result.status == 0 && !cut.operations().contains { $0[0] == "sync" })
        try cut.lose(.zeros)
        #expect(fixture.bytes("a.pdf/document.md")?.allSatisfy { $0 == 0 } == true)
        try cut.lose(.everything)
        #expect(!FileManager.default.fileExists(atPath: fixture.out.string))
    }

    @Test func `A manifest that was torn blocks nothing, and what was torn with it is not kept`() async throws {
        let fixture = try await filled()
        _ = try await fixture.export()
        let expected = try PowerCut.tree(fixture.out)
        for torn in ["", "{\n  \"files\""] {
            try fixture.write(torn, to: fixture.out.appending("a.pdf/manifest.json"))
            try fixture.write("", to: fixture.out.appending("a.pdf/document.md"))
            try fixture.write("\0\0\0\0", to: fixture.out.appending("a.pdf/pages.json"))
            let report = try await fixture.export()
            #expect(report.written == 1 && report.unchanged == 2 && report.blocked.isEmpty)
            #expect(try PowerCut.tree(fixture.out) == expected)
        }
    }

    @Test func `After an export that was cut off digests are believed, not sizes`() async throws {
        let fixture = try await filled()
        _ = try await fixture.export()
        let expected = try PowerCut.tree(fixture.out)
        let page = fixture.out.appending("a.pdf/pages.json")
        let manifest = try FileManager.default.attributesOfItem(
            atPath: fixture.out.appending("a.pdf/manifest.json").string)
        try Data(count: fixture.bytes("a.pdf/pages.json")?.count ?? 0).write(to: URL(filePath: page.string))
        try FileManager.default.setAttributes(
            [.modificationDate: try #require(manifest[.modificationDate] as? Date) - 1], ofItemAtPath: page.string)
        // Somebody's own text is left alone all the same.
        try fixture.write("corrected", to: fixture.out.appending("letters/b.pdf/document.md"))
        // As an export leaves it that is killed.
        let state = try #require(fixture.string(".quire-export"))
        #expect(state.contains("\"whole\""))
        try fixture.write(state.replacing("whole", with: "writing"), to: fixture.out.appending(".quire-export"))
        let report = try await fixture.export()
        #expect(report.written == 1 && report.unchanged == 2)
        #expect(fixture.bytes("a.pdf/pages.json") == expected["a.pdf/pages.json"])
        #expect(fixture.string("letters/b.pdf/document.md") == "corrected")
        #expect(fixture.string(".quire-export") == state)
    }

    @Test(arguments: [28, 122, 30])
    func `A full or read-only disk ends the export with a sentence, and the next one goes on`(
        _ error: Int32
    ) async throws {
        let fixture = try await filled()
        try FileManager.default.createDirectory(atPath: fixture.out.string, withIntermediateDirectories: false)
        let cut = try PowerCut(watching: fixture.scratch.path)
        let full = try await quire(fixture, cut.environment(after: 25, error: error))
        #expect(full.status == 8)
        #expect(
            full.errors.contains("kept in the database") && full.errors.contains("the same command"), "\(full.errors)")
        #expect(try fixture.leftovers().filter { !$0.contains("/") || $0.contains(".pdf") }.count <= 2)
        #expect(try await quire(fixture).status == 0)
        #expect(try fixture.leftovers() == [])
        #expect(
            try fixture.listed().map { $0["status"] as? String } == ["exported", "unreadable", "exported", "exported"])
    }

    @Test func `Where names are compared without case no document takes another one's folder`() async throws {
        let fixture = try await ExportFixture()
        for name in ["Brief.pdf", "brief.pdf", "Letters/a.pdf", "letters/A.pdf", "BATCH.JSON"] {
            try await fixture.add(FilePath("home/archive/\(name)"), pages: 1)
        }
        try await fixture.record { _ in ExportFixture.text("Words") }
        try FileManager.default.createDirectory(atPath: fixture.out.string, withIntermediateDirectories: false)
        let cut = try PowerCut(watching: fixture.scratch.path)
        for run in 1...2 {
            let result = try await quire(fixture, cut.environment(isFolding: true))
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.contains(run == 1 ? "5 written" : "5 unchanged"), "\(result.output)")
        }
        let listed = try fixture.listed()
        #expect(listed.map { $0["status"] as? String } == [String](repeating: "exported", count: 5))
        let paths = try listed.map { entry in
            let folder = try #require(entry["folder"] as? String)
            // As this folder would find it.
            let name = try #require(
                try fixture.names().first { $0.lowercased() == folder.lowercased() + "/manifest.json" })
            return try fixture.json(FilePath(name))["path"] as? String
        }
        #expect(paths == listed.map { $0["path"] as? String })
    }
}
