/// Keeps house for one process, and takes nobody for dead whom it may just not have heard.
///
/// While the database cannot be reached, nobody's heartbeat arrives. The first to reach it again would take all workers
/// for dead, so silence counts only where this process has kept house without a pause for long enough that whoever is
/// alive has been heard.
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
    }

    /// One round; for a process to call about once a second.
    package mutating func keep() async throws(DatabaseError) {
        let begun = ContinuousClock.now
        if let last, begun - last <= pause {} else { since = nil }
        let (since, hearing, pause) = (since, hearing, pause)
        try await queue.maintain(silenceSeconds: silenceSeconds) {
            guard let since else { return false }
            // Asked when the order goes out, which may be after some time of reconnecting.
            let now = ContinuousClock.now
            return now - begun <= pause && now - since >= hearing
        }
        // A round that began in an outage may have ended in it, too, but for its last moment.
        let ended = ContinuousClock.now
        if since == nil || ended - begun > pause { self.since = ended }
        last = ended
    }
}
