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
    /// All pages handed over but the postponed ones.
    var settled: [Int] = []
    /// The reason of the last failure, if there was one.
    var lastError: String?
    /// The worker still holds these.
    var remaining: ClosedRange<Int>?

    /// `pages` is what the job still covers and `handed` its beginning; `jitter` draws a factor from 0.5 to 1.5.
    init(
        outcomes: [PageOutcome], handed: ClosedRange<Int>, pages: ClosedRange<Int>, attempt: Int, maxAttempts: Int,
        retrySeconds: Double, jitter: () -> Double
    ) {
        var handedPages = Set(handed)
        for outcome in outcomes {
            if case .failed(let reason, let isPermanent) = outcome.result {
                lastError = "Page \(outcome.page): \(reason)"
                if !isPermanent, attempt < maxAttempts {
                    let seconds = Self.delay(attempt: attempt, retrySeconds: retrySeconds) * jitter()
                    postponed.append(Postponed(page: outcome.page, seconds: seconds))
                    handedPages.remove(outcome.page)
                    continue
                }
            }
            stored.append(outcome)
        }
        settled = handedPages.sorted()
        remaining = handed.upperBound < pages.upperBound ? handed.upperBound + 1...pages.upperBound : nil
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
