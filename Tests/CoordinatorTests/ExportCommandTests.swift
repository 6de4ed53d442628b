import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// The programs themselves, as a person starts them.
@Suite struct ExportCommandTests {
    private func quire(_ arguments: [String], database: String) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: ["DATABASE_URL": database, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent"])
    }

    @Test func `A batch is exported and its problems are named`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 2)
        try await fixture.add("home/archive/b.pdf", .unreadable(reason: "The file is empty."))
        try await fixture.record { page in
            page == 1 ? ExportFixture.text("Words") : .failed(reason: "It is damaged.", isPermanent: true)
        }
        let result = try await quire(
            ["export", "archive", "--out", fixture.out.string, "--format", "markdown"],
            database: fixture.connectionString)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("1 document: 1 written\n2 pages: 1 done, 1 failed"))
        #expect(result.output.contains("b.pdf: The file is empty."))
        #expect(result.output.contains("a.pdf, page 2: It is damaged."))
        #expect(fixture.string("a.pdf/document.md")?.contains("Words") == true)
        #expect(fixture.bytes("a.pdf/pages.json") == nil)

        try FileManager.default.removeItem(atPath: fixture.out.appending("a.pdf").string)
        try fixture.write("mine", to: fixture.out.appending("a.pdf"))
        let blocked = try await quire(
            ["export", "archive", "--out", fixture.out.string], database: fixture.connectionString)
        #expect(blocked.status == 1)
        #expect(blocked.errors.contains("1 document could not be exported"))
    }

    @Test func `A batch that does not exist is an error that names those that do`() async throws {
        let fixture = try await ExportFixture()
        for arguments in [["status", "letters"], ["export", "letters", "--out", fixture.out.string]] {
            let result = try await quire(arguments, database: fixture.connectionString)
            #expect(result.status == 2)
            #expect(result.errors.contains("letters") && result.errors.contains("archive"))
        }
        #expect(!FileManager.default.fileExists(atPath: fixture.out.string))
    }

    @Test func `Mistakes are told from each other by the exit code`() async throws {
        let fixture = try await ExportFixture()
        let gone = try await quire(["status"], database: "host=/nonexistent dbname=none")
        #expect(gone.status == 3)
        #expect(gone.errors.contains("cannot be reached"))
        let format = try await quire(
            ["export", "archive", "--out", "x", "--format", "docx"], database: fixture.connectionString)
        #expect(format.status == 2)
        #expect(format.errors.contains("'docx' is no format"))
        let unwritable = try await quire(
            ["export", "archive", "--out", "/proc/quire"], database: fixture.connectionString)
        #expect(unwritable.status == 8)
        #expect(unwritable.errors.contains("/proc/quire"))
    }

    @Test func `The status is written for people and for programs`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 3)
        try await fixture.record { $0 < 3 ? ExportFixture.text("x") : nil }
        let text = try await quire(["status"], database: fixture.connectionString)
        #expect(text.status == 0)
        #expect(text.output.contains("archive  (open, tiny)"))
        #expect(text.output.contains("pages      3: 2 done, 1 pending"))
        let json = try await quire(["status", "archive", "--json"], database: fixture.connectionString)
        let report = try JSONDecoder().decode(StatusReport.self, from: Data(json.output.utf8))
        #expect(report.batches.map(\.name) == ["archive"])
        #expect(report.batches[0].pages.done == 2)
        #expect(report.workers.map(\.name) == ["w1"])
    }

    @Test func `Watching ends with the last page, and at an interrupt`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        let watching = try RunningProgram(
            RunningProgram.product("quire"), ["status", "archive", "--watch"],
            environment: ["DATABASE_URL": fixture.connectionString])
        let interrupted = try RunningProgram(
            RunningProgram.product("quire"), ["status", "--watch"],
            environment: ["DATABASE_URL": fixture.connectionString])
        while interrupted.output.isEmpty || watching.output.isEmpty { try await Task.sleep(for: .milliseconds(50)) }
        interrupted.send(signal: SIGINT)
        #expect(await interrupted.outcome().status == 0)
        try await fixture.record { _ in ExportFixture.text("x") }
        let outcome = await watching.outcome()
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("archive: 0 of 1 page\n"))
        #expect(outcome.output.contains("pages      1: 1 done"))
    }
}
