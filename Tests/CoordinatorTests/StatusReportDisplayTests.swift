import Coordinator
import Foundation
import Shared
import Testing

@Suite struct StatusReportDisplayTests {
    private func batch(_ change: (inout BatchStatus) -> Void = { _ in }) -> BatchStatus {
        var documents = BatchStatus.Documents()
        (documents.total, documents.complete, documents.pending) = (12, 9, 3)
        (documents.unreadable, documents.ignored) = (3, 1)
        var pages = BatchStatus.Pages()
        (pages.total, pages.done, pages.blank, pages.failed, pages.pending, pages.leased) = (40, 31, 1, 2, 6, 4)
        let pipeline = Pipeline(modelDigest: "0123456789abcdef", mode: "tiny", prompt: "", maxNewTokens: 1)
        var status = BatchStatus(
            id: 1, name: "archive", state: .open, priority: 0, pipeline: pipeline, documents: documents, pages: pages,
            pagesPerMinute: 12, secondsLeft: 30)
        change(&status)
        return status
    }

    private func worker(model: String = "0123456789abcdef", silent: Double = 3) -> WorkerStatus {
        WorkerStatus(
            id: 1, name: "w1", host: "here", pid: 7, device: "cpu (2 threads)", version: "1", modelDigest: model,
            secondsSinceSeen: silent, leasedPages: 4)
    }

    private func notes(_ batches: [BatchStatus], _ workers: [WorkerStatus]) -> [String] {
        StatusReport(batches: batches, workers: workers, problems: []).lines.filter { $0.contains("note:") }
    }

    @Test func `A report tells states, workers and problems`() {
        let problem = ProblemReport(batch: "archive", path: "a.pdf", page: 3, reason: "Bad\nimage.")
        let lines = StatusReport(batches: [batch()], workers: [worker()], problems: [problem]).lines
        #expect(
            lines == [
                "archive  (open, tiny)",
                "  documents  12: 9 complete, 3 pending; 3 unreadable, 1 ignored",
                "  pages      40: 31 done, 1 blank, 2 failed, 6 pending; 4 of the pending in work",
                "  progress   [####################....] 85 %  34 of 40 pages, 2 failed, 12.0 pages a minute, 30 s left",
                "",
                "WORKER  HOST  PID  DEVICE           MODEL            SEEN  PAGES IN WORK",
                "w1      here    7  cpu (2 threads)  0123456789ab  3 s ago              4",
                "",
                "Latest problems",
                "  archive: a.pdf, page 3: Bad image.",
            ])
    }

    @Test func `A batch that waits in vain says what to do`() {
        #expect(notes([batch()], [worker()]).isEmpty)
        #expect(notes([batch()], [])[0].contains("no worker runs"))
        #expect(
            notes([batch()], [worker(model: "other")])[0].contains("no worker has this batch's model (0123456789ab)"))
        #expect(notes([batch()], [worker(silent: 600)])[0].contains("are silent"))
        #expect(notes([batch { $0.state = .paused }], [worker()])[0].contains("quire resume archive"))
        #expect(notes([batch { $0.pages.pending = 0 }], []).isEmpty)
        #expect(notes([batch { $0.state = .cancelled }], []).isEmpty)
    }

    @Test func `Without batches the report says how to begin`() {
        #expect(StatusReport(batches: [], workers: [], problems: []).lines[0].contains("quire submit FOLDER"))
    }
}
