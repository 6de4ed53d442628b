internal import Glibc
package import Shared

/// What goes on beside recognition: heartbeats, the queue's own upkeep, and watching the parent.
package struct Housekeeper: Sendable {
    private let queue: PageQueue
    private let identity: WorkerIdentity
    private let heartbeat: LeaseHeartbeat
    private let drain: DrainSignal
    private let parent: Int32?
    private let heartbeatInterval: Duration
    private let upkeep: Upkeep

    /// `parent` is the process without which the worker leaves; the times are others only in tests.
    package init(
        queue: PageQueue, identity: WorkerIdentity, heartbeat: LeaseHeartbeat, drain: DrainSignal, parent: Int32?,
        heartbeatInterval: Duration = .seconds(10), upkeep: Upkeep? = nil
    ) {
        self.queue = queue
        self.identity = identity
        self.heartbeat = heartbeat
        self.drain = drain
        self.parent = parent
        self.heartbeatInterval = heartbeatInterval
        self.upkeep = upkeep ?? Upkeep(queue: queue)
    }

    /// Runs until the task is cancelled; failures are logged and tried again.
    package func run() async {
        var lastBeat = ContinuousClock.now
        var upkeep = upkeep
        while !Task.isCancelled {
            // A parent that died is replaced by init or by the nearest subreaper.
            if let parent, getppid() != parent { drain.drain() }
            if ContinuousClock.now - lastBeat >= heartbeatInterval {
                await attempt("send a heartbeat") {
                    try await heartbeat.beat(queue: queue, identity: identity, drain: drain)
                }
                lastBeat = .now
            }
            await attempt("keep the queue") { try await upkeep.keep() }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 1000...2000)))
        }
    }

    private func attempt(_ what: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            if !(error is CancellationError) { Log.line("Cannot \(what): \(error)") }
        }
    }
}
