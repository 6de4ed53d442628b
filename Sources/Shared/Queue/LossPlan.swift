/// What becomes of a job whose worker was lost: a decision without a database.
///
/// The range is tried whole once more, then in halves, so that the page that kills workers ends up alone. A page alone is
/// given up at its last permitted loss, but only if it was all that the worker held: else it may have been another one.
enum LossPlan: Sendable, Hashable {
    /// Jobs to make of the range, with the losses that count against each; they wait `delay` seconds before jitter.
    case requeue([ClosedRange<Int>], losses: Int, delay: Double)
    case quarantine(page: Int)

    /// `losses` counts workers lost before this one; `isAlone`: the worker held nothing else.
    init(pages: ClosedRange<Int>, losses: Int, isAlone: Bool, maxLosses: Int, retrySeconds: Double) {
        if pages.count == 1 {
            let isLast = losses + 1 >= maxLosses
            if isLast && isAlone {
                self = .quarantine(page: pages.lowerBound)
                return
            }
            let delay = losses == 0 ? 0 : RecordPlan.delay(attempt: losses, retrySeconds: retrySeconds)
            // One that may be given up next has at least one loss: it is then claimed to be read alone.
            self = .requeue([pages], losses: isLast ? max(losses, 1) : losses + 1, delay: delay)
        } else if losses == 0 {
            self = .requeue([pages], losses: 1, delay: 0)
        } else {
            let middle = pages.lowerBound + pages.count / 2
            self = .requeue(
                [pages.lowerBound...middle - 1, middle...pages.upperBound], losses: 1, delay: retrySeconds)
        }
    }
}
