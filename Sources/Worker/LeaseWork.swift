internal import Shared

/// One lease at work: takes finished pages in any order, and hands them over every few seconds.
///
/// The queue takes pages from the front of a range only, so pages that finish early wait for those before them; a crash
/// costs at most what waits and what is in hand.
actor LeaseWork {
    nonisolated let lease: Lease
    private let queue: PageQueue
    private let heartbeat: LeaseHeartbeat
    private var ledger: LeaseLedger
    private var lastStored = ContinuousClock.now
    private var isStoring = false

    /// Finished pages wait at most about this long before they are stored, so that a crash costs seconds.
    private static let flushInterval = Duration.seconds(2)

    init(_ lease: Lease, queue: PageQueue, heartbeat: LeaseHeartbeat) {
        self.lease = lease
        self.queue = queue
        self.heartbeat = heartbeat
        ledger = LeaseLedger(pages: lease.pages, recordedElsewhere: lease.recordedElsewhere)
    }

    /// The pages from the first to the last that need work; nil when none does.
    var span: ClosedRange<Int>? { ledger.span }

    func needs(_ page: Int) -> Bool { ledger.needs(page) }

    /// Takes a page's outcome.
    func settle(_ outcome: PageOutcome) async {
        ledger.add(outcome)
        if ContinuousClock.now - lastStored >= Self.flushInterval { await store() }
    }

    /// Settles every page that still needs work with one reason.
    func failRest(_ problem: LeaseProblem) {
        ledger.failRest(reason: problem.reason, isPermanent: problem.isPermanent)
    }

    /// Stores what is finished and gives the rest back, once nobody works on the lease any more.
    func end() async {
        await store()
        if ledger.remaining != nil { await giveBack() }
    }

    /// Stores the finished pages.
    ///
    /// A lease that cannot be recorded is dropped: the queue hands its pages out again.
    private func store() async {
        // What finishes while a batch is on its way goes with the next one.
        guard !isStoring, let batch = ledger.nextBatch else { return }
        isStoring = true
        defer { isStoring = false }
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
        lastStored = .now
    }

    private func giveBack() async {
        do {
            try await queue.release(lease, worker: heartbeat.workerID)
        } catch {
            Log.line("Lease \(lease.token) cannot be given back; it will expire: \(error)")
        }
    }
}
