internal import Shared

/// What an export did, for people.
package struct ExportSummary: Sendable {
    package let report: ExportReport
    /// Problems that are listed one by one; the rest are in `batch.json` and the manifests.
    package let limit: Int

    package init(_ report: ExportReport, limit: Int = 20) {
        self.report = report
        self.limit = limit
    }

    package var lines: [String] {
        let documents = report.written + report.unchanged + report.blocked.count
        var lines = [
            Self.line(
                NumberText.count(documents, "document"),
                [
                    (report.written, "written"), (report.unchanged, "unchanged"), (report.blocked.count, "left out"),
                ]),
            Self.line(
                NumberText.count(report.pages.total, "page"),
                [
                    (report.pages.done, "done"), (report.pages.blank, "blank"), (report.pages.failed, "failed"),
                    (report.pages.quarantined, "quarantined"), (report.pages.stranded, "without a file"),
                    (report.pages.pending, "not recognised yet"),
                    (report.pages.cutOff, "cut off by the token limit"), (report.pages.noted, "noted"),
                ]),
        ]
        lines += list(report.blocked, title: "Left out", inFile: "batch.json")
        lines += list(report.unreadable, title: "Files that cannot be read", inFile: "batch.json")
        if !report.gone.isEmpty {
            lines.append("\(NumberText.count(report.gone.count, "file")) no longer in the folder; see batch.json.")
        }
        if report.removed > 0 {
            lines.append("\(NumberText.count(report.removed, "folder")) of documents that left the batch removed.")
        }
        lines += list(
            report.left, title: "Documents that left the batch; their folders are kept, as somebody changed them",
            inFile: "batch.json")
        let pages = report.pageProblems.shown.prefix(limit).map {
            "  \($0.path.displayText), page \($0.page): \(OneLine.text($0.reason))"
        }
        if !pages.isEmpty { lines += ["Pages that failed"] + pages }
        lines += more(report.pageProblems.count, inFile: "the documents' manifest.json")
        if !report.noted.isEmpty {
            lines.append("Noted on what is done")
            lines += report.noted.sorted.map { code, entry in
                let page = entry.page.map { ":\($0)" } ?? ""
                return "  "
                    + NoteText.line(
                        code, pages: entry.pages, documents: entry.documents,
                        example: entry.path.displayText + page)
            }
        }
        if !report.ignored.isEmpty {
            lines.append(
                "\(NumberText.count(report.ignored.count, "file")) of other kinds passed over; see batch.json.")
        }
        return lines
    }

    private func list(_ problems: ProblemList<ExportReport.FileProblem>, title: String, inFile file: String) -> [String]
    {
        guard !problems.isEmpty else { return [] }
        let shown = problems.shown.prefix(limit).map { "  \($0.path.displayText): \(OneLine.text($0.reason))" }
        return [title] + shown + more(problems.count, inFile: file)
    }

    private func more(_ count: Int, inFile file: String) -> [String] {
        count > limit ? ["  and \(count - limit) more, listed in \(file)"] : []
    }

    private static func line(_ total: String, _ parts: [(Int, String)]) -> String {
        let named = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return named.isEmpty ? total : "\(total): " + named.joined(separator: ", ")
    }
}
