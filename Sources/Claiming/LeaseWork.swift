package import Shared
internal import Synchronization

/// One lease at work: takes finished pages in any order, and hands over what the queue can take.
///
/// The queue takes pages from the front of a range only, so pages that finish early wait for those before them; a crash
/// costs what waits, what is in hand, and a few seconds. What the database does not take is kept and sent again for as
/// long as the lease is not known to be lost.
package actor LeaseWork {
    package nonisolated let lease: Lease
    private let queue: PageQueue
    private let heartbeat: LeaseHeartbeat
    private let waiting: WaitingResults
    private let patience: DrainPatience
    private var ledger: LeaseLedger
    private var handOver = HandOver()
    /// Why the lease ends before its last page.
    private var ending: LeaseVerdict?
    /// Nil where what was read belongs to the lease's content.
    private var verify: (@Sendable () async -> LeaseVerdict?)?
    /// The last page of the range, in its order, with which the engine has begun; 0 before the first.
    private nonisolated let lastBegun = Atomic<Int>(0)
    private nonisolated let stopped = Atomic<Bool>(false)
    private nonisolated let void = Atomic<Bool>(false)

    /// How often finished pages are handed over, so that a crash costs seconds.
    static let storeInterval = Duration.seconds(2)

    package init(
        _ lease: Lease, queue: PageQueue, heartbeat: LeaseHeartbeat, waiting: WaitingResults = WaitingResults(),
        patience: DrainPatience = DrainPatience(DrainSignal(nil))
    ) {
        self.lease = lease
        self.queue = queue
        self.heartbeat = heartbeat
        self.waiting = waiting
        self.patience = patience
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

    /// Whether no further page is to be read.
    package nonisolated var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// Whether nothing that is in hand can be stored any more.
    package nonisolated var isVoid: Bool { void.load(ordering: .relaxed) }

    package func needs(_ page: Int) -> Bool { !isStopped && ledger.needs(page) }

    /// Asks `verify` before results are handed over: nil, or why they may not be.
    package func verify(by verify: @escaping @Sendable () async -> LeaseVerdict?) {
        self.verify = verify
    }

    /// How many pages the document has after all; nil where it has as many as the lease says.
    package private(set) var correctedPageCount: Int?

    /// Notes how many pages the document has after all.
    package func correct(pageCount: Int) { correctedPageCount = pageCount }

    /// Takes a page's outcome.
    package func settle(_ outcome: PageOutcome) { ledger.add(outcome) }

    /// Takes what became of a page that could not be read, or, with no page, of all that still need work.
    package func settle(_ page: Int?, _ verdict: LeaseVerdict) {
        switch verdict {
        case .pages(let reason, let isPermanent):
            if let page {
                ledger.add(PageOutcome(page: page, result: .failed(reason: reason, isPermanent: isPermanent)))
            } else {
                ledger.failRest(reason: reason, isPermanent: isPermanent)
            }
        case .file, .machine:
            if ending == nil { ending = verdict }
            stopped.store(true, ordering: .relaxed)
        }
    }

    /// Settles every page that still needs work with one reason.
    package func failRest(reason: String, isPermanent: Bool) {
        ledger.failRest(reason: reason, isPermanent: isPermanent)
    }

    /// Stores what is finished and gives the rest back, once nobody works on the lease any more.
    package func end() async {
        await store()
        if ledger.remaining != nil { await giveBack() }
    }

    /// Stores the finished pages; returns when they are stored, or are nobody's concern any more.
    ///
    /// What finishes while they are on their way goes with the next ones: no second call may come meanwhile.
    package func store() async {
        defer { waiting.end(lease.token) }
        while let batch = ledger.nextBatch(of: handOver.limit) {
            guard await isVerified() else { return }
            let refusal: DatabaseError
            do throws(DatabaseError) {
                let receipt = try await queue.record(
                    batch.outcomes, alreadyRecorded: batch.recordedElsewhere, lease: lease, worker: heartbeat.workerID)
                if receipt == .leaseLost { tellOfLoss() }
                handOver.accepted()
                waiting.end(lease.token)
                ledger.apply(receipt)
                continue
            } catch {
                refusal = error
            }
            guard !heartbeat.isLost(lease.token) else {
                tellOfLoss()
                return ledger.abandon()
            }
            guard !patience.isOver else {
                Log.line("Lease \(lease.token) is left behind with its results: \(refusal)")
                return ledger.abandon()
            }
            await follow(handOver.refused(refusal, pages: batch.pageCount, isFailure: batch.isFailure), batch, refusal)
        }
    }

    private func follow(_ step: HandOver.Step, _ batch: LeaseLedger.Batch, _ refusal: DatabaseError) async {
        switch step {
        case .fewer: break
        case .wait(let seconds):
            waiting.wait(lease.token, refusal.description)
            // Jitter keeps many workers from coming back to a database in step.
            try? await Task.sleep(for: .seconds(seconds * Double.random(in: 0.5...1.5)))
        case .fail(let reason):
            guard let page = batch.outcomes.first?.page else { return ledger.abandon() }
            Log.line("Page \(page) of \(lease.file.path): \(reason)")
            ledger.replace(PageOutcome(page: page, result: .failed(reason: reason, isPermanent: false)))
        case .giveUp:
            Log.line("Results of lease \(lease.token) cannot be stored; its pages are handed out again: \(refusal)")
            ledger.abandon()
        }
    }

    private func isVerified() async -> Bool {
        guard let verdict = await verify?() else { return true }
        ledger.dropFinished()
        void.store(true, ordering: .relaxed)
        settle(nil, verdict)
        return false
    }

    private func tellOfLoss() { Log.line("Lease \(lease.token) was taken away; its late results are dropped.") }

    /// Gives back what is left; the next heartbeats do it where this fails, as they do not name the lease any more.
    private func giveBack() async {
        do throws(DatabaseError) {
            if case .file(let reason, let isAbsent) = ending {
                _ = try await queue.report(
                    fileFault: reason, isAbsent: isAbsent, lease: lease, worker: heartbeat.workerID)
            } else {
                try await queue.release(lease, worker: heartbeat.workerID)
            }
        } catch {
            Log.line("Lease \(lease.token) cannot be given back now; the queue takes it back by itself: \(error)")
        }
    }
}
