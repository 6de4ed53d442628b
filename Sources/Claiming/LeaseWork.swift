package import Shared
internal import Synchronization

/// One lease at work: takes finished pages in any order, and hands over what the queue can take.
///
/// The queue takes pages from the front of a range only, so pages that finish early wait for those before them; a crash
/// costs what waits, what is in hand, and a few seconds.
package actor LeaseWork {
    package nonisolated let lease: Lease
    private let queue: PageQueue
    private let heartbeat: LeaseHeartbeat
    private var ledger: LeaseLedger
    /// The last page of the range, in its order, with which the engine has begun; 0 before the first.
    private nonisolated let lastBegun = Atomic<Int>(0)

    /// How often finished pages are handed over, so that a crash costs seconds.
    static let storeInterval = Duration.seconds(2)

    package init(_ lease: Lease, queue: PageQueue, heartbeat: LeaseHeartbeat) {
        self.lease = lease
        self.queue = queue
        self.heartbeat = heartbeat
        ledger = LeaseLedger(pages: lease.pages, recordedElsewhere: lease.recordedElsewhere)
    }

    /// Whether the engine may begin, or go on, with a page.
    ///
    /// A worker that was told to leave begins with no further page, but for those before one that has begun: without
    /// them its result could not be handed over. To be asked before a page begins, from any thread.
    package nonisolated func begins(_ page: Int, isDraining: Bool) -> Bool {
        if isDraining { return page <= lastBegun.load(ordering: .relaxed) }
        lastBegun.max(page, ordering: .relaxed)
        return true
    }

    /// The pages from the first to the last that need work; nil when none does.
    package var span: ClosedRange<Int>? { ledger.span }

    package func needs(_ page: Int) -> Bool { ledger.needs(page) }

    /// Takes a page's outcome.
    package func settle(_ outcome: PageOutcome) { ledger.add(outcome) }

    /// Settles every page that still needs work with one reason.
    package func failRest(reason: String, isPermanent: Bool) {
        ledger.failRest(reason: reason, isPermanent: isPermanent)
    }

    /// Stores what is finished and gives the rest back, once nobody works on the lease any more.
    package func end() async {
        await store()
        if ledger.remaining != nil { await giveBack() }
    }

    /// Stores the finished pages.
    ///
    /// What finishes while they are on their way goes with the next ones: no second call may come meanwhile. A lease that
    /// cannot be recorded is dropped: the queue hands its pages out again.
    package func store() async {
        guard let batch = ledger.nextBatch else { return }
        do {
            let receipt = try await queue.record(
                batch.outcomes, alreadyRecorded: batch.recordedElsewhere, lease: lease, worker: heartbeat.workerID)
            if receipt == .leaseLost {
                Log.line("Lease \(lease.token) was taken away; \(batch.outcomes.count) late results are dropped.")
            }
            ledger.apply(receipt)
        } catch {
            Log.line("Results of lease \(lease.token) cannot be stored; its pages will be handed out again: \(error)")
            ledger.abandon()
        }
    }

    private func giveBack() async {
        do {
            try await queue.release(lease, worker: heartbeat.workerID)
        } catch {
            Log.line("Lease \(lease.token) cannot be given back; it will expire: \(error)")
        }
    }
}
