import Coordinator
import Shared
import SystemPackage
import Testing
import TextDistance

@Suite struct `Summaries` {
    private static let pipeline = Pipeline(
        modelDigest: "ab", mode: "tiny", prompt: "<image>\nFree OCR.", maxNewTokens: 64)

    private static let batch = Batch(
        id: 3, name: "letters", state: .open, priority: 0, pipeline: pipeline,
        source: SourceLocation(root: "local", path: "archive/letters"))

    private static func status(done: Int, failed: Int) -> BatchStatus {
        var pages = BatchStatus.Pages()
        (pages.total, pages.done, pages.failed) = (done + failed, done, failed)
        return BatchStatus(
            id: 3, name: "letters", state: .open, priority: 0, pipeline: pipeline, documents: BatchStatus.Documents(),
            pages: pages, pagesPerMinute: nil, secondsLeft: 0)
    }

    @Test func `a submission counts what is new and names what cannot be read`() {
        var counts = SubmitCounts()
        counts.added = 5
        counts.changed = 1
        counts.unchanged = 2
        counts.unreadable = 1
        counts.ignored = 1
        counts.pagesQueued = 12
        counts.pagesAlreadyRecorded = 3
        let summary = SubmissionSummary(
            batch: Self.batch, counts: counts, unreadable: [("a.pdf", "The file is empty.")],
            ignored: [("notes.txt", "This is no PDF.")])
        #expect(
            summary.lines == [
                "Batch letters, number 3:",
                "  4 documents new or changed: 12 pages to recognise, 3 recognised before, 1 changed",
                "  2 documents unchanged",
                "  1 file cannot be read:",
                "    a.pdf: The file is empty.",
                "  1 file of other kinds:",
                "    notes.txt: This is no PDF.",
            ])
    }

    @Test func `a long list is cut off, and says by how much`() {
        let files = (1...25).map { (path: "\($0).pdf", reason: "It is empty.") }
        let lines = SubmissionSummary(batch: Self.batch, counts: SubmitCounts(), unreadable: files, ignored: []).lines
        #expect(lines.count == 2 + 1 + 20 + 1)
        #expect(lines.last == "    and 5 more; `quire export` lists them all in batch.json")
    }

    @Test func `a run without problems succeeds`() {
        var export = ExportReport()
        export.written = 1
        let summary = RunSummary(
            status: Self.status(done: 30, failed: 0), export: export, output: "out", recognised: (30, 60), truths: [])
        #expect(summary.exitStatus == .success)
        #expect(summary.lines.contains("Batch letters: 30 pages recognised in 1 min, 30.0 pages a minute"))
        #expect(summary.lines.last == "Results: out")
    }

    @Test func `a second run has nothing to recognise`() {
        let summary = RunSummary(
            status: Self.status(done: 30, failed: 0), export: ExportReport(), output: "out", recognised: (0, 0),
            truths: [])
        #expect(summary.lines.contains("Batch letters: nothing was left to recognise"))
    }

    @Test func `stranded pages make a run partial, and it says what to do`() {
        var status = Self.status(done: 1, failed: 0)
        status.pages.stranded = 3
        let summary = RunSummary(
            status: status, export: ExportReport(), output: "out", recognised: (1, 4), truths: [])
        #expect(summary.exitStatus == .partial)
        #expect(
            summary.lines.contains {
                $0.hasPrefix("No file is left from which 3 pages can be read; quire status letters")
            })
    }

    @Test func `failed pages and unreadable files make a run partial`() {
        var failed = ExportReport()
        failed.pageProblems = [ExportReport.PageProblem(path: "a.pdf", page: 7, reason: "It is torn.")]
        let summary = RunSummary(
            status: Self.status(done: 1, failed: 1), export: failed, output: "out", recognised: (2, 4), truths: [])
        #expect(summary.exitStatus == .partial)
        #expect(summary.lines.contains("  a.pdf, page 7: It is torn."))
        #expect(summary.lines.contains { $0.contains("quire retry letters") })

        var unreadable = ExportReport()
        unreadable.unreadable = [ExportReport.FileProblem(path: "b.pdf", reason: "It is empty.")]
        let other = RunSummary(
            status: Self.status(done: 2, failed: 0), export: unreadable, output: "out", recognised: (2, 4), truths: [])
        #expect(other.exitStatus == .partial)
    }

    @Test func `notes alone make a run partial, and the summary says why`() {
        var export = ExportReport()
        export.written = 1
        export.noted.add("attachments", pages: 0, first: nil, of: "a.pdf")
        export.noted.add("glyphs-missing", pages: 1, first: 7, of: "b.pdf")
        let summary = RunSummary(
            status: Self.status(done: 30, failed: 0), export: export, output: "out", recognised: (30, 60), truths: [])
        #expect(summary.exitStatus == .partial)
        #expect(summary.lines.contains("  1 page: characters have no glyph (such as b.pdf:7)"))
        #expect(summary.lines.contains("  1 document: attached files are not read (such as a.pdf)"))
        #expect(summary.lines.contains { $0.hasPrefix("All was read; the exit code is 1 for what was noted.") })

        export.pageProblems = [ExportReport.PageProblem(path: "a.pdf", page: 7, reason: "It is torn.")]
        let both = RunSummary(
            status: Self.status(done: 1, failed: 1), export: export, output: "out", recognised: (2, 4), truths: [])
        #expect(both.exitStatus == .partial)
        #expect(!both.lines.contains { $0.hasPrefix("All was read") })
    }

    @Test func `error rates are shown for each document and for all`() {
        let rows = [
            TruthComparison.Row(path: "a.pdf", result: CharacterErrorRate(edits: 5, characters: 100)),
            TruthComparison.Row(path: "b.pdf", result: CharacterErrorRate(edits: 15, characters: 100)),
        ]
        let lines = RunSummary(
            status: Self.status(done: 2, failed: 0), export: ExportReport(), output: "out", recognised: (2, 4),
            truths: rows
        ).lines
        #expect(lines.contains { $0.hasPrefix("a.pdf") && $0.hasSuffix("5.00 %") })
        #expect(lines.contains { $0.hasPrefix("all") && $0.hasSuffix("10.00 %") })
    }
}
