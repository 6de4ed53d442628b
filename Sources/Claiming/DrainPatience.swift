internal import Synchronization

/// For how long a worker that was told to leave waits for a database that is away.
package final class DrainPatience: Sendable {
    private struct Since {
        var asked: ContinuousClock.Instant?
        var urged: ContinuousClock.Instant?
    }

    private let drain: DrainSignal
    private let since = Mutex(Since())

    private static let patience = Duration.seconds(15)
    private static let urgentPatience = Duration.seconds(3)

    package init(_ drain: DrainSignal) { self.drain = drain }

    /// Whether results that still wait are left behind; the time counts from when this was first asked after the order.
    package var isOver: Bool {
        guard drain.isDraining else { return false }
        let (now, isUrgent) = (ContinuousClock.now, drain.isUrgent)
        return since.withLock { since in
            let asked = since.asked ?? now
            since.asked = asked
            guard isUrgent else { return now - asked >= Self.patience }
            let urged = since.urged ?? now
            since.urged = urged
            return now - urged >= Self.urgentPatience
        }
    }
}
