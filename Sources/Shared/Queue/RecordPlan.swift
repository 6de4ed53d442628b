/// What to do with the pages that a worker hands over: a decision without a database.
struct RecordPlan: Sendable {
    /// A page that waits for another attempt.
    struct Postponed: Sendable, Hashable {
        var page: Int
        var seconds: Double
    }

    /// Results to store.
    var stored: [PageOutcome] = []
    var postponed: [Postponed] = []
    /// The reason of the last failure, if there was one.
    var lastError: String?

    /// `jitter` draws a factor from 0.5 to 1.5.
    init(
        outcomes: [PageOutcome], attempt: Int, maxAttempts: Int, retrySeconds: Double, jitter: () -> Double
    ) {
        for outcome in outcomes {
            if case .failed(let reason, let isPermanent) = outcome.result {
                lastError = "Page \(outcome.page): \(reason)"
                if !isPermanent, attempt < maxAttempts {
                    let seconds = Self.delay(attempt: attempt, retrySeconds: retrySeconds) * jitter()
                    postponed.append(Postponed(page: outcome.page, seconds: seconds))
                    continue
                }
            }
            stored.append(outcome)
        }
    }

    /// Seconds to wait after the `attempt`-th failure, before jitter.
    static func delay(attempt: Int, retrySeconds: Double) -> Double {
        var delay = retrySeconds
        for _ in 1..<max(attempt, 1) where delay < 3600 { delay *= 4 }
        return min(delay, 3600)
    }

    /// The one range that these pages make up; nil if they leave a gap or name a page twice.
    static func handedRange(outcomes: [PageOutcome], alreadyRecorded: Set<Int>) -> ClosedRange<Int>? {
        let pages = (outcomes.map(\.page) + alreadyRecorded).sorted()
        guard let first = pages.first, let last = pages.last, last - first + 1 == pages.count,
            zip(pages, pages.dropFirst()).allSatisfy({ $0 + 1 == $1 })
        else { return nil }
        return first...last
    }
}
