import Coordinator
import Digest
import Foundation
import Shared
import SystemPackage
import TestSupport
import Testing

/// `quire show` as a person starts it, on a real server.
@Suite struct ShowCommandTests {
    private func quire(_ fixture: ExportFixture, _ arguments: String...) async throws -> ProgramOutcome {
        try await RunningProgram.run(
            RunningProgram.product("quire"), arguments,
            environment: [
                "DATABASE_URL": fixture.connectionString, "QUIRE_CONFIG": nil, "XDG_CONFIG_HOME": "/nonexistent",
            ])
    }

    private func object(_ text: String) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
    }

    @Test func `A page that is done shows its state, attempts, times and text`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/1931/july.pdf", pages: 2)
        try await fixture.record { $0 == 1 ? ExportFixture.text("# July\n\nWords") : ExportFixture.blank }
        let result = try await quire(fixture, "show", "july.pdf:1")
        #expect(result.status == 0, "\(result.errors)")
        for line in [
            "page 1 of 2, document 1", "file        home/archive/1931/july.pdf  (root local, batch archive)",
            "state       done", "image       512 x 724 pixels, 144 dpi",
            "seconds     render 0.500, encode 1.250, prefill 2.000, decode 3.000; together 6.750",
            "tokens      10 of the prompt, 20 written", "model       \(ExportFixture.model)",
            "mode        tiny, at most 512 tokens, vector pages at 144 dpi", "prompt      <image> Free OCR.",
            "engine      \(QuireVersion.engine)", "weights     bf16", "program     Quire \(QuireVersion.current)",
            "Text\n# July\n\nWords\n",
        ] {
            #expect(result.output.contains(line + "\n") || result.output.hasSuffix(line), "\(line)\n\(result.output)")
        }
        #expect(result.output.contains("w1      here  1-2"), "\(result.output)")
        let text = try await quire(fixture, "show", "archive/1931/july.pdf:1", "--text")
        #expect(text.output == "# July\n\nWords\n")
        let blank = try await quire(fixture, "show", "july.pdf:2", "--text")
        #expect(blank.status == 0 && blank.output.isEmpty)

        let json = try object(try await quire(fixture, "show", "1931/july.pdf:1", "--json").output)
        #expect(json["state"] as? String == "done")
        let attempt = try #require((json["attempts"] as? [[String: Any]])?.first)
        #expect(attempt["worker"] as? String == "w1" && attempt["outcome"] as? String == "done")
        #expect(attempt["firstPage"] as? Int == 1 && attempt["lastPage"] as? Int == 2)
        let record = try #require(json["result"] as? [String: Any])
        #expect(record["markdown"] as? String == "# July\n\nWords")
        #expect((record["provenance"] as? [String: Any])?["modelDigest"] as? String == ExportFixture.model)
    }

    @Test func `A page is followed from the queue to its second result`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/a.pdf", pages: 1)
        let queued = try await quire(fixture, "show", "a.pdf:1")
        #expect(queued.output.contains("state       queued (batch archive)"), "\(queued.output)")
        let early = try await quire(fixture, "show", "a.pdf:1", "--text")
        #expect(early.status == 1 && early.errors.contains("no text: it is queued"), "\(early.errors)")
        try await fixture.queue.setState(.paused, batch: fixture.batch.id)
        let paused = try await quire(fixture, "show", "a.pdf:1")
        #expect(paused.output.contains("queued (batch archive, paused)"))
        try await fixture.queue.setState(.open, batch: fixture.batch.id)

        try await fixture.record { _ in nil }
        let leased = try await quire(fixture, "show", "a.pdf:1")
        #expect(leased.output.contains("state       leased by w1 on here since 2"), "\(leased.output)")
        #expect(leased.output.contains("in work"))
        try await fixture.database.query("UPDATE quire.worker SET ended_at = now()")
        try await fixture.queue.maintain()

        let worker = try await fixture.another()
        try await fixture.record(by: worker) { _ in .failed(reason: "It is damaged.", isPermanent: false) }
        let waiting = try await quire(fixture, "show", "a.pdf:1")
        #expect(waiting.output.contains("state       waiting until 2"), "\(waiting.output)")
        #expect(waiting.output.contains("lost") && waiting.output.contains("It is damaged."), "\(waiting.output)")
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        try await fixture.queue.maintain()
        try await fixture.record(by: worker) { _ in .failed(reason: "It is damaged.", isPermanent: true) }
        let failed = try await quire(fixture, "show", "a.pdf:1")
        #expect(failed.output.contains("state       failed\n"), "\(failed.output)")
        #expect(failed.output.contains("error       It is damaged.\n"))

        _ = try await fixture.queue.retry(.failed, batch: fixture.batch.id, override: nil)
        try await fixture.record(by: worker) { _ in ExportFixture.text("At last") }
        let done = try await quire(fixture, "show", "a.pdf:1")
        #expect(done.output.contains("state       done\n") && done.output.contains("At last"), "\(done.output)")
        #expect(done.output.contains("replaced at "), "\(done.output)")
    }

    @Test func `Documents are found by path, digest and number, and not guessed`() async throws {
        let fixture = try await ExportFixture()
        try await fixture.add("home/archive/1931/july.pdf", pages: 2)
        try await fixture.add("home/archive/1932/july.pdf", pages: 1)
        try await fixture.add("home/archive/minutes.tif", pages: 1)
        let file = try await fixture.queue.files(batch: fixture.batch.id).first {
            $0.location.path.string.contains("1932")
        }
        guard case .document(let id, let sha256, _, _)? = file?.content else {
            Issue.record("no document")
            return
        }
        for name in ["1932/july.pdf", "home/archive/1932/july.pdf", "1932", "\(id)", "\(sha256.hex.prefix(8))"] {
            let result = try await quire(fixture, "show", "\(name):1", "--batch", "archive")
            #expect(result.output.contains("1932/july.pdf"), "\(name): \(result.errors)")
        }
        let ambiguous = try await quire(fixture, "show", "july.pdf:1")
        #expect(ambiguous.status == 2)
        #expect(ambiguous.errors.contains("1931/july.pdf (batch archive, number 1), 1932/july.pdf"))
        #expect(ambiguous.errors.contains("Write more of the path"), "\(ambiguous.errors)")
        let unknown = try await quire(fixture, "show", "august.pdf:1")
        #expect(unknown.status == 2 && unknown.errors.contains("no document august.pdf"))
        let beyond = try await quire(fixture, "show", "1931/july.pdf:3")
        #expect(beyond.status == 2 && beyond.errors.contains("no page 3: 1931/july.pdf has 2 pages"))
        #expect(try await quire(fixture, "show", "july.pdf").status == 2)
        #expect(try await quire(fixture, "show", "july.pdf:1", "--text", "--json").status == 2)
    }
}
