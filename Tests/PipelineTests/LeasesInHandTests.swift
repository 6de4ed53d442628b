import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// One worker that has pages of several documents in hand, on its own and when something happens to it.
extension RunTests {
    /// So little that a few pages are decoded together, some documents are in hand and most wait.
    private static let memory = "160M"

    /// Twelve documents of four pages, submitted, and a worker that is in the middle of them.
    private func begun() async throws -> (work: Workspace, worker: RunningProgram, batch: Int64) {
        let work = try await Workspace()
        try await work.copySample("letters/ferry.pdf", times: 12)
        let submitted = try await work.quire("submit", work.archive.string, "--precision", "int8")
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
        let batch = try #require(try await work.status()).id
        let worker = try work.start("quire-worker", "--threads", "1", "--memory", Self.memory, "--precision", "int8")
        let isInTheMiddle = try await work.wait {
            guard try await work.heldTokens().count >= 2 else { return false }
            return try await work.number("SELECT count(*) FROM quire.page") > 0
        }
        #expect(isInTheMiddle, "\(worker.errors)")
        return (work, worker, batch)
    }

    /// Lets `quire run` do what is left, and expects one result for every page.
    private func finish(_ work: Workspace, batch: Int64) async throws -> [Workspace.PageKey: ExportPage] {
        let run = try await work.quire(
            "run", work.archive.string, "--out", work.out.string, "--precision", "int8")
        #expect(run.status == 0, "\(run.output) \(run.errors)")
        return try await expectAll(work, batch: batch)
    }

    /// Every page has one result, and the tally says so.
    private func expectAll(_ work: Workspace, batch: Int64) async throws -> [Workspace.PageKey: ExportPage] {
        let pages = try await work.pages(batch: batch)
        #expect(pages.count == 48)
        #expect(try await work.number("SELECT count(*) FROM quire.page") == 48)
        #expect(try await work.number("SELECT count(*) FROM quire.job") == 0)
        let status = try #require(try await work.status())
        #expect(status.pages.done == 48 && status.pages.total == 48 && status.pages.pending == 0)
        return pages
    }

    @Test func `a worker has several documents in hand and does each page once`() async throws {
        let (work, worker, batch) = try await begun()
        let workers = try await work.queue.workers()
        #expect(workers.map(\.device) == ["cpu (1 thread, int8)"])
        let finished = try await work.wait { try await work.status()?.isFinished == true }
        #expect(finished, "\(worker.errors)")
        let pages = try await expectAll(work, batch: batch)
        #expect(pages.values.allSatisfy { $0.attempt == 1 })
        #expect(try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome <> 'done'") == 0)
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test func `SIGKILL with several documents in hand loses nothing and does nothing twice`() async throws {
        let (work, worker, batch) = try await begun()
        worker.send(signal: SIGKILL)
        _ = await worker.outcome()
        let held = try await work.heldTokens()
        let before = try await work.pages(batch: batch)
        #expect(held.count >= 2, "it was killed with several leases in hand")
        #expect(!before.isEmpty && before.count < 48, "it was killed in the middle")

        let after = try await finish(work, batch: batch)
        for (key, page) in before { #expect(after[key]?.token == page.token, "stored pages are not done again") }
        for (key, page) in after where before[key] == nil {
            #expect(!held.contains(page.token), "nothing is stored under a dead worker's lease")
        }
        #expect(
            try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == held.count,
            "each lease that it held was lost, and no other")
    }

    @Test func `SIGTERM with several documents in hand stores what has begun and gives the rest back`() async throws {
        let (work, worker, batch) = try await begun()
        let before = try await work.pages(batch: batch)
        worker.send(signal: SIGTERM)
        let outcome = await worker.outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try await work.heldTokens().isEmpty)
        #expect(try await work.queue.workers().isEmpty)
        let stored = try await work.pages(batch: batch)
        #expect(stored.count > before.count, "what had begun is stored")
        #expect(stored.count < 48, "it did not begin with the rest")

        let after = try await finish(work, batch: batch)
        for (key, page) in stored { #expect(after[key]?.token == page.token) }
        #expect(after.values.allSatisfy { $0.attempt == 1 }, "giving back costs no attempt")
        #expect(try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'lost'") == 0)
    }

    @Test func `a second signal gives all documents in hand back at once`() async throws {
        let (work, worker, batch) = try await begun()
        // Two of one kind could arrive as one.
        worker.send(signal: SIGTERM)
        worker.send(signal: SIGINT)
        let outcome = await worker.outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try await work.heldTokens().isEmpty)
        #expect(try await work.queue.workers().isEmpty)
        #expect(try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome = 'released'") >= 2)
        let stored = try await work.pages(batch: batch)
        #expect(stored.count < 48)

        let after = try await finish(work, batch: batch)
        for (key, page) in stored { #expect(after[key]?.token == page.token) }
        #expect(after.values.allSatisfy { $0.attempt == 1 }, "giving back costs no attempt")
    }

    @Test func `a lease that is taken away ends alone, and its pages are done under another`() async throws {
        let (work, worker, batch) = try await begun()
        let identity = WorkerIdentity(
            name: "other", host: "elsewhere", bootID: "boot", pid: 1, processStartTicks: 1,
            device: "cpu (1 thread, f32)",
            version: QuireVersion.current, modelDigest: try #require(try await work.status()).pipeline.modelDigest)
        let other = try await work.queue.register(identity)
        // The youngest lease, which is the last to be finished: as if it had been lost and claimed by another worker.
        var rows = try await work.database.query(
            """
            UPDATE quire.job j SET worker_id = $1, token = nextval('quire.lease_token')
            FROM (SELECT batch_id, id, token, first_page, n_pages FROM quire.job WHERE state = 'leased'
                  ORDER BY token DESC LIMIT 1 FOR UPDATE) old
            WHERE j.batch_id = old.batch_id AND j.id = old.id
            RETURNING old.token, j.document_id, j.first_page, j.n_pages, j.token
            """, [.int(other)])
        #expect(rows.count == 1)
        let (token, document) = (try rows[0].int64(), try rows[0].int64())
        let first = try rows[0].int()
        let taken = first..<first + (try rows[0].int())
        let othersToken = try rows[0].int64()
        let kept = try await work.heldTokens().filter { $0 < token }

        // All else is finished while the other worker sits on its lease.
        let isDone = try await work.wait {
            _ = try await work.queue.heartbeat(worker: other, tokens: [othersToken])
            return try await work.number("SELECT count(*) FROM quire.page") == 48 - taken.count
        }
        #expect(isDone, "\(worker.errors)")
        let meanwhile = try await work.pages(batch: batch)
        #expect(meanwhile.keys.allSatisfy { $0.document != document || !taken.contains($0.page) })
        let othersDone = try await work.number(
            "SELECT count(*) FROM quire.attempt WHERE token = ANY ($1::bigint[]) AND outcome = 'done'",
            [.ints(kept.map(Int.init))])
        #expect(!kept.isEmpty && othersDone == kept.count, "the leases beside it were finished")
        try await work.queue.unregister(worker: other)
        let finished = try await work.wait { try await work.status()?.isFinished == true }
        #expect(finished, "\(worker.errors)")
        let pages = try await expectAll(work, batch: batch)
        for (key, page) in pages where key.document == document && taken.contains(key.page) {
            #expect(page.token != token, "nothing is stored under the lease that was lost")
        }
        worker.send(signal: SIGTERM)
        #expect(await worker.outcome().status == 0)
    }

    @Test func `settings of device, precision and memory are checked at the start`() async throws {
        let work = try await Workspace()
        try await work.copySamples("scans/notice.png")
        for (arguments, told) in [
            (["--precision", "fp8"], "f32, bf16 or int8"), (["--memory", "lots"], "--memory is 'lots'"),
            (["--device", "gpu"], "neither cpu nor cuda:"),
            (["--device", "cuda:0"], "Device 'cuda:0' cannot be used: "),
            (["--device", "all"], "Device 'all' cannot be used: "),
        ] {
            let worker = try await RunningProgram.run(
                RunningProgram.product("quire-worker"), arguments, environment: work.environment)
            #expect(worker.status == 2)
            #expect(worker.errors.contains(told), "\(worker.errors)")
        }
        for (name, value, told) in [
            ("QUIRE_PRECISION", "fp8", "f32, bf16 or int8"), ("QUIRE_MEMORY", "12GB", "QUIRE_MEMORY is '12GB'"),
            ("QUIRE_DEVICE", "gpu", "neither cpu nor cuda:"),
        ] {
            let environment = work.environment.merging([name: value]) { $1 }
            let worker = try await RunningProgram.run(
                RunningProgram.product("quire-worker"), [], environment: environment)
            #expect(worker.status == 2 && worker.errors.contains(told), "\(worker.errors)")
            let run = try await RunningProgram.run(
                RunningProgram.product("quire"), ["run", work.archive.string, "--out", work.out.string],
                environment: environment)
            #expect(run.status == 2 && run.errors.contains(told), "\(run.errors)")
        }
        #expect(try await work.status() == nil, "nothing was submitted")
        for (arguments, told) in [
            (["--precision", "fp8"], "f32, bf16 or int8"),
            (["--device", "cuda:1073741824"], "Device 'cuda:1073741824' cannot be used: "),
            (["--device", "cuda:0", "--precision", "int8"], "a GPU computes in bf16, not in int8"),
        ] {
            let run = try await RunningProgram.run(
                RunningProgram.product("quire"), ["run", work.archive.string, "--out", work.out.string] + arguments,
                environment: work.environment)
            #expect(run.status == 2 && run.errors.contains(told), "\(run.errors)")
        }
        #expect(try await work.status() == nil, "nothing was submitted")
    }
}
