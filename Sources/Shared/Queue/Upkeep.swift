internal import Synchronization

/// Keeps house for one process, and takes nobody for dead whom it may just not have heard.
///
/// While the database cannot be reached, nobody's heartbeat arrives. The first to reach it again would take all workers
/// for dead, so silence counts only where this process has kept house without a pause for long enough that whoever is
/// alive has been heard. So does a server's clock that was set: silence is measured by it.
package struct Upkeep: Sendable {
    /// Two and a half intervals of heartbeats: the first after an outage names what a worker holds, the second gives back
    /// what it does not know.
    package static let hearing = Duration.seconds(25)
    /// More than this between two rounds is an outage; a worker is suffered to be silent for four times as long.
    package static let pause = Duration.seconds(10)

    private let queue: PageQueue
    private let silenceSeconds: Double
    private let hearing: Duration
    private let pause: Duration
    private let clock: ClockWatch
    /// Since the end of the first of the rounds that have followed each other; nil before it.
    private var since: ContinuousClock.Instant?
    private var last: ContinuousClock.Instant?

    /// The times are others only in tests.
    package init(
        queue: PageQueue, silenceSeconds: Double = PageQueue.silenceSeconds, hearing: Duration = hearing,
        pause: Duration = pause
    ) {
        self.queue = queue
        self.silenceSeconds = silenceSeconds
        self.hearing = hearing
        self.pause = pause
        clock = ClockWatch(tolerance: max(2, silenceSeconds / 9))
    }

    /// One round; for a process to call about once a second.
    package mutating func keep() async throws(DatabaseError) {
        let begun = ContinuousClock.now
        if let last, begun - last <= pause {} else { since = nil }
        let (since, hearing, pause, clock) = (since, hearing, pause, clock)
        try await queue.maintain(silenceSeconds: silenceSeconds) { serverTime in
            let isSteady = clock.isSteady(serverTime)
            guard let since, isSteady else { return false }
            // Asked when the order goes out, which may be after some time of reconnecting.
            let now = ContinuousClock.now
            return now - begun <= pause && now - since >= hearing
        }
        let step = clock.takeStep()
        if let step, step < 0 { try await queue.forgetFuture() }
        // A round that began in an outage may have ended in it, too, but for its last moment.
        let ended = ContinuousClock.now
        if since == nil || step != nil || ended - begun > pause { self.since = ended }
        last = ended
    }
}

/// Notices that a server's clock was set, by the clock of this process that nobody sets.
private final class ClockWatch: Sendable {
    private struct State {
        /// The server's time, in seconds since 1970, less this process's own.
        var offset: Double?
        var step: Double?
    }

    private let state = Mutex(State())
    private let start = ContinuousClock.now
    private let tolerance: Double

    /// `tolerance`, in seconds, is for answers that take long.
    init(tolerance: Double) { self.tolerance = tolerance }

    /// Notes what time the server has; false from when its clock was set until the step is taken.
    func isSteady(_ serverTime: Double) -> Bool {
        let own = (ContinuousClock.now - start) / .seconds(1)
        return state.withLock { state in
            let offset = serverTime - own
            if let before = state.offset, abs(offset - before) > tolerance {
                state.step = (state.step ?? 0) + offset - before
            }
            state.offset = offset
            return state.step == nil
        }
    }

    /// By how many seconds the clock was set since this was asked last; nil where it was not.
    func takeStep() -> Double? {
        state.withLock { state in
            defer { state.step = nil }
            return state.step
        }
    }
}
