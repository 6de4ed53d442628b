import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

/// `quire run` that is killed, and a machine that loses its power, while it exports.
@Suite(.serialized) struct PowerCutTests {
    @Test func `a run that is cut off while it exports is completed by the same command`() async throws {
        let work = try await Workspace()
        try await work.copySamples("letters/ferry.pdf", "letters/ferry.pdf.truth.md")
        try work.directory.makeFolder("results")
        let results = work.directory.path.appending("results")
        let out = results.appending("out")
        let cut = try PowerCut(watching: results)
        func run(_ more: [String: String?]) async throws -> ProgramOutcome {
            try await RunningProgram.run(
                RunningProgram.product("quire"), ["run", work.archive.string, "--out", out.string],
                environment: work.environment.merging(more) { $1 }, within: 600)
        }
        // Each run after the first one only exports: its pages are there.
        #expect(try await run(cut.environment(after: 5)).status == 137)
        for (after, loss) in [
            (12, PowerCut.Loss.everything), (20, .zeros), (27, .some(seed: 3)), (33, .contents), (1, .none),
        ] {
            try cut.reset()
            #expect(try await run(cut.environment(after: after)).status == 137)
            try cut.lose(loss)
            #expect(try await run([:]).status == 0)
            let reference = work.directory.path.appending("reference-\(after)")
            let name = try #require(try await work.status()).name
            #expect(try await work.quire("export", name, "--out", reference.string).status == 0)
            #expect(try PowerCut.tree(out) == PowerCut.tree(reference), "\(loss) at \(after)")
        }
    }

    @Test func `a run that is killed while it recognises ends with the text of one that was not`() async throws {
        var texts: [String] = []
        for isKilled in [false, true] {
            let work = try await Workspace()
            try await work.copySamples("letters")
            if isKilled {
                let first = try work.start(
                    "quire", "run", work.archive.string, "--out", work.out.string, "--threads", "1", "--memory", "1M")
                #expect(try await work.wait { (try await work.status()?.pages.done ?? 0) >= 1 })
                for worker in try await work.queue.workers() { kill(worker.pid, SIGKILL) }
                first.send(signal: SIGKILL)
                _ = await first.outcome()
            }
            let run = try await work.quire("run", work.archive.string, "--out", work.out.string)
            #expect(run.status == 0, "\(run.errors)")
            let tree = try PowerCut.tree(work.out)
            texts.append(
                tree.filter { $0.key.hasSuffix("document.md") }.sorted { $0.key < $1.key }.map {
                    "\($0.key)\n" + String(decoding: ($0.value ?? nil) ?? [], as: UTF8.self)
                }.joined())
        }
        #expect(texts[0] == texts[1])
        #expect(texts[0].contains("<a id=\"page-1\"></a>"))
    }
}
