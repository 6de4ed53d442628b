import Shared
import SystemPackage
import TestSupport
import Testing

/// Real workers that `quire worker drain` asks to leave.
extension RunTests {
    @Test func `a drained worker ends with 0 at work and idle, and loses nothing`() async throws {
        let work = try await Workspace()
        try await work.copySample("letters/ferry.pdf", times: 12)
        let submitted = try await work.quire(
            "submit", work.archive.string, "--priority", "2", "--weight", "1.5", "--precision", "int8")
        #expect(submitted.status == 0, "\(submitted.errors)")
        let first = try work.start("quire-worker", "--threads", "1", "--memory", "160M", "--precision", "int8")
        // Mostly in the middle of its work; on a slow machine it may have done all of it by the time this is seen.
        let hasBegun = try await work.wait { try await work.number("SELECT count(*) FROM quire.page") > 0 }
        #expect(hasBegun, "\(first.errors)")
        let drained = try await work.quire("worker", "drain", "--all")
        #expect(drained.status == 0, "\(drained.errors)")
        #expect(await first.outcome().status == 0, "\(first.errors)")
        // Each page has its result or is ready for another worker, at its first attempt.
        #expect(try await work.heldTokens().isEmpty)
        let pages = try await work.number("SELECT count(*) FROM quire.page")
        #expect(try await work.number("SELECT coalesce(sum(n_pages), 0)::bigint FROM quire.job") == 48 - pages)
        #expect(
            try await work.number("SELECT count(*) FROM quire.attempt WHERE outcome NOT IN ('done', 'released')") == 0)
        #expect(try await work.number("SELECT count(*) FROM quire.worker WHERE ended_at IS NULL") == 0)

        let second = try work.start("quire-worker", "--threads", "1", "--memory", "160M", "--precision", "int8")
        let finished = try await work.wait { try await work.status()?.isFinished == true }
        #expect(finished, "\(second.errors)")
        #expect(try await work.number("SELECT count(*) FROM quire.page WHERE state = 'done' AND attempt = 1") == 48)
        // On a slow machine the first one may have done all pages before it heard of the order.
        let hasRegistered = try await work.wait {
            try await work.number("SELECT count(*) FROM quire.worker WHERE ended_at IS NULL") == 1
        }
        #expect(hasRegistered, "\(second.errors)")
        let list = try await work.quire("worker", "list")
        #expect(list.output.contains("idle"), "\(list.output)")
        #expect(try await work.number("SELECT count(*) FROM quire.worker WHERE 'local' = ANY (roots)") == 2)
        let idle = try await work.quire("worker", "drain", "--all")
        #expect(idle.output.contains("leaves with 0 pages in hand"), "\(idle.output)")
        #expect(await second.outcome().status == 0, "\(second.errors)")
    }
}
