internal import Glibc
package import Shared

/// What goes on beside recognition: heartbeats, the queue's own upkeep, and watching the parent.
package struct Housekeeper: Sendable {
    private let hearts: PageQueue
    private let identity: WorkerIdentity
    private let heartbeat: LeaseHeartbeat
    private let health: HealthKeeper
    private let drain: DrainSignal
    private let parent: Int32?
    private let heartbeatInterval: Duration
    private let upkeep: Upkeep

    private static let retryPause = Duration.seconds(1)

    /// `hearts` and `queue` have connections of their own: no heartbeat waits behind the upkeep.
    ///
    /// `parent` is the process without which the worker leaves; the times are others only in tests.
    package init(
        hearts: PageQueue, queue: PageQueue, identity: WorkerIdentity, heartbeat: LeaseHeartbeat, health: HealthKeeper,
        drain: DrainSignal, parent: Int32?, heartbeatInterval: Duration = .seconds(10), upkeep: Upkeep? = nil
    ) {
        self.hearts = hearts
        self.identity = identity
        self.heartbeat = heartbeat
        self.health = health
        self.drain = drain
        self.parent = parent
        self.heartbeatInterval = heartbeatInterval
        self.upkeep = upkeep ?? Upkeep(queue: queue)
    }

    /// Runs until the task is cancelled; failures are logged and tried again.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await beat() }
            group.addTask { await keepHouse() }
            group.addTask { await health.run() }
        }
    }

    /// Sends heartbeats, one at once where what this worker says of itself has changed, and watches the parent.
    private func beat() async {
        var attempt = Attempt("send a heartbeat")
        var nextBeat = ContinuousClock.now + heartbeatInterval
        var told: String?
        while !Task.isCancelled {
            // A parent that died is replaced by init or by the nearest subreaper.
            if let parent, getppid() != parent { drain.drain() }
            let unwell = health.unwell
            if unwell != told || ContinuousClock.now >= nextBeat {
                let begun = ContinuousClock.now
                let isHeard = await attempt.run {
                    try await heartbeat.beat(queue: hearts, identity: identity, drain: drain, unwell: unwell)
                }
                // After an outage others listen for a while only.
                nextBeat = isHeard ? begun + heartbeatInterval : .now + min(heartbeatInterval, Self.retryPause)
                told = unwell
            }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 400...600)))
        }
    }

    private func keepHouse() async {
        var attempt = Attempt("keep the queue")
        var upkeep = upkeep
        while !Task.isCancelled {
            await attempt.run { try await upkeep.keep() }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 1000...2000)))
        }
    }

    /// Something that is tried again and again; its failures are told once each.
    private struct Attempt {
        let what: String
        var told: String?

        init(_ what: String) { self.what = what }

        /// Whether it went well.
        @discardableResult
        mutating func run(_ body: () async throws -> Void) async -> Bool {
            do {
                try await body()
                told = nil
                return true
            } catch {
                guard !(error is CancellationError), told != "\(error)" else { return false }
                told = "\(error)"
                Log.line("Cannot \(what), trying again: \(error)")
                return false
            }
        }
    }
}
