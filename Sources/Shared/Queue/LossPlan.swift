/// What becomes of a job whose worker was lost: a decision without a database.
///
/// The range is tried whole once more, then in halves, so that the page that kills workers ends up alone; a page alone is
/// given up at its last permitted loss.
enum LossPlan: Sendable, Hashable {
    /// Jobs to make of the range, with the losses that count against each; they wait `delay` seconds before jitter.
    case requeue([ClosedRange<Int>], losses: Int, delay: Double)
    case quarantine(page: Int)

    /// `losses` counts workers lost before this one.
    init(pages: ClosedRange<Int>, losses: Int, maxLosses: Int, retrySeconds: Double) {
        if pages.count == 1 {
            guard losses + 1 < maxLosses else {
                self = .quarantine(page: pages.lowerBound)
                return
            }
            let delay = losses == 0 ? 0 : RecordPlan.delay(attempt: losses, retrySeconds: retrySeconds)
            self = .requeue([pages], losses: losses + 1, delay: delay)
        } else if losses == 0 {
            self = .requeue([pages], losses: 1, delay: 0)
        } else {
            let middle = pages.lowerBound + pages.count / 2
            self = .requeue(
                [pages.lowerBound...middle - 1, middle...pages.upperBound], losses: 1, delay: retrySeconds)
        }
    }
}
