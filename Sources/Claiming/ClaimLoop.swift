package import Shared

/// Claims ranges of pages and has each page read, as many at once as the reader has use for.
///
/// One range at a time is rendered; those whose pages are all in hand go on beside it until their pages are recognised.
package struct ClaimLoop<Reader: LeaseReader>: Sendable {
    private let queue: PageQueue
    private let identity: WorkerIdentity
    /// Names of the roots that can be reached from here.
    private let roots: [String]
    /// Hard limit on how long one claimed range may take before others may have it.
    private let leaseSeconds: Double
    private let reader: Reader
    private let heartbeat: LeaseHeartbeat
    private let health: HealthKeeper
    private let drain: DrainSignal
    private let places: PagePlaces
    private let wakeUp: WakeUp
    private let leasesInHand = WorkInHand(0)
    private let waiting = WaitingResults()
    private let patience: DrainPatience

    package init(
        queue: PageQueue, identity: WorkerIdentity, roots: [String], leaseSeconds: Double, reader: Reader,
        heartbeat: LeaseHeartbeat, health: HealthKeeper, drain: DrainSignal, places: PagePlaces, wakeUp: WakeUp
    ) {
        self.queue = queue
        self.identity = identity
        self.roots = roots
        self.leaseSeconds = leaseSeconds
        self.reader = reader
        self.heartbeat = heartbeat
        self.health = health
        self.drain = drain
        patience = DrainPatience(drain)
        self.places = places
        self.wakeUp = wakeUp
    }

    /// Works until asked to leave, and until what it has begun is settled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            var pause = Duration.milliseconds(200)
            var told: Set<String> = []
            while !drain.isDraining {
                guard health.mayClaim, !waiting.areThere else {
                    try? await Task.sleep(for: .milliseconds(100))
                    continue
                }
                // A place must be free for the next range's first page, lest others could have it sooner.
                await places.take()
                if !drain.isDraining, let lease = await claim() {
                    pause = .milliseconds(200)
                    if lease.mustBeAlone { await beAlone(with: lease) }
                    await read(lease, in: &group)
                    if lease.mustBeAlone { await leasesInHand.waitForNone() }
                } else {
                    places.give()
                    guard !drain.isDraining else { break }
                    await tellOfWorkLeft(&told)
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
        let key = Int64.random(in: 1...Int64.max)
        heartbeat.claims(key)
        do throws(DatabaseError) {
            let lease = try await queue.claim(
                worker: heartbeat.workerID, modelDigest: identity.modelDigest, roots: roots, leaseSeconds: leaseSeconds,
                excluding: health.hiddenBatches, key: key)
            heartbeat.claimed(key, token: lease?.token)
            return lease
        } catch {
            // Should it have leased something after all, the next heartbeats give that back.
            heartbeat.claimed(key, token: nil)
            Log.line("Cannot claim pages, trying again: \(error)")
            return nil
        }
    }

    /// Says once of each kind of work that waits why this worker leaves it to others.
    private func tellOfWorkLeft(_ told: inout Set<String>) async {
        guard let waiting = try? await queue.requirements() else { return }
        let reasons = Set(waiting.compactMap { $0.refusal(by: identity, roots: roots) })
        for reason in reasons.subtracting(told).sorted() { Log.line(reason) }
        told.formUnion(reasons)
    }

    /// Waits until nothing but this lease is in hand: should the worker be lost once more, it is known by which page.
    private func beAlone(with lease: Lease) async {
        Log.line(
            "Page \(lease.pages.lowerBound) of \(lease.file.path) was in hand when workers were lost: it is read by itself, "
                + "after all that is in hand.")
        await leasesInHand.waitForNone()
    }

    /// Renders a lease's pages, each of which is recognised by a task of its own; begins with a place that is taken.
    private func read(_ lease: Lease, in group: inout DiscardingTaskGroup) async {
        let work = LeaseWork(lease, queue: queue, heartbeat: heartbeat, waiting: waiting, patience: patience)
        // The reading counts as one, so that the lease does not end between two pages.
        let inHand = WorkInHand(1)
        leasesInHand.begin()
        group.addTask {
            await store(work, until: inHand)
            heartbeat.ended(lease.token)
            if let count = await work.correctedPageCount { await correct(lease, pageCount: count) }
            leasesInHand.end()
        }
        do throws(LeaseProblem) {
            if let span = await work.span {
                let reading = try await reader.reading(lease, pages: span)
                await work.verify { [health] in
                    do throws(LeaseProblem) {
                        try await reading.verify()
                        return nil
                    } catch {
                        return await health.verdict(on: error, lease: lease, page: nil)
                    }
                }
                await read(reading, work: work, inHand: inHand, in: &group)
            } else {
                places.give()
            }
        } catch {
            places.give()
            await work.settle(nil, await health.verdict(on: error, lease: lease, page: nil))
        }
        inHand.end()
    }

    /// Hands a lease's pages over every few seconds, and ends it with the last one, beside the reading of the next.
    private func store(_ work: LeaseWork, until inHand: WorkInHand) async {
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

    private func read(
        _ reading: Reader.Reading, work: LeaseWork, inHand: WorkInHand, in group: inout DiscardingTaskGroup
    ) async {
        var hasPlace = true
        while !drain.isDraining, !heartbeat.isLost(work.lease.token), !work.isStopped, let page = await reading.next() {
            guard await work.needs(page.page) else { continue }
            if !hasPlace { await places.take() }
            hasPlace = false
            inHand.begin()
            group.addTask {
                await recognise(page, of: reading, work: work)
                places.give()
                inHand.end()
            }
        }
        if hasPlace { places.give() }
        if let count = await reading.correctedPageCount() { await work.correct(pageCount: count) }
        await reading.cancel()
    }

    /// Tells the queue how many pages a document has after all.
    private func correct(_ lease: Lease, pageCount: Int) async {
        do throws(DatabaseError) {
            Log.line(
                "\(lease.file.path) has \(pageCount) pages, not \(lease.pageCount): what is missing is queued, "
                    + "what is too much withdrawn.")
            _ = try await queue.correctPageCount(document: lease.documentID, count: pageCount)
        } catch {
            Log.line("The pages of \(lease.file.path) cannot be corrected now: \(error)")
        }
    }

    /// Settles one page; one whose lease was lost, or that had not begun when the worker was told to leave, is given back.
    private func recognise(_ page: Reader.Reading.Page, of reading: Reader.Reading, work: LeaseWork) async {
        // The engine asks before it begins with a page, and then while it works on it.
        let isCancelled: @Sendable () -> Bool = { [heartbeat, drain] in
            drain.isUrgent || heartbeat.isLost(work.lease.token) || work.isVoid
                || !work.begins(page.page, isDraining: drain.isDraining)
        }
        do {
            let outcome = try await reading.outcome(of: page, isCancelled: isCancelled)
            await work.settle(outcome)
            if case .failed = outcome.result { return }
            health.succeeded(batch: work.lease.batchID)
        } catch let problem as LeaseProblem {
            await work.settle(page.page, await health.verdict(on: problem, lease: work.lease, page: page.page))
        } catch {
            // Cancelled: the page is given back.
        }
    }
}
