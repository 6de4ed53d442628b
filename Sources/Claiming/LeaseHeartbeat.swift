package import Shared
internal import Synchronization

/// Which leases this worker holds, which it has asked for, and which the queue has taken away since.
///
/// The recogniser asks it between tokens whether to go on, from a thread that must not wait: hence a lock, not an actor.
package final class LeaseHeartbeat: Sendable {
    private struct State {
        var held: Set<Int64> = []
        var lost: Set<Int64> = []
        /// Keys of claims that have not been answered.
        var claims: Set<Int64> = []
    }

    private let state = Mutex(State())
    /// The worker's own number in the queue; it changes when the queue had given it up and it registered again.
    private let worker: Mutex<Int64>

    package init(worker: Int64) { self.worker = Mutex(worker) }

    package var workerID: Int64 { worker.withLock { $0 } }

    /// A claim with this key goes out: what it leases is not to be taken for forgotten.
    package func claims(_ key: Int64) { state.withLock { _ = $0.claims.insert(key) } }

    /// The claim was answered, with this lease's token or with none, or its answer is not waited for any more.
    package func claimed(_ key: Int64, token: Int64?) {
        state.withLock { state in
            // Both at once: between them the lease would be neither held nor asked for.
            if let token { state.held.insert(token) }
            state.claims.remove(key)
        }
    }

    package func ended(_ token: Int64) {
        state.withLock {
            $0.held.remove(token)
            $0.lost.remove(token)
        }
    }

    package func isLost(_ token: Int64) -> Bool { state.withLock { $0.lost.contains(token) } }

    /// Tells the queue that this worker lives, how it is and what it holds, and learns what it lost.
    package func beat(
        queue: PageQueue, identity: WorkerIdentity, drain: DrainSignal, unwell: String? = nil
    ) async throws {
        let (held, claims) = state.withLock { ($0.held, $0.claims) }
        let reply = try await queue.heartbeat(
            worker: workerID, tokens: Array(held), keys: Array(claims), unwell: unwell)
        if reply.isUnknown {
            let id = try await queue.register(identity)
            worker.withLock { $0 = id }
        }
        // What has ended since the question was asked is no longer anybody's concern.
        let lost = reply.isUnknown ? held : reply.lostTokens
        state.withLock { $0.lost.formUnion(lost.intersection($0.held)) }
        if reply.shouldDrain { drain.drain() }
        if reply.givenBack > 0 {
            Log.line("\(reply.givenBack) leases that the queue had for this worker, and it did not know of, went back.")
        }
    }
}
