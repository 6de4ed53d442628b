package import Shared
package import SystemPackage

/// What a run came to, in lines.
package struct RunSummary: Sendable {
    /// The batch at the end.
    package let status: BatchStatus
    package let export: ExportReport
    package let output: FilePath
    /// Pages settled by this run, and the seconds for which its workers ran.
    package let recognised: (pages: Int, seconds: Double)
    package let truths: [TruthComparison.Row]

    /// So many problems are written out; batch.json has all of them.
    private static let mostNamed = 50

    package init(
        status: BatchStatus, export: ExportReport, output: FilePath, recognised: (pages: Int, seconds: Double),
        truths: [TruthComparison.Row]
    ) {
        self.status = status
        self.export = export
        self.output = output
        self.recognised = recognised
        self.truths = truths
    }

    /// `partial` where a file or a page could not be read or written.
    package var exitStatus: ExitStatus {
        export.unreadable.isEmpty && export.pageProblems.isEmpty && export.blocked.isEmpty ? .success : .partial
    }

    package var lines: [String] {
        errorRates + problems + totals
    }

    private var totals: [String] {
        let pages = status.pages
        let parts = [
            "\(pages.done) done", pages.blank > 0 ? "\(pages.blank) blank" : nil,
            pages.failed > 0 ? "\(pages.failed) failed" : nil,
            pages.quarantined > 0 ? "\(pages.quarantined) quarantined" : nil,
            pages.pending > 0 ? "\(pages.pending) not yet recognised" : nil,
        ].compactMap(\.self)
        var files = [Amount.documents(status.documents.total)]
        if !export.unreadable.isEmpty { files.append("\(Amount.files(export.unreadable.count)) not readable") }
        if !export.ignored.isEmpty { files.append("\(export.ignored.count) of other kinds") }
        return [
            "Batch      \(status.name): \(files.joined(separator: ", "))",
            "Pages      \(pages.total): \(parts.joined(separator: ", "))",
            "This run   \(pace)",
            "Results    \(output.displayText)",
        ]
    }

    private var pace: String {
        guard recognised.pages > 0 else { return "nothing was left to recognise" }
        let perMinute = 60 * Double(recognised.pages) / max(recognised.seconds, 0.001)
        return "\(Amount.pages(recognised.pages)) in \(Amount.decimal(recognised.seconds)) s, "
            + "\(Amount.decimal(perMinute)) pages a minute"
    }

    /// One line a document, and one for all.
    private var errorRates: [String] {
        guard !truths.isEmpty else { return [] }
        let names = truths.map(\.path.displayText) + ["all together"]
        let results = truths.map(\.result) + [TruthComparison.overall(truths)]
        let width = names.map(\.count).max() ?? 0
        let rows = zip(names, results).map { name, result in
            let rate = result.rate.map { "\(Amount.decimal(100 * $0)) %" } ?? "-"
            return "  " + name + String(repeating: " ", count: width - name.count + 2)
                + String(repeating: " ", count: max(0, 7 - rate.count)) + rate + "  of \(result.characters) characters"
        }
        return ["Character error rate against the truth beside the documents:"] + rows + [""]
    }

    private var problems: [String] {
        var lines: [String] = []
        for (what, files) in [("Files that cannot be read", export.unreadable), ("Not exported", export.blocked)]
        where !files.isEmpty {
            lines += ["\(what):"] + Self.shortened(files.map { "  \($0.path.displayText): \($0.reason)" }) + [""]
        }
        if !export.pageProblems.isEmpty {
            let pages = export.pageProblems.map { "  \($0.path.displayText), page \($0.page): \($0.reason)" }
            lines += ["Pages that could not be recognised:"] + Self.shortened(pages)
            lines += ["  To try them again: quire retry \(status.name), then the same quire run", ""]
        }
        return lines
    }

    private static func shortened(_ lines: [String]) -> [String] {
        guard lines.count > mostNamed else { return lines }
        return lines.prefix(mostNamed) + ["  and \(lines.count - mostNamed) more, see batch.json in the results"]
    }
}
