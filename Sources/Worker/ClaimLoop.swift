internal import Inference
internal import Rendering
internal import Shared
internal import SystemPackage

/// Claims ranges of pages, sends each page through the pipeline and hands results over every few seconds.
struct ClaimLoop: Sendable {
    let queue: PageQueue
    let identity: WorkerIdentity
    let configuration: WorkerConfiguration
    let pipeline: PagePipeline
    let heartbeat: LeaseHeartbeat
    let drain: DrainSignal

    /// Finished pages wait at most about this long before they are stored, so that a crash costs seconds.
    private static let flushInterval = Duration.seconds(2)

    /// Works until asked to leave.
    ///
    /// Throws only what makes this worker useless, after giving its pages back.
    func run() async throws {
        var pause = Duration.milliseconds(200)
        var told: Set<String> = []
        while !drain.isDraining {
            if let lease = await claim() {
                pause = .milliseconds(200)
                heartbeat.began(lease.token)
                defer { heartbeat.ended(lease.token) }
                try await work(on: lease)
            } else {
                await tellOfUnreachableRoots(&told)
                // Jitter keeps many idle workers from asking in step.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
                pause = min(pause * 2, .seconds(3))
            }
        }
    }

    private func claim() async -> Lease? {
        do {
            return try await queue.claim(
                worker: heartbeat.workerID, modelDigest: identity.modelDigest, roots: Array(configuration.roots.keys),
                leaseSeconds: configuration.leaseSeconds)
        } catch {
            Log.line("Cannot claim pages, trying again: \(error)")
            return nil
        }
    }

    /// Says once of each root that work waits under it which this worker cannot reach.
    private func tellOfUnreachableRoots(_ told: inout Set<String>) async {
        guard let waiting = try? await queue.rootsWithWork(modelDigest: identity.modelDigest) else { return }
        for root in waiting.subtracting(configuration.roots.keys).subtracting(told).sorted() {
            Log.line(
                "Pages wait under the root '\(root)', which this worker does not know: "
                    + "to have them done here, start it with --root \(root)=/PATH, where that folder is mounted.")
            told.insert(root)
        }
    }

    /// Settles the pages of one lease, in order; what is not settled is given back.
    private func work(on lease: Lease) async throws {
        var ledger = LeaseLedger(pages: lease.pages, recordedElsewhere: lease.recordedElsewhere)
        do {
            guard let root = configuration.roots[lease.file.root] else {
                throw LeaseProblem(
                    reason: "The worker does not know the root '\(lease.file.root)' of this file.", isPermanent: false)
            }
            let file = root.appending(lease.file.path.components)
            let plan = try pipeline.plan(for: lease)
            try await SourceCheck.verify(file, is: lease.sha256, stamp: lease.stamp)
            try await recognise(file, lease: lease, plan: plan, ledger: &ledger)
        } catch let problem as LeaseProblem {
            ledger.failRest(reason: problem.reason, isPermanent: problem.isPermanent)
        } catch is CancellationError {
            // The lease was lost, or the worker told to leave at once: what is finished is stored, the rest given back.
        }
        await store(&ledger, lease: lease)
        if ledger.remaining != nil { await giveBack(lease) }
    }

    private func recognise(
        _ file: FilePath, lease: Lease, plan: PagePipeline.Plan, ledger: inout LeaseLedger
    ) async throws {
        guard let span = ledger.span else { return }
        let isCancelled: @Sendable () -> Bool = { [heartbeat, drain] in drain.isUrgent || heartbeat.isLost(lease.token)
        }
        let session = pipeline.renderer.session(file, pages: span, pdfDPI: lease.pipeline.pdfDPI)
        do {
            var lastStored = ContinuousClock.now
            while !drain.isDraining, !isCancelled(), ledger.remaining != nil, let rendered = await session.next() {
                guard ledger.needs(rendered.page) else { continue }
                ledger.add(try await pipeline.outcome(of: rendered, plan: plan, isCancelled: isCancelled))
                if ContinuousClock.now - lastStored >= Self.flushInterval {
                    await store(&ledger, lease: lease)
                    lastStored = .now
                }
            }
            await session.cancel()
        } catch {
            await session.cancel()
            throw error
        }
    }

    /// Stores the finished pages.
    ///
    /// A lease that cannot be recorded is dropped: the queue hands its pages out again.
    private func store(_ ledger: inout LeaseLedger, lease: Lease) async {
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

    private func giveBack(_ lease: Lease) async {
        do {
            try await queue.release(lease, worker: heartbeat.workerID)
        } catch {
            Log.line("Lease \(lease.token) cannot be given back; it will expire: \(error)")
        }
    }
}

/// Why none of a lease's pages can be recognised.
struct LeaseProblem: Error {
    let reason: String
    let isPermanent: Bool
}
