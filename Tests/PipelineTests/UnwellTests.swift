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

    @Test func `a mount below the batch's folder that is gone keeps its pages waiting, and the rest goes on`()
        async throws
    {
        let work = try await Workspace()
        let (nas, away) = (work.directory.path.appending("nas"), work.directory.path.appending("away"))
        for folder in ["gone", "there"] { try await work.copySamples("letters/ferry.pdf", into: nas.appending(folder)) }
        try await work.append("% there", to: nas.appending("there/ferry.pdf"))
        try await submit(work, root: nas, nas, name: "archive")
        move(nas.appending("gone"), to: away)
        let worker = try startWorker(work, root: nas)
        let isNoted = try await work.wait(seconds: 120) {
            guard try await work.number("SELECT count(*) FROM quire.page") == 4 else { return false }
            return try await work.number(
                "SELECT count(*) FROM quire.batch_file WHERE fault LIKE '%empty or missing%'") == 1
        }
        #expect(isNoted, "\(worker.errors)")
        // Tried again as often as would strand a file that was moved.
        for _ in 1...4 {
            try await work.database.query(
                "UPDATE quire.job SET due = now() WHERE state = 'waiting' AND due < 'infinity'")
            try await work.database.query(
                "UPDATE quire.batch_file SET fault_at = now() - interval '1 d' WHERE fault IS NOT NULL")
            let isTried = try await work.wait(seconds: 60) {
                try await work.number("SELECT count(*) FROM quire.job WHERE state = 'waiting' AND due > now()") == 1
            }
            #expect(isTried, "\(worker.errors)")
        }
        let status = try #require(try await work.status())
        #expect(!status.isFinished && status.pages.stranded == 0 && status.pages.pending == 4)
        let shown = try await work.quire("status")
        #expect(shown.output.contains("gone/ferry.pdf") && shown.output.contains("--forget-missing"), "\(shown.output)")
        #expect(rmdir(nas.appending("gone").string) == 0)
        rename(away, nas.appending("gone"))
        try await work.database.query(
            "UPDATE quire.batch_file SET fault_at = now() - interval '1 d' WHERE fault IS NOT NULL")
        try await work.database.query("UPDATE quire.job SET due = now() WHERE state = 'waiting'")
        let isDone = try await work.wait(seconds: 60) {
            try await work.number("SELECT count(*) FROM quire.page") == 8
        }
        #expect(isDone, "\(worker.errors)")
        try await expectUntouched(work)
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test func `a renderer that is killed for want of memory fails no page`() async throws {
        let work = try await Workspace()
        let nas = work.directory.path.appending("nas")
        try await work.copySamples("letters/ferry.pdf", into: nas)
        try await submit(work, root: nas, nas, name: "memory")
        let programs = work.directory.path.appending("programs")
        let short = programs.appending("short")
        // Its test needs little memory, and passes.
        try await work.shell(
            """
            mkdir "$3" && cp "$1" "$3" && touch "$4"
            printf '#!/bin/sh\n[ -e "%s" ] && case "$*" in *self-test*) ;; *) kill -9 $$ ;; esac\nexec "%s" "$@"\n' "$4" "$2" \
              > "$3/quire-render"
            chmod +x "$3/quire-render"
            """, RunningProgram.product("quire-worker").string, RunningProgram.product("quire-render").string,
            programs.string, short.string)
        let worker = try startWorker(work, programs.appending("quire-worker"), root: nas)
        let isNoticed = try await work.wait(seconds: 60) {
            try await unwell(work)?.contains("killed (signal 9)") == true
        }
        #expect(isNoticed, "\(worker.errors)")
        try await Task.sleep(for: .seconds(5))
        #expect(try await work.number("SELECT count(*) FROM quire.page") == 0)
        #expect(unlink(short.string) == 0)
        let isDone = try await work.wait { try await work.status()?.isFinished == true }
        #expect(isDone, "\(worker.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done'") == 4)
        try await expectUntouched(work)
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }
}
