internal import Glibc
internal import Shared

/// What goes on beside recognition: heartbeats, the queue's own upkeep, and watching the parent.
struct Housekeeper: Sendable {
    let queue: PageQueue
    let identity: WorkerIdentity
    let heartbeat: LeaseHeartbeat
    let drain: DrainSignal
    let parent: Int32?

    /// A worker that is silent for 45 s is taken for dead (QUEUE.md).
    private static let heartbeatInterval = Duration.seconds(10)

    /// Runs until the task is cancelled; failures are logged and tried again.
    func run() async {
        var lastBeat = ContinuousClock.now
        while !Task.isCancelled {
            // A parent that died is replaced by init or by the nearest subreaper.
            if let parent, getppid() != parent { drain.drain() }
            if ContinuousClock.now - lastBeat >= Self.heartbeatInterval {
                await attempt("send a heartbeat") {
                    try await heartbeat.beat(queue: queue, identity: identity, drain: drain)
                }
                lastBeat = .now
            }
            await attempt("keep the queue") { try await queue.maintain() }
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
