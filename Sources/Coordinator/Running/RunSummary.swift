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
    /// What the pages that are left wait for; nil where none is.
    package let standstill: String?

    package init(
        status: BatchStatus, export: ExportReport, output: FilePath, recognised: (pages: Int, seconds: Double),
        truths: [TruthComparison.Row], standstill: String? = nil
    ) {
        self.standstill = standstill
        self.status = status
        self.export = export
        self.output = output
        self.recognised = recognised
        self.truths = truths
    }

    /// `partial` where a file or a page could not be read or written, or anything was noted.
    package var exitStatus: ExitStatus { isWhole && export.noted.isEmpty ? .success : .partial }

    private var isWhole: Bool {
        export.unreadable.isEmpty && export.pageProblems.isEmpty && export.blocked.isEmpty && status.pages.stranded == 0
            && standstill == nil
    }

    package var lines: [String] {
        let truth = TruthSummary(truths).lines
        let retry =
            export.pageProblems.isEmpty
            ? [] : ["To try failed pages again: quire retry \(OneLine.text(status.name)), then the same quire run"]
        let stranded =
            status.pages.stranded == 0
            ? []
            : [
                "No file is left from which \(NumberText.count(status.pages.stranded, "page")) can be read; quire status "
                    + "\(OneLine.text(status.name)) says why. Bring the files back, then the same quire run"
            ]
        let left = standstill.map {
            ["\(NumberText.count(status.pages.pending, "page")) were not read: \($0) The same quire run goes on."]
        }
        return truth + (truth.isEmpty ? [] : [""]) + ExportSummary(export).lines + noted + retry + stranded
            + (left ?? []) + [
                "",
                "Batch \(OneLine.text(status.name)): \(pace)",
                "Results: \(output.displayText)",
            ]
    }

    /// Why the exit code is 1 where all was read.
    private var noted: [String] {
        guard isWhole, !export.noted.isEmpty else { return [] }
        return [
            "All was read; the exit code is 1 for what was noted. quire show DOCUMENT:PAGE tells more; pages.json and "
                + "manifest.json have all of it"
        ]
    }

    private var pace: String {
        guard recognised.pages > 0 else { return "nothing was left to recognise" }
        let perMinute = 60 * Double(recognised.pages) / max(recognised.seconds, 0.001)
        return "\(NumberText.count(recognised.pages, "page")) recognised in "
            + "\(DurationText.text(seconds: recognised.seconds)), \(NumberText.rate(perMinute)) pages a minute"
    }
}
