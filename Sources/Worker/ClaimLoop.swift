internal import Inference
internal import Rendering
internal import Shared
internal import SystemPackage

/// Claims ranges of pages and sends each page through the pipeline, as many at once as the engine has use for.
///
/// One range at a time is rendered; those whose pages are all in hand go on beside it until their pages are recognised.
struct ClaimLoop: Sendable {
    let queue: PageQueue
    let identity: WorkerIdentity
    let configuration: WorkerConfiguration
    let pipeline: PagePipeline
    let heartbeat: LeaseHeartbeat
    let drain: DrainSignal
    let places: PagePlaces
    let wakeUp: WakeUp

    /// Works until asked to leave, and until what it has begun is settled.
    func run() async {
        await withDiscardingTaskGroup { group in
            var pause = Duration.milliseconds(200)
            var told: Set<String> = []
            while !drain.isDraining {
                // A place must be free for the next range's first page, lest others could have it sooner.
                await places.take()
                if !drain.isDraining, let lease = await claim() {
                    pause = .milliseconds(200)
                    await read(lease, in: &group)
                } else {
                    places.give()
                    guard !drain.isDraining else { break }
                    await tellOfUnreachableRoots(&told)
                    // Jitter keeps many idle workers from asking in step, also when a submission wakes all of them.
                    if await wakeUp.wait(upTo: pause * Double.random(in: 0.5...1.5)) {
                        try? await Task.sleep(for: .milliseconds(Int.random(in: 0...200)))
                        pause = .milliseconds(200)
                    } else {
                        pause = min(pause * 2, .seconds(3))
                    }
                }
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

    /// Renders a lease's pages, each of which is recognised by a task of its own; begins with a place that is taken.
    private func read(_ lease: Lease, in group: inout DiscardingTaskGroup) async {
        heartbeat.began(lease.token)
        let work = LeaseWork(lease, queue: queue, heartbeat: heartbeat)
        // The reading counts as one, so that the lease does not end between two pages.
        let inHand = PagesInHand(1)
        group.addTask {
            await store(work, until: inHand)
            heartbeat.ended(lease.token)
        }
        do throws(LeaseProblem) {
            guard let root = configuration.roots[lease.file.root] else {
                throw LeaseProblem(
                    reason: "The worker does not know the root '\(lease.file.root)' of this file.", isPermanent: false)
            }
            let file = root.appending(lease.file.path.components)
            let plan = try pipeline.plan(for: lease)
            try await SourceCheck.verify(file, is: lease.sha256, stamp: lease.stamp)
            await render(file, plan: plan, work: work, inHand: inHand, in: &group)
        } catch {
            places.give()
            await work.failRest(reason: error.reason, isPermanent: error.isPermanent)
        }
        inHand.end()
    }

    /// Hands a lease's pages over every few seconds, and ends it with the last one, beside the reading of the next.
    private func store(_ work: LeaseWork, until inHand: PagesInHand) async {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await inHand.waitForNone()
                return true
            }
            repeat {
                await work.store()
                group.addTask {
                    try? await Task.sleep(for: LeaseWork.storeInterval)
                    return false
                }
            } while await group.next() == false
            // Only a sleep is left to be cancelled, never a result on its way.
            group.cancelAll()
        }
        await work.end()
    }

    private func render(
        _ file: FilePath, plan: PagePipeline.Plan, work: LeaseWork, inHand: PagesInHand,
        in group: inout DiscardingTaskGroup
    ) async {
        let lease = work.lease
        guard let span = await work.span else { return places.give() }
        let session = pipeline.renderer.session(file, pages: span, pdfDPI: lease.pipeline.pdfDPI)
        var hasPlace = true
        while !drain.isDraining, !heartbeat.isLost(lease.token), let rendered = await session.next() {
            guard await work.needs(rendered.page) else { continue }
            if !hasPlace { await places.take() }
            hasPlace = false
            inHand.begin()
            group.addTask {
                await recognise(rendered, plan: plan, work: work)
                places.give()
                inHand.end()
            }
        }
        if hasPlace { places.give() }
        await session.cancel()
    }

    /// Settles one page; one whose lease was lost, or that had not begun when the worker was told to leave, is given back.
    private func recognise(_ rendered: RenderedPage, plan: PagePipeline.Plan, work: LeaseWork) async {
        // The engine asks before it begins with a page, and then while it works on it.
        let isCancelled: @Sendable () -> Bool = { [heartbeat, drain] in
            drain.isUrgent || heartbeat.isLost(work.lease.token)
                || !work.begins(rendered.page, isDraining: drain.isDraining)
        }
        guard let outcome = try? await pipeline.outcome(of: rendered, plan: plan, isCancelled: isCancelled) else {
            return
        }
        await work.settle(outcome)
    }
}

/// Why none of a lease's pages can be recognised.
struct LeaseProblem: Error {
    let reason: String
    let isPermanent: Bool
}
