import Shared
import Synchronization

/// What one load did.
struct QueueRun {
    /// Pages a second in each whole window.
    var rates: [Double]
    /// Pages recorded while the sizes grew by `growth`.
    var pages: Int
    var growth: QueueSizes
    /// Seconds that each call of status took.
    var statusAtWork: [Double]
    var statusAfter: [Double]

    /// The median of the windows; nil where there is none.
    var rate: Double? { rates.isEmpty ? nil : rates.sorted()[rates.count / 2] }
}

/// Clients that claim ranges and record them, and what goes on beside them in production.
struct QueueLoad: Sendable {
    static let windowSeconds = 5
    private static let warmUpSeconds = 5
    private static let statusCalls = 20

    let connectionString: String
    let batch: Int64
    let clients: Int
    let seconds: Int
    let holdsSnapshot: Bool
    /// At most so many pages a second, by all clients together; nil for as many as they can.
    var pagesPerSecond: Int?

    /// Counts what all clients have done, and tells them when to end.
    private final class Progress: Sendable {
        let pages = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
        /// A client found nothing to claim.
        let isDry = Atomic<Bool>(false)
    }

    func run() async throws -> QueueRun {
        let progress = Progress()
        let watcher = queue()
        let holder = try await holdSnapshot()
        let run = try await withThrowingTaskGroup(of: QueueRun?.self) { group in
            for number in 0..<clients {
                group.addTask {
                    try await work(number, progress)
                    return nil
                }
            }
            group.addTask {
                try await keepHouse(progress)
                return nil
            }
            group.addTask {
                defer { progress.isOver.store(true, ordering: .relaxed) }
                return try await measure(progress, watcher)
            }
            var measured: QueueRun?
            while let part = try await group.next() { measured = part ?? measured }
            return measured
        }
        await holder?.close()
        guard var run else { throw QueueProblem(reason: "Nothing was measured.") }
        for _ in 0..<Self.statusCalls {
            try await run.statusAfter.append(timeOfStatus(watcher))
            try await Task.sleep(for: .milliseconds(100))
        }
        await watcher.database.close()
        return run
    }

    private func queue() -> PageQueue { PageQueue(database: Database(connectionString: connectionString)) }

    /// A session in whose snapshot everything stays as it is now.
    private func holdSnapshot() async throws -> Database? {
        guard holdsSnapshot else { return nil }
        let database = Database(connectionString: connectionString)
        try await database.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        try await database.query("SELECT count(*) FROM quire.batch")
        return database
    }

    /// One client: a worker that is given ranges, finds nothing printed on their pages, and says so.
    private func work(_ number: Int, _ progress: Progress) async throws {
        let queue = queue()
        let worker = try await queue.register(
            WorkerIdentity(
                name: "bench \(number)", host: "bench", bootID: "bench", pid: Int32(number + 1), processStartTicks: 1,
                device: "none", version: QuireVersion.current, modelDigest: QueueFilling.modelDigest))
        let facts = PageFacts(width: 1654, height: 2339, dpi: 200, renderSeconds: 0.1)
        let clock = ContinuousClock()
        var beat = clock.now
        // Each client has its share of the pace, and they do not begin in step.
        let secondsAPage = pagesPerSecond.map { Double(clients) / Double($0) } ?? 0
        var due = clock.now + .seconds(secondsAPage * Double.random(in: 0..<32))
        while !progress.isOver.load(ordering: .relaxed) {
            if clock.now - beat > .seconds(10) {
                _ = try await queue.heartbeat(worker: worker, tokens: [])
                beat = clock.now
            }
            guard
                let lease = try await queue.claim(
                    worker: worker, modelDigest: QueueFilling.modelDigest, roots: ["home"], leaseSeconds: 600)
            else {
                progress.isDry.store(true, ordering: .relaxed)
                break
            }
            let outcomes = lease.pages.map { PageOutcome(page: $0, result: .blank(facts)) }
            let receipt = try await queue.record(outcomes, lease: lease, worker: worker)
            guard receipt == .accepted(remaining: nil) else {
                throw QueueProblem(reason: "Lease \(lease.token) was not brought to its end: \(receipt).")
            }
            progress.pages.add(outcomes.count, ordering: .relaxed)
            due += .seconds(secondsAPage * Double(outcomes.count))
            if secondsAPage > 0, due > clock.now { try await Task.sleep(until: due, clock: clock) }
        }
        try await queue.unregister(worker: worker)
        await queue.database.close()
    }

    private func keepHouse(_ progress: Progress) async throws {
        let queue = queue()
        while !progress.isOver.load(ordering: .relaxed) {
            try await queue.maintain()
            try await Task.sleep(for: .seconds(1))
        }
        await queue.database.close()
    }

    private func measure(_ progress: Progress, _ watcher: PageQueue) async throws -> QueueRun {
        try await Task.sleep(for: .seconds(Self.warmUpSeconds))
        let clock = ContinuousClock()
        let sizes = try await QueueSizes.read(watcher)
        let began = progress.pages.load(ordering: .relaxed)
        var run = QueueRun(rates: [], pages: 0, growth: sizes, statusAtWork: [], statusAfter: [])
        let pause = Duration.seconds(seconds) / Self.statusCalls
        var window = (start: clock.now, pages: began)
        let end = clock.now + .seconds(seconds)
        var next = clock.now
        while clock.now < end {
            try await run.statusAtWork.append(timeOfStatus(watcher))
            next += pause
            try await Task.sleep(until: min(next, end), clock: clock)
            // The window in which the queue ran empty does not count.
            if progress.isDry.load(ordering: .relaxed) { break }
            let now = clock.now
            guard now - window.start >= .seconds(Self.windowSeconds) || now >= end else { continue }
            let pages = progress.pages.load(ordering: .relaxed)
            if now - window.start >= .seconds(1) {
                run.rates.append(Double(pages - window.pages) / ((now - window.start) / .seconds(1)))
            }
            window = (now, pages)
        }
        run.pages = progress.pages.load(ordering: .relaxed) - began
        run.growth = try await QueueSizes.read(watcher) - sizes
        return run
    }

    private func timeOfStatus(_ queue: PageQueue) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        _ = try await queue.status(batch: nil)
        return (clock.now - start) / .seconds(1)
    }
}
