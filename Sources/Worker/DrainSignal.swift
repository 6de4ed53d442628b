internal import Dispatch
internal import Glibc
internal import Synchronization

/// What the operating system, the parent or the queue has asked of this worker.
///
/// The first SIGTERM or SIGINT asks it to finish the page in hand and leave; a second one to give that page back too.
final class DrainSignal: Sendable {
    /// 0: go on; 1: finish the page in hand; 2: stop at once.
    private let level = Atomic<Int>(0)

    var isDraining: Bool { level.load(ordering: .relaxed) > 0 }
    var isUrgent: Bool { level.load(ordering: .relaxed) > 1 }

    /// Asks the worker to leave after the page in hand.
    func drain() { _ = level.compareExchange(expected: 0, desired: 1, ordering: .relaxed) }

    /// Listens to SIGTERM and SIGINT; the returned sources must be kept.
    func listen() -> [any DispatchSourceSignal] {
        [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { self.level.add(1, ordering: .relaxed) }
            source.resume()
            return source
        }
    }
}
