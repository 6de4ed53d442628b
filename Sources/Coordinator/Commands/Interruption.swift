private import Dispatch
private import Glibc

/// SIGINT and SIGTERM as cancellation, so that what was opened is closed.
package enum Interruption {
    /// Runs `body` and cancels it at the first signal; returns whether a signal came.
    ///
    /// A `CancellationError` of `body` after a signal is no error.
    package static func watching(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        let (signals, continuation) = AsyncStream.makeStream(of: Void.self)
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.resume()
            return source
        }
        defer {
            for source in sources { source.cancel() }
            for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
        }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await body()
                } catch is CancellationError where Task.isCancelled {}
                return false
            }
            group.addTask {
                for await _ in signals { return true }
                return false
            }
            let wasInterrupted = try await group.next() ?? false
            group.cancelAll()
            while try await group.next() != nil {}
            return wasInterrupted
        }
    }
}
