import Shared
import SystemPackage
import Testing

/// Who is taken for dead after an outage.
@Suite struct UpkeepTests {
    typealias Fixture = QueueFixture

    /// With a worker that holds pages and has been silent for an hour.
    private func silent() async throws -> Fixture {
        let fixture = try await Fixture()
        let batch = try await fixture.openBatch()
        _ = try await fixture.queue.add([Fixture.document("archive/a.pdf", content: "a", pages: 4)], to: batch)
        _ = try await fixture.claim(try await fixture.worker())
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now() - interval '1 h'")
        return fixture
    }

    private func leases(_ fixture: Fixture) async throws -> Int64 {
        try await fixture.number("SELECT count(*) FROM quire.job WHERE state = 'leased'")
    }

    @Test func `silence tells nothing to who has not listened for long enough`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .seconds(3600), pause: .seconds(3600))
        for _ in 1...3 { try await upkeep.keep() }
        #expect(try await leases(fixture) == 1)
        // Nor does a lease that was not renewed: its worker may not have reached the database either.
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
    }

    @Test func `who has listened for long enough takes back what is overdue`() async throws {
        let fixture = try await silent()
        try await fixture.database.query("UPDATE quire.worker SET seen_at = now()")
        try await fixture.database.query("UPDATE quire.job SET due = now() - interval '1 s'")
        var upkeep = Upkeep(queue: fixture.queue, hearing: .milliseconds(20), pause: .seconds(3600))
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(20))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
        #expect(try await fixture.number("SELECT count(*) FROM quire.worker WHERE ended_at IS NULL") == 1)
    }

    @Test func `who has listened for long enough takes the silent for dead`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .milliseconds(20), pause: .seconds(3600))
        try await upkeep.keep()
        try await Task.sleep(for: .milliseconds(20))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
    }

    // A round may have begun in the outage: how long it took says nothing of whom it heard.
    @Test func `the first round takes nobody for dead, however little there is to listen`() async throws {
        let fixture = try await silent()
        var upkeep = Upkeep(queue: fixture.queue, hearing: .zero, pause: .seconds(3600))
        try await upkeep.keep()
        #expect(try await leases(fixture) == 1)
        try await upkeep.keep()
        #expect(try await leases(fixture) == 0)
    }

    @Test func `after an outage it listens anew`() async throws {
        let fixture = try await silent()
        // Each pause between two rounds is an outage.
        var upkeep = Upkeep(queue: fixture.queue, hearing: .nanoseconds(1), pause: .zero)
        for _ in 1...3 {
            try await upkeep.keep()
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try await leases(fixture) == 1)
    }
}
