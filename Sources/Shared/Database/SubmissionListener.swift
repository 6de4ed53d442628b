/// Hears of submissions, so that idle workers begin at once without asking more often.
///
/// An extra that work never depends on: where it fails or cannot be had, workers find new pages by asking.
package actor SubmissionListener {
    private let connectionString: String
    private let executor = QueueExecutor(label: "quire.listener")

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package init(connectionString: String) { self.connectionString = connectionString }

    /// Calls `ring` after each submission until the task is cancelled; false at once where a pooler prevents listening.
    ///
    /// A lost connection is opened again; `ring` is called then too, as a submission may have gone unheard.
    package func run(_ ring: @Sendable () -> Void) async -> Bool {
        var pause = 1.0
        while !Task.isCancelled {
            do throws(DatabaseError) {
                let connection = try Connection(connectionString: connectionString, limits: .brief)
                guard !connection.isPooled else { return false }
                try connection.query("LISTEN quire_submitted")
                pause = 1
                ring()
                while !Task.isCancelled {
                    if try connection.waitForNotification(seconds: 0.25) { ring() }
                }
            } catch {
                let jittered = pause * Double.random(in: 0.5...1.5)
                pause = min(pause * 2, 30)
                try? await Task.sleep(for: .seconds(jittered))
            }
        }
        return true
    }
}
