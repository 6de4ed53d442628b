/// What came of one case.
package struct ParityLine: Sendable, CustomStringConvertible {
    package enum Outcome: String, Sendable {
        case passed = "ok"
        case failed = "FAIL"
        /// A file that the case needs is not there.
        case skipped = "skip"
    }

    package let outcome: Outcome
    /// What was run: a file or a part of one, with the checkpoint where there is one.
    package let name: String
    /// What was compared and how it came out.
    package let detail: String

    package init(_ outcome: Outcome, _ name: String, _ detail: String) {
        self.outcome = outcome
        self.name = name
        self.detail = detail
    }

    package var description: String {
        let padding = String(repeating: " ", count: max(0, 4 - outcome.rawValue.count))
        return "\(outcome.rawValue)\(padding)  \(name): \(detail)"
    }
}

/// Gathers what differs within one case.
struct Comparison {
    private(set) var compared = 0
    private(set) var problems: [String] = []

    /// Counts one comparison, and keeps `problem` where it does not hold.
    mutating func expect(_ holds: Bool, _ problem: @autoclosure () -> String) {
        compared += 1
        if !holds { problems.append(problem()) }
    }

    /// One line: `summary` where all held, else the first problems.
    func line(_ name: String, _ summary: String) -> ParityLine {
        guard let first = problems.first else { return ParityLine(.passed, name, summary) }
        let more = problems.count > 1 ? " (and \(problems.count - 1) more of \(compared) comparisons)" : ""
        return ParityLine(.failed, name, first + more)
    }
}
