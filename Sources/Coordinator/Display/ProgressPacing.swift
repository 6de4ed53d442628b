/// Decides when a log, which keeps every line, gets the next one.
package struct ProgressPacing: Sendable {
    /// The least time between two lines.
    package let interval: Duration
    private var lastText: String?
    private var lastTime: ContinuousClock.Instant?

    package init(interval: Duration) { self.interval = interval }

    /// Whether `text` is to be written now: it is new, and the last line is old enough.
    package mutating func admits(_ text: String, at now: ContinuousClock.Instant) -> Bool {
        if text == lastText { return false }
        if let lastTime, now - lastTime < interval { return false }
        (lastText, lastTime) = (text, now)
        return true
    }
}
