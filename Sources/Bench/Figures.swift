import Glibc

/// A measured figure, and what it should be.
struct Figure {
    /// What a figure should be.
    enum Goal {
        case atLeast(Double)
        case atMost(Double)

        var value: Double {
            switch self {
            case .atLeast(let value), .atMost(let value): value
            }
        }

        func isMet(by figure: Double) -> Bool {
            switch self {
            case .atLeast(let value): figure >= value
            case .atMost(let value): figure <= value
            }
        }
    }

    let what: String
    let value: Double
    let unit: String
    var goal: Goal?

    /// Whether it is what it should be, or nothing was asked of it.
    var isMet: Bool { goal?.isMet(by: value) ?? true }

    /// One line of JSON: what, figure, unit, goal, met; the last two are null where there is no goal.
    var json: String {
        let fields = [
            "\"what\": \(Self.quoted(what))", "\"figure\": \(Self.number(value))", "\"unit\": \(Self.quoted(unit))",
            "\"goal\": \(goal.map { Self.number($0.value) } ?? "null")",
            "\"met\": \(goal.map { "\($0.isMet(by: value))" } ?? "null")",
        ]
        return "{\(fields.joined(separator: ", "))}"
    }

    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        return SpeedReport.fixed(value, abs(value) < 10 ? 4 : 2)
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

/// Figures that are printed and written to a file as they come, so that a run that breaks off leaves what it had.
struct FigureLog {
    private(set) var figures: [Figure] = []
    private let path: String?

    /// A log that also writes to a file, which it empties unless it appends.
    ///
    /// - Throws: `BenchError.unwritable`.
    init(path: String?, isAppending: Bool = false) throws {
        self.path = path
        if let path, !isAppending { try Self.write("", to: path, mode: "w") }
    }

    mutating func add(_ what: String, _ value: Double, _ unit: String, goal: Figure.Goal? = nil) throws {
        let figure = Figure(what: what, value: value, unit: unit, goal: goal)
        figures.append(figure)
        if let path { try Self.write(figure.json + "\n", to: path, mode: "a") }
    }

    /// All figures with a goal, as a table.
    var goals: String {
        let lines = figures.compactMap { figure in
            figure.goal.map { goal in
                let isLeast = if case .atLeast = goal { true } else { false }
                return [
                    figure.what, SpeedReport.fixed(figure.value, 2) + " " + figure.unit,
                    (isLeast ? ">= " : "<= ") + SpeedReport.fixed(goal.value, 2),
                    goal.isMet(by: figure.value) ? "met" : "NOT MET",
                ]
            }
        }
        return TextTable(heading: ["goal", "figure", "wanted", ""], rows: lines).text
    }

    /// Writes text to a file, or appends it.
    static func write(_ text: String, to path: String, mode: String) throws {
        guard let file = fopen(path, mode) else {
            throw BenchError.unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        let isWritten = fputs(text, file) >= 0
        guard fclose(file) == 0, isWritten else {
            throw BenchError.unwritable(path: path, reason: String(cString: strerror(errno)))
        }
    }
}

/// Columns of text; the first stands left, the others right.
struct TextTable {
    let heading: [String]
    let rows: [[String]]

    var text: String {
        let all = [heading] + rows
        let widths = heading.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: max(0, widths[column] - text.count))
                return column == 0 ? text + space : space + text
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
