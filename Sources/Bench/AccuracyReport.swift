import Inference
import Parity
import TextDistance

/// Prints tables of tallies, and notes their figures.
struct AccuracyReport {
    /// How many points a character error rate may differ from that in f32.
    static let tolerance = 0.2

    private(set) var log: FigureLog

    init(log: FigureLog) { self.log = log }

    /// Adds one set's tallies, that of f32 first.
    mutating func add(_ set: AccuracyPages, _ tallies: [(precision: Precision, tally: AccuracyTally)]) throws {
        guard let exact = tallies.first?.tally else { return }
        print(
            "\n\(set.name): \(exact.pages) pages, \(exact.tokens) tokens, largest score \(fixed(exact.largestScore, 2))"
        )
        let heading = [
            "", "largest error", "rms error", "choices equal", "margin lost", "tokens equal", "pages equal",
            "error rate",
            "points from f32 (± standard error)",
        ]
        let hasText = exact.text.characters > 0
        let rows = tallies.map { precision, tally in
            [
                precision.rawValue, both(tally.largestError, tally.relativeLargestError),
                both(tally.meanError, tally.relativeMeanError), percent(tally.choiceAgreement),
                fixed(tally.widestLostMargin, 3), percent(tally.tokenAgreement), "\(tally.equalPages)/\(tally.pages)",
            ]
                + (hasText
                    ? [
                        percent(tally.text.rate ?? 0),
                        "\(fixed(tally.pointsFromExact, 2)) ± \(fixed(tally.standardError, 2))",
                    ] : [])
        }
        print(TextTable(heading: hasText ? heading : Array(heading.dropLast(2)), rows: rows).text)
        for (precision, tally) in tallies { try note(set, precision, tally) }
    }

    private mutating func note(_ set: AccuracyPages, _ precision: Precision, _ tally: AccuracyTally) throws {
        let what = "\(set.name), \(precision.rawValue): "
        if precision != .float32 {
            try log.add(what + "largest error of a score", tally.largestError, "")
            try log.add(what + "largest error of a score", 100 * tally.relativeLargestError, "% of the largest score")
            try log.add(what + "rms error of scores", tally.meanError, "")
            try log.add(what + "rms error of scores", 100 * tally.relativeMeanError, "% of the largest score")
            try log.add(what + "equal choices after equal tokens", 100 * tally.choiceAgreement, "%")
        }
        try log.add(what + "equal tokens, each writing by itself", 100 * tally.tokenAgreement, "%")
        guard let rate = tally.text.rate else { return }
        try log.add(what + "character error rate", 100 * rate, "%")
        guard precision != .float32 else { return }
        try log.add(
            what + "character error rate, distance from f32", abs(tally.pointsFromExact), "points",
            goal: .atMost(Self.tolerance))
        try log.add(what + "standard error of that distance", tally.standardError, "points")
    }

    private func both(_ error: Double, _ relative: Double) -> String {
        "\(fixed(error, 4)) (\(fixed(100 * relative, 3)) %)"
    }

    private func percent(_ part: Double) -> String { fixed(100 * part, 2) + " %" }

    private func fixed(_ value: Double, _ digits: Int) -> String { SpeedReport.fixed(value, digits) }
}
