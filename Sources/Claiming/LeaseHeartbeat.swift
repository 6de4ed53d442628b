package import Shared
internal import Synchronization

/// Which leases this worker holds, and which the queue has taken away since.
///
/// The recogniser asks it between tokens whether to go on, from a thread that must not wait: hence a lock, not an actor.
package final class LeaseHeartbeat: Sendable {
    private struct State {
        var held: Set<Int64> = []
        var lost: Set<Int64> = []
    }

    private let state = Mutex(State())
    /// The worker's own number in the queue; it changes when the queue had given it up and it registered again.
    private let worker: Mutex<Int64>

    package init(worker: Int64) { self.worker = Mutex(worker) }

    package var workerID: Int64 { worker.withLock { $0 } }

    package func began(_ token: Int64) { state.withLock { _ = $0.held.insert(token) } }

    package func ended(_ token: Int64) {
        state.withLock {
            $0.held.remove(token)
            $0.lost.remove(token)
        }
    }

    package func isLost(_ token: Int64) -> Bool { state.withLock { $0.lost.contains(token) } }

    /// Tells the queue that this worker lives, and learns what it lost.
    package func beat(queue: PageQueue, identity: WorkerIdentity, drain: DrainSignal) async throws {
        let held = state.withLock { $0.held }
        let reply = try await queue.heartbeat(worker: workerID, tokens: Array(held))
        if reply.isUnknown {
            let id = try await queue.register(identity)
            worker.withLock { $0 = id }
        }
        // What has ended since the question was asked is no longer anybody's concern.
        let lost = reply.isUnknown ? held : reply.lostTokens
        state.withLock { $0.lost.formUnion(lost.intersection($0.held)) }
        if reply.shouldDrain { drain.drain() }
    }
}
