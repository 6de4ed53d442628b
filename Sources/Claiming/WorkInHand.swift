internal import Synchronization

/// Counts what is under way, and tells when nothing is left.
package final class WorkInHand: Sendable {
    private struct State {
        var count: Int
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    package init(_ count: Int) { state = Mutex(State(count: count)) }

    package func begin() { state.withLock { $0.count += 1 } }

    package func end() {
        let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.count -= 1
            guard state.count == 0 else { return nil }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// Waits for the last one's end; for one waiter at a time, and nothing may begin meanwhile.
    package func waitForNone() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.count > 0 { state.waiting = continuation }
                return state.count == 0
            }
            if isDone { continuation.resume() }
        }
    }
}
