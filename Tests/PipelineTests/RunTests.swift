import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// The whole way with real processes, a real PostgreSQL, real documents and the small checkpoint.
@Suite(.serialized) struct RunTests {
    @Test func `a folder becomes Markdown and layout, broken files are named, and a second run recognises nothing`()
        async throws
    {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", "minutes/plans.pdf", "minutes/sealed.pdf", "broken")
        try await work.copySamples("minutes/sealed.pdf.password", "letters/ferry.pdf.truth.md")

        let first = try await work.quire("run", work.archive.string, "--out", work.out.string)
        #expect(first.status == 1, "some samples are broken: \(first.output) \(first.errors)")
        let status = try #require(try await work.status())
        #expect(status.pages.pending == 0)
        #expect(status.pages.failed == 0 && status.pages.quarantined == 0)
        #expect(status.pages.done + status.pages.blank == status.pages.total)
        #expect(status.documents.total == 3)
        #expect(status.documents.unreadable == 3)
        for name in ["empty.pdf", "not-a-pdf.pdf", "truncated.pdf"] {
            #expect(first.output.contains(name) || first.errors.contains(name), "\(name) is reported")
        }

        let markdown = work.text(work.out.appending("letters/ferry.pdf/document.md"))
        #expect(markdown.contains("<a id=\"page-1\"></a>"))
        #expect(markdown.contains("# "), "the slips have titles")
        #expect(work.text(work.out.appending("letters/ferry.pdf/pages.json")).contains(status.pipeline.modelDigest))
        #expect(work.exists(work.out.appending("letters/ferry.pdf/manifest.json")))
        #expect(work.exists(work.out.appending("minutes/sealed.pdf/document.md")), "the password beside it opens it")
        #expect(work.text(work.out.appending("batch.json")).contains("truncated.pdf"))

        let before = try await work.pages(batch: status.id)
        let second = try await work.quire("run", work.archive.string, "--out", work.out.string)
        #expect(second.status == 1)
        let after = try await work.pages(batch: status.id)
        #expect(after.count == status.pages.total)
        #expect(after.mapValues(\.token) == before.mapValues(\.token), "nothing was recognised again")
    }

    @Test func `after SIGKILL of run and worker a second run finishes, each page exactly once`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters", "minutes")
        // Little memory, so that few pages are in hand at once and there is a middle.
        let first = try work.start(
            "quire", "run", work.archive.string, "--out", work.out.string, "--threads", "1", "--memory", "1M")
        let began = try await work.wait {
            guard let status = try await work.status() else { return false }
            return status.pages.done >= 2 && status.pages.pending > 2
        }
        #expect(began, "\(first.output) \(first.errors)")
        for worker in try await work.queue.workers() { kill(worker.pid, SIGKILL) }
        first.send(signal: SIGKILL)
        _ = await first.outcome()

        let status = try #require(try await work.status())
        let before = try await work.pages(batch: status.id)
        #expect(!before.isEmpty && before.count < status.pages.total, "it was killed in the middle")

        let second = try await work.quire("run", work.archive.string, "--out", work.out.string)
        #expect(second.status == 0, "\(second.output) \(second.errors)")
        let done = try #require(try await work.status())
        let after = try await work.pages(batch: status.id)
        #expect(done.pages.pending == 0)
        #expect(done.pages.done + done.pages.blank == done.pages.total)
        #expect(after.count == done.pages.total, "each page has one result")
        for (key, page) in before { #expect(after[key]?.token == page.token, "stored pages are not done again") }
    }

    @Test func `a worker that is killed is replaced while the run goes on`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters")
        let run = try work.start("quire", "run", work.archive.string, "--out", work.out.string)
        let began = try await work.wait { try await work.status().map { $0.pages.done >= 1 } ?? false }
        #expect(began, "\(run.output) \(run.errors)")
        let victim = try #require(try await work.queue.workers().first)
        kill(victim.pid, SIGKILL)
        let outcome = await run.outcome(within: 600)
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        let status = try #require(try await work.status())
        #expect(status.pages.done + status.pages.blank == status.pages.total)
        let pages = try await work.pages(batch: status.id)
        #expect(pages.count == status.pages.total)
    }

    @Test func `two workers share a batch and do no page twice`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters", "minutes", "scans")
        let outcome = try await work.quire(
            "run", work.archive.string, "--out", work.out.string, "--workers", "2", "--threads", "1")
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        let status = try #require(try await work.status())
        let pages = try await work.pages(batch: status.id)
        #expect(pages.count == status.pages.total)
        #expect(status.pages.done + status.pages.blank == status.pages.total)
        #expect(Set(pages.values.compactMap(\.workerName)).count == 2, "both worked")
        #expect(pages.values.allSatisfy { $0.attempt == 1 }, "no page was handed out twice")
    }

    @Test func `SIGTERM lets a worker store its page and leave the rest to others`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters")
        let submitted = try await work.quire("submit", work.archive.string)
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
        let worker = try work.start("quire-worker", "--threads", "1")
        let began = try await work.wait { try await work.status().map { $0.pages.done >= 1 } ?? false }
        #expect(began, "\(worker.errors)")
        worker.send(signal: SIGTERM)
        let outcome = await worker.outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let status = try #require(try await work.status())
        #expect(status.pages.leased == 0, "what it did not do was given back")
        #expect(try await work.queue.workers().isEmpty)

        let run = try await work.quire("run", work.archive.string, "--out", work.out.string)
        #expect(run.status == 0, "\(run.output) \(run.errors)")
        let pages = try await work.pages(batch: status.id)
        #expect(pages.count == status.pages.total)
        #expect(pages.values.allSatisfy { $0.attempt == 1 }, "giving back costs no attempt")
    }

    @Test func `figures are cut out of the page and linked`() async throws {
        let work = try await Workspace()
        _ = try await RunningProgram.run("mkdir", ["-p", work.archive.string])
        let image = Workspace.project.appending("Tests/InferenceTests/Fixtures/golden/images/portrait.png")
        _ = try await RunningProgram.run("cp", [image.string, work.archive.string])
        // The golden checkpoint knows this page by heart: it answers with a title, a text and an image.
        let outcome = try await work.quire(
            "run", work.archive.string, "--out", work.out.string, "--model", Workspace.tiny.string, "--mode", "base",
            "--prompt", "<image>\n<|grounding|>Convert the document to markdown.", "--max-tokens", "200")
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        let folder = work.out.appending("portrait.png")
        #expect(work.text(folder.appending("document.md")).contains("![](images/p0001-0.jpg)"))
        #expect(work.text(folder.appending("document.md")).contains("# Harbour notes"))
        let jpeg = try FileDescriptor.open(folder.appending("images/p0001-0.jpg"), .readOnly)
        let magic = try jpeg.closeAfter {
            try [UInt8](unsafeUninitializedCapacity: 3) { buffer, count in
                count = try jpeg.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
        }
        #expect(magic == [0xFF, 0xD8, 0xFF])
    }

    @Test func `a file whose name is no UTF-8 works like any other`() async throws {
        let work = try await Workspace()
        _ = try await RunningProgram.run("mkdir", ["-p", work.archive.string])
        let name =
            "caf\u{e9}".unicodeScalars.map { CChar(bitPattern: UInt8($0.value)) } + ".png".utf8.map { CChar($0) } + [0]
        let component = try #require(FilePath.Component(platformString: name))
        let source = Workspace.samples.appending("scans/notice.png")
        let target = work.archive.appending(component)
        let copied = source.withPlatformString { from in target.withPlatformString { link(from, $0) } }
        if copied != 0 {
            let script = "cat '\(source.string)' > \"$1\"$(printf 'caf\\351.png')"
            _ = try await RunningProgram.run("sh", ["-c", script, "sh", work.archive.string + "/"])
        }
        let outcome = try await work.quire("run", work.archive.string, "--out", work.out.string)
        #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
        #expect(outcome.errors.isEmpty || !outcome.errors.contains("\u{FFFD}"))
        #expect(work.exists(work.out.appending(component).appending("document.md")))
    }

    @Test func `a worker that cannot start says why`() async throws {
        let work = try await Workspace()
        let gpu = try await RunningProgram.run(
            RunningProgram.product("quire-worker"), ["--device", "cuda:0"], environment: work.environment)
        #expect(gpu.status == 2)
        #expect(gpu.errors.contains("Device 'cuda:0' cannot be used: "))
        let model = try await RunningProgram.run(
            RunningProgram.product("quire-worker"), ["--model", "/nonexistent"], environment: work.environment)
        #expect(model.status == 5)
        #expect(model.errors.contains("/nonexistent"))
    }

    @Test func `a worker tells of work that it cannot reach, and leaves it to others`() async throws {
        let work = try await Workspace()
        try await work.copySamples("scans/notice.png")
        let submitted = try await work.quire("submit", work.archive.string, "--root", "nas=\(work.directory.path)")
        #expect(submitted.status == 0, "\(submitted.output) \(submitted.errors)")
        let stranger = try work.start("quire-worker")
        let told = try await work.wait { stranger.errors.contains("--root nas=") }
        #expect(told, "\(stranger.errors)")
        // As after an update in the middle of a batch.
        try await work.database.query("UPDATE quire.pipeline SET engine_version = '0.0.9'")
        let worker = try work.start("quire-worker", "--root", "nas=\(work.directory.path)")
        let hasRefused = try await work.wait { worker.errors.contains("submitted for Quire's engine 0.0.9") }
        #expect(hasRefused, "\(worker.errors)")
        try await work.database.query(
            "UPDATE quire.pipeline SET engine_version = $1", [.text(QuireVersion.engine)])
        let finished = try await work.wait { try await work.status()?.isFinished == true }
        #expect(finished, "\(worker.errors)")
        for program in [stranger, worker] {
            program.send(signal: SIGTERM)
            let outcome = await program.outcome()
            #expect(outcome.status == 0)
        }
    }

    @Test func `an address on the command line keeps its slashes`() async throws {
        let work = try await Workspace()
        let outcome = try await work.quire(
            "model", "pull", "a/b", "--endpoint", "http://127.0.0.1:9", "--out", work.out.string)
        #expect(outcome.status == 5)
        #expect(outcome.errors.contains("http://127.0.0.1:9/"), "\(outcome.errors)")
    }
}
