import Chaos
import Glibc
import SystemPackage

/// What a run has shown, as a table and as lines of JSON.
struct SoakFigures {
    private struct Figure {
        let what: String
        let value: Double
        let unit: String
        var atMost: Double?

        var isMet: Bool { atMost.map { value <= $0 } ?? true }

        var json: String {
            "{\"what\": \"\(what)\", \"figure\": \(SoakFigures.text(value)), \"unit\": \"\(unit)\", "
                + "\"goal\": \(atMost.map(SoakFigures.text) ?? "null"), "
                + "\"met\": \(atMost == nil ? "null" : "\(isMet)")}"
        }
    }

    private var figures: [Figure] = []

    var areMet: Bool { figures.allSatisfy(\.isMet) }

    mutating func add(_ report: Soak.Report) {
        figures += [
            Figure(what: "soak: pages recorded", value: Double(report.pages), unit: "pages"),
            Figure(what: "soak: time", value: report.seconds, unit: "s"),
            Figure(what: "soak: faults in the ledger", value: Double(report.ledgerFaults.count), unit: "", atMost: 0),
            Figure(what: "soak: late hand-overs refused", value: Double(report.refused), unit: ""),
            Figure(what: "soak: workers that ended early", value: Double(report.ended), unit: ""),
            Figure(
                what: "soak: workers that did not leave in order", value: Double(report.disorderly), unit: "", atMost: 0
            ),
        ]
        for kind in FaultKind.allCases {
            let records = report.faults.filter { $0.kind == kind }
            let lost = records.compactMap(\.secondsLost).sorted()
            guard let longest = lost.last else { continue }
            figures += [
                Figure(what: "soak: \(kind.rawValue): times", value: Double(records.count), unit: ""),
                Figure(
                    what: "soak: \(kind.rawValue): pages held", value: Double(records.reduce(0) { $0 + $1.pagesHeld }),
                    unit: "pages"),
                Figure(what: "soak: \(kind.rawValue): time lost, median", value: lost[lost.count / 2], unit: "s"),
                Figure(what: "soak: \(kind.rawValue): time lost, longest", value: longest, unit: "s"),
            ]
        }
    }

    mutating func add(_ poison: PoisonRun.Report) {
        figures += [
            Figure(
                what: "poison: workers killed by one page", value: Double(poison.crashes), unit: "",
                atMost: Double(poison.bound)),
            Figure(what: "poison: faults in the ledger", value: Double(poison.ledgerFaults.count), unit: "", atMost: 0),
        ]
    }

    mutating func add(_ report: EverydaySoak.Report) {
        figures += [
            Figure(what: "everyday: pages done", value: Double(report.pages), unit: "pages"),
            Figure(what: "everyday: documents at the end", value: Double(report.documents), unit: ""),
            Figure(what: "everyday: time", value: report.seconds, unit: "s"),
            Figure(
                what: "everyday: files renamed, copied, rewritten, removed", value: Double(report.changes), unit: ""),
            Figure(what: "everyday: submissions meanwhile", value: Double(report.submissions), unit: ""),
            Figure(what: "everyday: faults found at the end", value: Double(report.faults.count), unit: "", atMost: 0),
            Figure(
                what: "everyday: oldest lease while the database was there", value: report.oldestLease, unit: "s",
                atMost: 120),
            Figure(
                what: "everyday: workers that did not leave in order", value: Double(report.disorderly), unit: "",
                atMost: 0),
        ]
        for cost in report.costs {
            figures.append(
                Figure(
                    what: "everyday: \(cost.name): \(cost.pagesHeld) pages in hand, all recorded after its end",
                    value: cost.secondsAfterEnd ?? 0, unit: "s", atMost: 120))
        }
    }

    var table: String {
        let width = figures.map(\.what.count).max() ?? 0
        return figures.map { figure in
            figure.what + String(repeating: " ", count: width + 2 - figure.what.count) + Self.text(figure.value)
                + (figure.unit.isEmpty ? "" : " \(figure.unit)")
                + (figure.atMost.map { " (at most \(Self.text($0)): \(figure.isMet ? "met" : "NOT MET"))" } ?? "")
        }.joined(separator: "\n")
    }

    func append(to path: String) throws {
        let file = try FileDescriptor.open(
            FilePath(path), .writeOnly, options: [.create, .append],
            permissions: [.ownerReadWrite, .groupRead, .otherRead])
        try file.closeAfter { _ = try file.writeAll(figures.map { $0.json + "\n" }.joined().utf8) }
    }

    private static func text(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        guard hundredths % 100 != 0 else { return "\(hundredths / 100)" }
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
