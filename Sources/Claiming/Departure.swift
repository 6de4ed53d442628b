internal import Dispatch
internal import Glibc
package import Shared
internal import Synchronization

/// Leaves because the device is lost: what this worker holds goes back first, so that others have it at once.
package final class Departure: Sendable {
    private let queue: PageQueue
    private let heartbeat: LeaseHeartbeat
    private let drain: DrainSignal
    private let hasBegun = Atomic<Bool>(false)

    /// A database that is away keeps nobody longer than this.
    private static let patience = 5.0

    /// `queue` has a connection of its own: results on their way may hold up the other.
    package init(queue: PageQueue, heartbeat: LeaseHeartbeat, drain: DrainSignal) {
        self.queue = queue
        self.heartbeat = heartbeat
        self.drain = drain
    }

    /// Ends the process with this code; returns at once where that is under way.
    package func leave(_ reason: String, code: Int32) async {
        guard !hasBegun.exchange(true, ordering: .relaxed) else { return }
        Log.line(reason)
        drain.drain()
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.patience) { exit(code) }
        do throws(DatabaseError) {
            try await queue.unregister(worker: heartbeat.workerID)
        } catch {
            Log.line("What this worker holds cannot be given back now; the queue takes it back by itself: \(error)")
        }
        exit(code)
    }
}
