package import Shared
internal import Synchronization

/// What the operating system, the parent or the queue has asked of this worker.
///
/// The first signal asks it to finish the pages that it has begun and leave; a second one to give these back too.
package final class DrainSignal: Sendable {
    private let signals: StopSignal?
    private let wasAsked = Atomic<Bool>(false)

    /// `signals` counts those of the process; nil where it has none that concern the worker.
    package init(_ signals: StopSignal?) { self.signals = signals }

    package var isDraining: Bool { wasAsked.load(ordering: .relaxed) || count > 0 }
    package var isUrgent: Bool { count > 1 }
    private var count: Int { signals?.count ?? 0 }

    /// Asks the worker to leave after the pages that it has begun.
    package func drain() { wasAsked.store(true, ordering: .relaxed) }
}
