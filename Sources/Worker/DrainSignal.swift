internal import Shared
internal import Synchronization

/// What the operating system, the parent or the queue has asked of this worker.
///
/// The first signal asks it to finish the page in hand and leave; a second one to give that page back too.
final class DrainSignal: Sendable {
    private let signals = StopSignal()
    private let wasAsked = Atomic<Bool>(false)

    var isDraining: Bool { wasAsked.load(ordering: .relaxed) || signals.count > 0 }
    var isUrgent: Bool { signals.count > 1 }

    /// Asks the worker to leave after the page in hand.
    func drain() { wasAsked.store(true, ordering: .relaxed) }
}
