internal import Inference
internal import Rendering
internal import Shared
internal import Synchronization
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
                    // Jitter keeps many idle workers from asking in step.
                    try? await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
                    pause = min(pause * 2, .seconds(3))
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
        let pagesInHand = PagesInHand()
        do {
            guard let root = configuration.roots[lease.file.root] else {
                throw LeaseProblem(
                    reason: "The worker does not know the root '\(lease.file.root)' of this file.", isPermanent: false)
            }
            let file = root.appending(lease.file.path.components)
            let plan = try pipeline.plan(for: lease)
            try await SourceCheck.verify(file, is: lease.sha256, stamp: lease.stamp)
            await render(file, plan: plan, work: work, pagesInHand: pagesInHand, in: &group)
        } catch {
            places.give()
            await work.failRest(
                error as? LeaseProblem ?? LeaseProblem(reason: "\(error)", isPermanent: false))
        }
        // The lease ends when its last page does, beside the next one.
        group.addTask {
            await pagesInHand.waitForNone()
            await work.end()
            heartbeat.ended(lease.token)
        }
    }

    private func render(
        _ file: FilePath, plan: PagePipeline.Plan, work: LeaseWork, pagesInHand: PagesInHand,
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
            pagesInHand.begin()
            group.addTask {
                await recognise(rendered, plan: plan, work: work)
                places.give()
                pagesInHand.end()
            }
        }
        if hasPlace { places.give() }
        await session.cancel()
    }

    /// Settles one page; one whose lease was lost, or that had not begun when the worker was told to leave, is given back.
    private func recognise(_ rendered: RenderedPage, plan: PagePipeline.Plan, work: LeaseWork) async {
        let token = work.lease.token
        // The engine asks before it begins with a page, and then while it works on it.
        let hasBegun = Atomic<Bool>(false)
        let isCancelled: @Sendable () -> Bool = { [heartbeat, drain] in
            if drain.isUrgent || heartbeat.isLost(token) { return true }
            return !hasBegun.exchange(true, ordering: .relaxed) && drain.isDraining
        }
        guard let outcome = try? await pipeline.outcome(of: rendered, plan: plan, isCancelled: isCancelled) else {
            return
        }
        await work.settle(outcome)
    }
}

/// Counts the pages of one lease that are being recognised.
private final class PagesInHand: Sendable {
    private struct State {
        var count = 0
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    func begin() { state.withLock { $0.count += 1 } }

    func end() {
        let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.count -= 1
            guard state.count == 0 else { return nil }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    /// Waits for the last page; no further one may begin.
    func waitForNone() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.count > 0 { state.waiting = continuation }
                return state.count == 0
            }
            if isDone { continuation.resume() }
        }
    }
}

/// Why none of a lease's pages can be recognised.
struct LeaseProblem: Error {
    let reason: String
    let isPermanent: Bool
}
