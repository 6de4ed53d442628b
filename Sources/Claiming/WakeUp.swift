internal import Synchronization

/// An alarm for whoever waits for work: a wait ends when its time is over, or when the alarm is rung.
package final class WakeUp: Sendable {
    private struct State {
        var isRung = false
        var sleeper: Task<Void, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    /// Ends the wait that goes on, or else the next one.
    package func ring() {
        state.withLock {
            $0.isRung = true
            $0.sleeper?.cancel()
        }
    }

    /// Waits; true if the alarm was rung.
    ///
    /// For one caller at a time.
    package func wait(upTo duration: Duration) async -> Bool {
        // Unstructured, so that the alarm can end it; it does not outlive this call.
        let sleeper = Task { _ = try? await Task.sleep(for: duration) }
        state.withLock {
            $0.sleeper = sleeper
            if $0.isRung { sleeper.cancel() }
        }
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        return state.withLock { state in
            defer { state = State() }
            return state.isRung
        }
    }
}
