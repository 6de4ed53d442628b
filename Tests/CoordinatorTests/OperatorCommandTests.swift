import Coordinator
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// `quire worker`, `status`, `priority` and `prune` as a person starts them, on a real server.
@Suite struct OperatorCommandTests {
    private func quire(_ fixture: ExportFixture, _ arguments: String...) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: [
                "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
            ])
    }

    private func cells(_ output: String, of worker: String) -> [String] {
        let line = output.split(separator: "\n").first { $0.contains(" \(worker) ") } ?? ""
        return line.split(separator: " ").map(String.init)
    }

    @Test func `Workers are listed by what they do, and drained by number, name or host`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 3)
        let second = try await fixture.another()
        try await fixture.record { $0 == 1 ? ExportFixture.text("x") : nil }
        var list = try await quire(fixture, "worker", "list")
        #expect(list.status == 0, "\(list.errors)")
        #expect(list.output.contains("ID  WORKER  HOST"))
        let working = cells(list.output, of: "w1")
        #expect(
            working.starts(with: [
                "1", "w1", "here", "100", QuireVersion.current, "cdcdcdcdcdcd", "bf16", "working", "2",
            ]))
        #expect(working.last == "1", "one page handed over: \(working)")
        #expect(cells(list.output, of: "w2").contains("idle"))

        let drained = try await quire(fixture, "worker", "drain", "there")
        #expect(drained.status == 0 && drained.output.contains("Worker \(second) (w2 on there) leaves"))
        list = try await quire(fixture, "worker", "list")
        #expect(cells(list.output, of: "w2").contains("draining") && cells(list.output, of: "w1").contains("working"))
        #expect(try await fixture.queue.claim(worker: second, modelDigest: ExportFixture.model, leaseSeconds: 9) == nil)
        #expect(try await fixture.queue.heartbeat(worker: second, tokens: []).shouldDrain)

        let unknown = try await quire(fixture, "worker", "drain", "elsewhere")
        #expect(unknown.status == 2 && unknown.errors.contains("1 (w1 on here), 2 (w2 on there)"), "\(unknown.errors)")
        #expect(try await quire(fixture, "worker", "drain").status == 2)
        #expect(try await quire(fixture, "worker", "drain", "1", "--all").status == 2)

        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '40 s' WHERE id = 1")
        try await fixture.queue.unregister(worker: second)
        list = try await quire(fixture, "worker", "list")
        #expect(cells(list.output, of: "w1").contains("silent") && !list.output.contains("w2"))
        list = try await quire(fixture, "worker", "list", "--all", "--json")
        let workers = try JSONDecoder().decode([WorkerActivity].self, from: Data(list.output.utf8))
        #expect(workers.map(\.state) == [.silent, .ended])
        #expect(workers[1].endedAt != nil && workers[0].pagesInHand == 2)
        let all = try await quire(fixture, "worker", "drain", "--all")
        #expect(all.output.contains("Worker 1 (w1 on here) leaves with 2 pages in hand."), "\(all.output)")
    }

    @Test func `Status groups problems by reason, and says why nothing goes on`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 20)
        try await fixture.add("home/archive/b.pdf", .unreadable(reason: "The file is empty."))
        try await fixture.record { page in
            page > 16
                ? ExportFixture.text("x")
                : .failed(
                    reason: page > 4 ? "Block \(page) is damaged." : "The page has no pixels.", isPermanent: true)
        }
        var status = try await quire(fixture, "status")
        #expect(status.output.contains("Problems by reason\n"), "\(status.output)")
        #expect(status.output.contains("  12  Block "), "\(status.output)")
        #expect(status.output.contains("   4  The page has no pixels. (such as archive: a.pdf:1)"), "\(status.output)")
        #expect(status.output.contains("   1  The file is empty. (such as archive: b.pdf)"))
        #expect(!status.output.contains("note:"))

        try await fixture.add("home/archive/c.pdf", pages: 1)
        try await fixture.record { _ in .failed(reason: "Not now.", isPermanent: false) }
        status = try await quire(fixture, "status", "archive")
        #expect(status.output.contains("note: all pages that are left wait for another attempt, the first until 2"))
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        try await fixture.queue.maintain()
        #expect(try await !quire(fixture, "status").output.contains("note:"))

        try await fixture.database.query("UPDATE quire.worker SET ended_at = now()")
        #expect(try await quire(fixture, "status").output.contains("no worker runs"))
        let other = try await fixture.another(model: String(repeating: "ef", count: 32))
        #expect(try await quire(fixture, "status").output.contains("no worker has this batch's model (cdcdcdcdcdcd)"))
        try await fixture.queue.unregister(worker: other)
        let old = try await fixture.another(version: "0.0.1")
        #expect(try await quire(fixture, "status").output.contains("version of Quire"))
        try await fixture.queue.unregister(worker: old)
        let astray = try await fixture.another(roots: ["elsewhere"])
        #expect(try await quire(fixture, "status").output.contains("no worker knows the root 'local'"))
        try await fixture.queue.unregister(worker: astray)
        let right = try await fixture.another(roots: ["elsewhere", "local"])
        #expect(try await !quire(fixture, "status").output.contains("note:"))
        try await fixture.queue.drain(workers: [right])
        #expect(try await quire(fixture, "status").output.contains("asked to leave"))
        try await fixture.queue.setState(.paused, batch: fixture.batch.id)
        #expect(try await quire(fixture, "status").output.contains("quire resume archive"))
    }

    @Test func `Priority and weight are changed and shown`() async throws {
        let fixture = try await ExportFixture()
        let first = try await quire(fixture, "priority", "archive", "7", "--weight", "2.5")
        #expect(first.output == "Batch archive has priority 7 and weight 2.5.\n", "\(first.errors)")
        let second = try await quire(fixture, "priority", "archive", "--", "-1")
        #expect(second.output == "Batch archive has priority -1 and weight 2.5.\n", "\(second.errors)")
        #expect(try await fixture.queue.batches()[0].priority == -1)
        for arguments in [["archive", "x"], ["archive", "1", "--weight", "0"], ["letters", "1"]] {
            let wrong = try await RunningProgram.run(
                RunningProgram.product("quire"), ["priority"] + arguments,
                environment: ["DATABASE_URL": fixture.connectionString])
            #expect(wrong.status == 2 && !wrong.errors.isEmpty)
        }
    }

    private func number(_ fixture: ExportFixture, _ table: String) async throws -> Int {
        var rows = try await fixture.database.query("SELECT count(*) FROM quire.\(table)")
        return try rows[0].int()
    }

    @Test func `Pruning says what would go, and takes old details of finished batches only`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 40)
        try await fixture.record { $0 == 40 ? .failed(reason: "Bad.", isPermanent: true) : ExportFixture.text("x") }
        _ = try await fixture.queue.retry(.failed, batch: fixture.batch.id, override: nil)
        let age = "UPDATE quire.attempt SET started_at = now() - interval '40 d', ended_at = now() - interval '40 d'"
        try await fixture.database.query(age)
        let open = try await quire(fixture, "prune", "--batch", "archive", "--yes")
        #expect(open.status == 2 && open.errors.contains("has pages left to do"), "\(open.errors)")
        let nothing = try await quire(fixture, "prune", "--yes")
        #expect(nothing.output.contains("Gone, of 0 batches: 0 entries"), "\(nothing.output)\(nothing.errors)")
        #expect(try await number(fixture, "attempt") == 3)

        try await fixture.record { _ in ExportFixture.text("x") }
        try await fixture.database.query("UPDATE quire.page_history SET replaced_at = now() - interval '40 d'")
        let trial = try await quire(fixture, "prune", "--replaced")
        #expect(trial.output.contains("Would go, of 1 batch: 3 entries of the ledger"), "\(trial.output)")
        #expect(trial.output.contains("1 replaced result.\nNothing was changed."), "\(trial.output)")
        #expect(try await number(fixture, "attempt") == 4)
        let real = try await quire(fixture, "prune", "--replaced", "--yes")
        #expect(real.output.contains("Gone, of 1 batch: 3 entries of the ledger"), "\(real.output)")
        #expect(try await number(fixture, "attempt") == 1, "the young one stays")
        #expect(try await number(fixture, "page_history") == 0)
        #expect(try await number(fixture, "page") == 40, "results stay")
        let shown = try await quire(fixture, "show", "a.pdf:1")
        #expect(shown.status == 0 && shown.output.contains("none that is still recorded"))
        for arguments in [["--results"], ["--yes", "--dry-run"], ["--older-than", "soon"]] {
            let wrong = try await RunningProgram.run(
                RunningProgram.product("quire"), ["prune"] + arguments,
                environment: ["DATABASE_URL": fixture.connectionString])
            #expect(wrong.status == 2, "\(arguments)")
        }
    }

    @Test func `A whole batch goes only when asked for, without what others share`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/own.pdf", pages: 3)
        try await fixture.add("home/archive/shared.pdf", pages: 2)
        try await fixture.add("home/archive/bad.pdf", .unreadable(reason: "The file is empty."))
        let other = try await fixture.queue.openBatch(
            name: "other", source: SourceLocation(root: "local", path: "home/other"), pipeline: fixture.batch.pipeline,
            priority: 0
        ).batch
        let digest = try #require(
            try await fixture.queue.files(batch: fixture.batch.id).compactMap { file in
                if case .document(_, let digest, _, 2) = file.content { digest } else { nil }
            }.first)
        let copy = ScannedFile(
            location: SourceLocation(root: "local", path: "home/other/copy.pdf"),
            stamp: FileStamp(size: 1, modifiedNanoseconds: 1),
            finding: .document(sha256: digest, format: .pdf, pageCount: 2))
        _ = try await fixture.queue.add([copy], to: other.id)
        try await fixture.record { _ in ExportFixture.text("x") }
        try await fixture.queue.maintain()

        let trial = try await quire(fixture, "prune", "--batch", "archive", "--results")
        let what = "batch archive with 2 documents and 3 results; other batches keep the results of 1 of them."
        #expect(trial.output.contains("Would go: \(what)"), "\(trial.output)\(trial.errors)")
        #expect(try await number(fixture, "page") == 5)
        let real = try await quire(fixture, "prune", "--batch", "archive", "--results", "--yes")
        #expect(real.output.contains("Gone: \(what)"), "\(real.output)\(real.errors)")
        #expect(try await fixture.queue.batches().map(\.name) == ["other"])
        #expect(try await number(fixture, "page") == 2)
        #expect(try await number(fixture, "batch_file") == 1)
        try await fixture.queue.maintain()
        let pages = try #require(try await fixture.queue.status(batch: other.id).first).pages
        #expect(pages.done == 2 && pages.total == 2)
        let again = try await quire(fixture, "show", "copy.pdf:2", "--text")
        #expect(again.output == "x\n")
    }
}
