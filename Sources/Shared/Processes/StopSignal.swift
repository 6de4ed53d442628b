private import Dispatch
private import Glibc
private import Synchronization

/// Counts how often the person or the system asked this program to stop: SIGINT, SIGTERM and SIGHUP.
package final class StopSignal: Sendable {
    private let received = Atomic<Int>(0)

    /// From now on, until the program ends, these signals are counted.
    package init() {
        let queue = DispatchQueue(label: "quire.signals")
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            // The handler keeps the source, and with it itself, for as long as the program runs.
            source.setEventHandler { [self] in received.add(Int(source.data), ordering: .relaxed) }
            source.resume()
        }
    }

    /// How many came so far.
    package var count: Int { received.load(ordering: .relaxed) }

    /// Runs `body`; it is cancelled at the first signal, and `CancellationError` thrown.
    package func interrupting<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws
        -> Value
    {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await body() }
            group.addTask { [self] in
                while count == 0 { try await Task.sleep(for: .milliseconds(100)) }
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }

    /// Runs `body`, cancelled at the first signal; returns whether one came, so that what was opened has been closed.
    package static func interrupts(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        let stop = StopSignal()
        do {
            try await stop.interrupting(body)
            return false
        } catch is CancellationError where stop.count > 0 {
            return true
        }
    }
}
