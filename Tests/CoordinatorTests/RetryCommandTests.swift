import Coordinator
import Shared
import SystemPackage
import TestSupport
import Testing

/// `quire retry` before and after an upgrade, as a person gives it.
@Suite struct RetryCommandTests {
    private func quire(_ fixture: ExportFixture, _ arguments: String...) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: [
                "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
            ])
    }

    private func worker(
        _ fixture: ExportFixture, version: String, engine: String, precision: String = "bf16"
    ) async throws -> Int64 {
        var identity = WorkerIdentity(
            name: "new", host: "here", bootID: "boot", pid: 300, processStartTicks: 5, device: "cpu (2 threads)",
            version: version, modelDigest: ExportFixture.model)
        (identity.engineVersion, identity.precision) = (engine, precision)
        return try await fixture.queue.register(identity)
    }

    @Test func `after an upgrade of the program a batch goes on, and its retries give text`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 20)
        try await fixture.record { $0 <= 5 ? ExportFixture.text("old") : nil }
        // The old program's worker leaves; the new one has another version and the same engine.
        try await fixture.database.query("UPDATE quire.worker SET ended_at = now()")
        try await fixture.queue.maintain()
        let upgraded = try await worker(fixture, version: "9.9.9", engine: QuireVersion.engine)
        try await fixture.record(by: upgraded) { _ in ExportFixture.text("new") }
        var status = try #require(try await fixture.queue.status(batch: nil).first)
        #expect(status.isFinished && status.pages.done == 20)

        let retry = try await quire(fixture, "retry", "archive", "--document", "a.pdf", "--all")
        #expect(retry.status == 0, "\(retry.errors)")
        #expect(
            retry.output.contains("20 pages of batch archive queued again. What they have stays"), "\(retry.output)")
        _ = try await fixture.export()
        let text = fixture.string("a.pdf/document.md") ?? ""
        #expect(text.contains("old") && text.contains("new") && !text.contains("not recognised yet"))
        try await fixture.record(by: upgraded) { _ in ExportFixture.text("newest") }
        status = try #require(try await fixture.queue.status(batch: nil).first)
        #expect(status.isFinished && status.pages.done == 20)
        #expect(try await QueueCheck(fixture.queue).faults() == [])
    }

    @Test func `a retry that nobody could answer is refused with a sentence, and takes nothing away`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 2)
        try await fixture.record { _ in ExportFixture.text("old") }
        try await fixture.database.query("UPDATE quire.pipeline SET engine_version = '0.0.9'")
        let refused = try await quire(fixture, "retry", "archive", "--document", "a.pdf", "--all")
        #expect(refused.status == 2 && refused.errors.contains("version 0.0.9 of the engine"), "\(refused.errors)")
        #expect(refused.errors.contains("Nothing was changed."), "\(refused.errors)")
        #expect(try await fixture.queue.status(batch: nil).first?.pages.done == 2)

        let old = try await worker(fixture, version: "0.0.9", engine: "0.0.9")
        let accepted = try await quire(fixture, "retry", "archive", "--document", "a.pdf", "--all")
        #expect(accepted.status == 0, "\(accepted.errors)")
        try await fixture.record(by: old) { _ in ExportFixture.text("again") }
        #expect(try await fixture.queue.status(batch: nil).first?.pages.done == 2)
    }

    @Test func `a precision that no worker has is said, and not refused`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        try await fixture.record { _ in ExportFixture.text("old") }
        try await fixture.database.query("UPDATE quire.pipeline SET precision = 'f32'")
        let hinted = try await quire(fixture, "retry", "archive", "--page", "a.pdf:1")
        #expect(
            hinted.status == 0 && hinted.output.contains("quire-worker --model DIR --precision f32"), "\(hinted.output)"
        )
        let resume = try await quire(fixture, "prune", "--batch", "archive", "--results", "--yes")
        #expect(resume.status == 2, "it has pages left to do")
    }

    @Test func `a deletion that was begun is finished by the same command, and refuses all others`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 2)
        try await fixture.record { _ in ExportFixture.text("old") }
        try await fixture.queue.beginDeleting(fixture.batch.id)
        for arguments in [["resume"], ["retry"], ["pause"], ["cancel"]] {
            let refused = try await RunningProgram.run(
                RunningProgram.product("quire"), arguments + ["archive"],
                environment: ["DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil])
            #expect(refused.status == 2, "\(arguments): \(refused.output)")
            #expect(refused.errors.contains("quire prune --batch archive --results --yes"), "\(refused.errors)")
        }
        let status = try await quire(fixture, "status")
        #expect(status.output.contains("archive  (deleting"), "\(status.output)")
        #expect(status.output.contains("its deletion was begun"), "\(status.output)")
        let finished = try await quire(fixture, "prune", "--batch", "archive", "--results", "--yes")
        #expect(finished.status == 0 && finished.output.contains("Gone: batch archive"), "\(finished.errors)")
        #expect(try await fixture.queue.batches().isEmpty)
    }
}
