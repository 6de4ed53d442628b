/// For how long a run has not gone on for a reason that may end by itself: a mount that is away, a machine that is unwell.
///
/// A decision without a queue: a run waits for some minutes, as a service waits for ever, and then ends with what there is.
package struct Standstill: Sendable {
    package enum Step: Sendable, Equatable {
        case goOn
        /// Say why, once for each reason.
        case tell(reason: String)
        case end(reason: String)
    }

    package static let patience = Duration.seconds(180)
    /// So long without a reason means that pages are in hand; a file that is tried again is in hand for a moment.
    private static let moment = Duration.seconds(30)

    /// When a reason was first met since the last page was settled.
    private var since: ContinuousClock.Instant?
    /// When a reason was met last.
    private var last: ContinuousClock.Instant?
    private var settled = 0
    private var told: String?

    package init() {}

    /// Notes what keeps all pages that are left from being read, nil where nothing does at the moment, as while a file is
    /// tried again; and how many pages are settled.
    package mutating func note(_ reason: String?, settled: Int, now: ContinuousClock.Instant) -> Step {
        if settled != self.settled { (self.settled, since) = (settled, nil) }
        guard let reason else { return .goOn }
        if let last, now - last > Self.moment { since = nil }
        last = now
        let begun = since ?? now
        since = begun
        if now - begun >= Self.patience { return .end(reason: reason) }
        guard told != reason else { return .goOn }
        told = reason
        return .tell(reason: reason)
    }
}
