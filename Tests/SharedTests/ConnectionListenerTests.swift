import Shared
import Synchronization
import Testing

@Suite struct ConnectionListenerTests {
    @Test func `a submission is heard, also after the connection was lost`() async throws {
        let fixture = try await QueueFixture()
        let rung = Mutex(0)
        let listener = SubmissionListener(connectionString: "\(fixture.connectionString) application_name=ear")
        let listening = Task { await listener.run { rung.withLock { $0 += 1 } } }
        func waitForMore(than count: Int) async throws {
            while rung.withLock({ $0 }) <= count { try await Task.sleep(for: .milliseconds(5)) }
        }
        // Once for what was submitted before it listened.
        try await waitForMore(than: 0)
        for _ in 0..<2 {
            var heard = rung.withLock { $0 }
            try await fixture.queue.notifySubmitted()
            try await waitForMore(than: heard)
            heard = rung.withLock { $0 }
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
