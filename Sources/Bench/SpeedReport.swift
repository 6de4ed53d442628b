import Inference

/// A measurement as a table or as comma-separated values.
struct SpeedReport {
    private let rows: [[String]]
    private let facts: [(name: String, value: String)]

    init(
        _ measurement: PageMeasurement, mode: ResolutionMode, threads: Int, pageTokens: Int, loadSeconds: Double,
        yardstick: Double
    ) {
        rows = measurement.parts.map { part in
            let rate = part.operations / part.seconds
            return [
                part.name, Self.fixed(part.seconds, 3), Self.fixed(part.operations / 1e9, 1), Self.fixed(rate / 1e9, 1),
                Self.fixed(100 * rate / yardstick, 1),
            ]
        }
        let decode = measurement.parts.last?.seconds ?? 0
        let page = measurement.pageSeconds(pageTokens: pageTokens)
        facts = [
            ("mode", mode.rawValue), ("threads", "\(threads)"), ("prompt tokens", "\(measurement.promptTokens)"),
            ("decoded tokens", "\(measurement.decodedTokens)"),
            ("tokens/s", Self.fixed(Double(measurement.decodedTokens) / decode, 2)),
            ("pages/hour of \(pageTokens) tokens", Self.fixed(3600 / page, 1)),
            ("sgemm GFLOP/s", Self.fixed(yardstick / 1e9, 1)), ("load s", Self.fixed(loadSeconds, 2)),
        ]
    }

    private static let heading = ["part", "seconds", "GFLOP", "GFLOP/s", "% of sgemm"]

    var table: String {
        let lines = ([Self.heading] + rows).map { row in
            row.enumerated().map { Self.padded($1, to: 11, left: $0 > 0) }.joined()
        }
        let width = facts.map(\.name.count).max() ?? 0
        return (lines + [""] + facts.map { Self.padded($0.name, to: width + 2, left: false) + $0.value })
            .joined(separator: "\n")
    }

    var csv: String {
        let lines = ([Self.heading] + rows) + [[]] + [["fact", "value"]] + facts.map { [$0.name, $0.value] }
        return lines.map { $0.joined(separator: ",") }.joined(separator: "\n")
    }

    private static func padded(_ text: String, to width: Int, left: Bool) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? space + text : text + space
    }

    /// A number with `digits` digits after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((abs(value) * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: max(0, digits - fraction.count))
        return "\(value < 0 ? "-" : "")\(scaled / scale)" + (digits > 0 ? ".\(zeros)\(fraction)" : "")
    }
}
