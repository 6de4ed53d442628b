import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// Real workers whose machine loses its mount or its renderer.
@Suite struct UnwellTests {
    /// A worker that is given the archive as a mount.
    private func startWorker(
        _ work: Workspace, _ program: FilePath = RunningProgram.product("quire-worker"), root: FilePath
    ) throws -> RunningProgram {
        try RunningProgram(
            program,
            ["--threads", "1", "--memory", "160M", "--precision", "int8", "--root", "nas=\(root.string)"],
            environment: work.environment)
    }

    private func submit(_ work: Workspace, root: FilePath, _ folder: FilePath, name: String) async throws {
        let submitted = try await work.quire(
            "submit", folder.string, "--root", "nas=\(root.string)", "--name", name, "--precision", "int8")
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
    }

    private func unwell(_ work: Workspace) async throws -> String? {
        var rows = try await work.database.query("SELECT unwell FROM quire.worker WHERE ended_at IS NULL")
        return rows.isEmpty ? nil : try rows[0].optionalText()
    }

    /// Nothing failed, and nobody paid an attempt.
    private func expectUntouched(_ work: Workspace) async throws {
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state NOT IN ('done', 'blank')") == 0)
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE attempt > 1") == 0)
        #expect(
            try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome NOT IN ('done', 'released')") == 0)
        #expect(try await work.number("SELECT count(*) FROM quire.batch_file WHERE fault IS NOT NULL") == 0)
    }

    private func rename(_ from: FilePath, _ to: FilePath) {
        #expect(Glibc.rename(from.string, to.string) == 0, "\(from): \(Errno(rawValue: errno))")
    }

    private func move(_ folder: FilePath, to away: FilePath) {
        rename(folder, away)
        #expect(mkdir(folder.string, 0o755) == 0)
    }

    @Test func `a mount that is gone fails no page, leaves other batches alone, and is noticed when it is back`()
        async throws
    {
        let work = try await Workspace()
        let (nas, away) = (work.directory.path.appending("nas"), work.directory.path.appending("away"))
        for folder in ["gone", "there"] { try await work.copySamples("letters/ferry.pdf", into: nas.appending(folder)) }
        // Another content, lest its pages be recognised before.
        try await work.append("% there", to: nas.appending("there/ferry.pdf"))
        try await submit(work, root: nas, nas.appending("gone"), name: "gone")
        try await submit(work, root: nas, nas.appending("there"), name: "there")
        move(nas.appending("gone"), to: away)
        let worker = try startWorker(work, root: nas)
        let isNoticed = try await work.wait(seconds: 60) {
            try await unwell(work)?.contains("cannot see the folder of batch gone (nas/gone)") == true
        }
        #expect(isNoticed, "\(worker.errors)")
        let thereIsDone = try await work.wait(seconds: 60) {
            try await work.number("SELECT count(*) FROM quire.page") == 4
        }
        #expect(thereIsDone, "\(worker.errors)")
        let text = worker.errors
        #expect(text.split(separator: "\n").count { $0.contains("Unwell") } == 1, "\(text)")
        #expect(rmdir(nas.appending("gone").string) == 0)
        rename(away, nas.appending("gone"))
        let isDone = try await work.wait(seconds: 60) {
            try await work.number("SELECT count(*) FROM quire.page") == 8
        }
        #expect(isDone, "\(worker.errors)")
        try await expectUntouched(work)
        let isWell = try await work.wait(seconds: 30) { try await unwell(work) == nil }
        #expect(isWell && worker.errors.contains("Well again"), "\(worker.errors)")
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test func `a renderer that is taken away fails no page, and the worker goes on when it is back`() async throws {
        let work = try await Workspace()
        let nas = work.directory.path.appending("nas")
        try await work.copySample("letters/ferry.pdf", times: 12)
        try await work.shell("cp -r \"$1\" \"$2\"", work.archive.string, nas.string)
        try await submit(work, root: nas, nas, name: "renderer")
        let programs = work.directory.path.appending("programs")
        let renderer = programs.appending("quire-render")
        try await work.shell(
            "mkdir \"$3\" && cp \"$1\" \"$2\" \"$3\"", RunningProgram.product("quire-worker").string,
            RunningProgram.product("quire-render").string, programs.string)
        let worker = try startWorker(work, programs.appending("quire-worker"), root: nas)
        let hasBegun = try await work.wait { try await work.number("SELECT count(*) FROM quire.page") > 0 }
        #expect(hasBegun, "\(worker.errors)")
        for _ in 0..<2 {
            rename(renderer, programs.appending("old"))
            let isNoticed = try await work.wait(seconds: 60) {
                try await unwell(work)?.contains("quire-render cannot be started") == true
            }
            #expect(isNoticed, "\(worker.errors)")
            #expect(try await work.status()?.isFinished == false)
            rename(programs.appending("old"), renderer)
            let isWell = try await work.wait(seconds: 60) { try await unwell(work) == nil }
            #expect(isWell, "\(worker.errors)")
        }
        let isDone = try await work.wait { try await work.status()?.isFinished == true }
        #expect(isDone, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done'") == 48)
        try await expectUntouched(work)
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }
}
