internal import Shared
internal import Synchronization

/// What the operating system, the parent or the queue has asked of this worker.
///
/// The first signal asks it to finish the pages that it has begun and leave; a second one to give these back too.
final class DrainSignal: Sendable {
    private let signals = StopSignal()
    private let wasAsked = Atomic<Bool>(false)

    var isDraining: Bool { wasAsked.load(ordering: .relaxed) || signals.count > 0 }
    var isUrgent: Bool { signals.count > 1 }

    /// Asks the worker to leave after the pages that it has begun.
    func drain() { wasAsked.store(true, ordering: .relaxed) }
}
