internal import Shared
internal import TextDistance

/// Character error rates, for people.
package struct TruthSummary: Sendable {
    package let rows: [TruthComparison.Row]

    package init(_ rows: [TruthComparison.Row]) { self.rows = rows }

    /// A table with a line for each document and one for all; empty where no document has a truth.
    package var lines: [String] {
        guard !rows.isEmpty else { return [] }
        var table = TextTable([("DOCUMENT", .left), ("CHARACTERS", .right), ("EDITS", .right), ("ERROR RATE", .right)])
        func add(_ name: String, _ result: CharacterErrorRate) {
            let rate = result.rate.map { NumberText.percent($0) } ?? "-"
            table.add([name, String(result.characters), String(result.edits), rate])
        }
        for row in rows { add(row.path.displayText, row.result) }
        if rows.count > 1 { add("all", TruthComparison.overall(rows)) }
        return table.lines
    }
}
