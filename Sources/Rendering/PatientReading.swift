internal import Dispatch
internal import Synchronization

/// Reading from a disk or a share that may cease to answer, such as one mounted from a host that is gone.
package enum PatientReading {
    /// How far a reading is; to be noted after each part.
    package final class Progress: Sendable {
        fileprivate let parts = Atomic<Int>(0)

        package func advance() { parts.add(1, ordering: .relaxed) }
    }

    /// For so long a reading may stand still.
    package static let patience = Duration.seconds(60)

    private static let queue = DispatchQueue(label: "quire.reading", attributes: .concurrent)

    /// Runs `body` on a thread that may block; throws `unanswered` where it stands still for longer than `patience`.
    ///
    /// Nothing can end a thread that waits for a disk: it goes on waiting, and what comes of it is dropped.
    package static func run<T: Sendable>(
        patience: Duration = patience, _ body: @escaping @Sendable (Progress) throws(RenderError) -> T
    ) async throws(RenderError) -> T {
        try await run(on: queue, patience: patience, body)
    }

    /// Runs `body` on a queue of the caller's.
    static func run<T: Sendable>(
        on queue: DispatchQueue, patience: Duration, _ body: @escaping @Sendable (Progress) throws(RenderError) -> T
    ) async throws(RenderError) -> T {
        let progress = Progress()
        let answer = Answer<T>()
        let result = await withCheckedContinuation { continuation in
            answer.expect(continuation)
            queue.async { answer.give(Result { () throws(RenderError) in try body(progress) }) }
            Task { await answer.watch(progress, patience) }
        }
        return try result.get()
    }

    /// Given once: by the reading, or by who watches it.
    private final class Answer<T: Sendable>: Sendable {
        private let waiting = Mutex<CheckedContinuation<Result<T, RenderError>, Never>?>(nil)

        func expect(_ continuation: CheckedContinuation<Result<T, RenderError>, Never>) {
            waiting.withLock { $0 = continuation }
        }

        func give(_ result: Result<T, RenderError>) {
            let continuation = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            continuation?.resume(returning: result)
        }

        func watch(_ progress: Progress, _ patience: Duration) async {
            var seen = -1
            var since = ContinuousClock.now
            while waiting.withLock({ $0 != nil }) {
                let parts = progress.parts.load(ordering: .relaxed)
                if parts != seen { (seen, since) = (parts, .now) }
                guard ContinuousClock.now - since < patience else {
                    return give(
                        .failure(
                            RenderError(
                                .unanswered,
                                "The file could not be read for \(patience.components.seconds) seconds: the disk or share "
                                    + "does not answer.")))
                }
                try? await Task.sleep(for: min(patience / 10, .seconds(1)))
            }
        }
    }
}
