import Shared
import SystemPackage
import TestSupport
import Testing

/// Kinds of field faults that take more than one step to show: files that change, and files that are submitted again.
@Suite struct FieldStepsTests {
    private func worker(_ work: Workspace) throws -> RunningProgram {
        try work.start("quire-worker", "--threads", "1", "--model", Workspace.tiny.string)
    }

    private func run(_ work: Workspace, _ folder: FilePath, _ name: String) async throws -> ProgramOutcome {
        try await work.quire(
            "run", folder.string, "--out", work.directory.path.appending("out-\(name)").string, "--name", name,
            "--model", Workspace.tiny.string, "--mode", "tiny", "--max-tokens", "8")
    }

    /// Submits a copy of a sample, spoils it in a way, and lets a worker meet that.
    private func workspace(spoiltBy script: String) async throws -> Workspace {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", into: work.archive)
        let kept = work.directory.path.appending("ferry.pdf")
        try await work.shell("cp -p \"$1\" \"$2\"", work.archive.appending("ferry.pdf").string, kept.string)
        let submitted = try await work.quire(
            "submit", work.archive.string, "--name", "sticky", "--model", Workspace.tiny.string, "--mode", "tiny",
            "--max-tokens", "8")
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
        try await work.shell(script, work.archive.appending("ferry.pdf").string)
        let worker = try worker(work)
        let hasMet = try await work.wait(seconds: 60) {
            let faults = try await work.number("SELECT count(*) FROM quire.batch_file WHERE fault IS NOT NULL")
            let isFinished = try await work.status()?.isFinished ?? false
            return faults > 0 || isFinished
        }
        #expect(hasMet, "\(worker.errors)")
        worker.send(signal: 15)
        _ = await worker.outcome()
        return work
    }

    private static let spoils = [
        "echo junk >> \"$1\"", "head -c 1000 \"$1\" > \"$1.part\"; mv \"$1.part\" \"$1\"", ": > \"$1\"",
    ]

    @Test(arguments: spoils)
    func `a file that changed and is right again is read`(script: String) async throws {
        let work = try await workspace(spoiltBy: script)
        try await work.shell(
            "cp -p \"$1\" \"$2\"", work.directory.path.appending("ferry.pdf").string, work.archive.string)
        let outcome = try await run(work, work.archive, "sticky")
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        let status = try #require(try await work.status())
        #expect(status.pages.done == status.pages.total && status.pages.failed == 0)
    }

    @Test(arguments: spoils)
    func `another copy of a file that changed is read`(script: String) async throws {
        let work = try await workspace(spoiltBy: script)
        let other = work.directory.path.appending("other")
        try await work.shell(
            "mkdir -p \"$2\" && cp -p \"$1\" \"$2/b.pdf\"", work.directory.path.appending("ferry.pdf").string,
            other.string)
        let outcome = try await run(work, other, "elsewhere")
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        #expect(outcome.output.contains("4 done"), "\(outcome.output)")
    }

    @Test func `a folder that is submitted again counts its documents alone`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", into: work.archive)
        try await work.shell("cd \"$1\" && echo x > bad.jpg && echo y > note.txt && : > empty.pdf", work.archive.string)
        for _ in 1...2 {
            let outcome = try await work.quire("submit", work.archive.string)
            #expect(outcome.output.contains("documents unchanged") == false, "\(outcome.output)")
        }
        let again = try await work.quire("submit", work.archive.string)
        #expect(again.output.contains("1 document unchanged"), "\(again.output)")
    }
}
