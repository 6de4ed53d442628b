import Mutations
import Rendering

/// What a mutation run came to.
struct MutationReport {
    private struct Counts {
        var files = 0, refused = 0, pages = 0, done = 0, blank = 0, failed = 0, noted = 0, died = 0, late = 0
        var longest = 0.0
    }

    private var counts: [String: Counts] = [:]
    /// Complaint of another tool: the mutations that Quire passed over in silence.
    private var silences: [String: [String]] = [:]
    private var disorder: [String] = []
    private var deaths: [String] = []

    /// Whether nothing was found that may not be.
    var isClean: Bool {
        disorder.isEmpty && silences.keys.allSatisfy { AcceptedComplaint.reason(for: $0) != nil }
    }

    mutating func add(_ trial: MutationTrial, _ mutation: Mutation, of name: String, complaints: [String]) {
        let kind = name.split(separator: ".").last.map { $0 == "tiff" ? "tif" : String($0) } ?? ""
        var own = counts[kind, default: Counts()]
        own.files += 1
        if trial.refusal != nil { own.refused += 1 }
        own.pages += trial.pages.count
        for page in trial.pages {
            let isInDoubt = page.error == nil && !page.hasInk && page.notes.contains(where: \.leavesDoubt)
            if page.error != nil || isInDoubt {
                own.failed += 1
            } else if page.hasInk {
                own.done += 1
            } else {
                own.blank += 1
            }
            if page.error == nil, !page.notes.isEmpty { own.noted += 1 }
        }
        own.died += trial.errors.count { $0.kind == .crashed }
        own.late += trial.errors.count { $0.kind == .timedOut }
        own.longest = max(own.longest, trial.seconds)
        counts[kind] = own
        let what = "\(mutation) of \(name.split(separator: "/").last ?? "")"
        for complaint in complaints { silences[complaint, default: []].append(what) }
        if !trial.isOrderly {
            disorder.append(
                what + ": " + trial.errors.map { "\($0.kind.rawValue): \($0.message)" }.joined(separator: "; "))
        }
        for error in trial.errors where error.kind == .crashed || error.kind == .timedOut {
            deaths.append("\(what): \(error.message.prefix(120))")
        }
    }

    var text: String {
        let rows = counts.sorted { $0.key < $1.key }.map { kind, own in
            [
                kind, "\(own.files)", "\(own.refused)", "\(own.pages)", "\(own.done)", "\(own.blank)", "\(own.failed)",
                "\(own.noted)", "\(own.died)", "\(own.late)", SpeedReport.fixed(own.longest, 1),
            ]
        }
        let heading = [
            "", "files", "refused", "pages", "done", "blank", "failed", "noted", "died", "late", "longest s",
        ]
        let sorted = silences.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        func list(_ title: String, _ lines: [String]) -> [String] { lines.isEmpty ? [] : ["\n" + title] + lines }
        let accepted = sorted.compactMap { complaint, files in
            AcceptedComplaint.reason(for: complaint).map { "  \(files.count) x \(complaint)\n      (\($0))" }
        }
        let others = sorted.filter { AcceptedComplaint.reason(for: $0.key) == nil }.map { complaint, files in
            "  \(files.count) x \(complaint)\n      \(files.prefix(6).joined(separator: ", "))"
        }
        return
            ([TextTable(heading: heading, rows: rows).text]
            + list("Processes that died or were stopped for their time; each cost its page:", deaths.map { "  " + $0 })
            + list("Complaints of other tools about pages without a note, accepted:", accepted)
            + list("Complaints of other tools about pages without a note:", others)
            + list("Against the agreement between the programs:", disorder.map { "  " + $0 })
            + [isClean ? "\nNothing is passed over in silence." : "\nNOT MET: see above."]).joined(separator: "\n")
    }
}
