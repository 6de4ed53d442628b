import Shared
import Synchronization
import Testing

@Suite struct ConnectionListenerTests {
    @Test func `a submission is heard, also after the connection was lost`() async throws {
        let fixture = try await QueueFixture()
        let bell = Bell()
        let listener = SubmissionListener(connectionString: "\(fixture.connectionString) application_name=ear")
        let listening = Task { await listener.run { bell.ring() } }
        func waitForMore(than count: Int) async throws {
            while bell.count <= count { try await Task.sleep(for: .milliseconds(5)) }
        }
        // Once for what was submitted before it listened.
        try await waitForMore(than: 0)
        for _ in 0..<2 {
            var heard = bell.count
            try await fixture.queue.notifySubmitted()
            try await waitForMore(than: heard)
            heard = bell.count
            try await fixture.database.query(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'ear'
                """)
            try await waitForMore(than: heard)
        }
        listening.cancel()
        #expect(await listening.value)
    }
}

/// Counts how often it was rung.
private final class Bell: Sendable {
    private let rings = Atomic<Int>(0)

    var count: Int { rings.load(ordering: .acquiring) }

    func ring() { rings.add(1, ordering: .releasing) }
}
