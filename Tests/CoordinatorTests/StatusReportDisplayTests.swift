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

    private func worker(
        model: String = "0123456789abcdef", silent: Double = 3,
        version: String = QuireVersion.engine, isDraining: Bool = false, roots: [String]? = nil,
        precision: String = "bf16", unwell: String? = nil, leasedPages: Int = 0
    ) -> WorkerStatus {
        WorkerStatus(
            id: 1, name: "w1", host: "here", pid: 7, device: "cpu (2 threads)", version: version, modelDigest: model,
            secondsSinceSeen: silent, leasedPages: leasedPages, isDraining: isDraining, roots: roots,
            engineVersion: version,
            precision: precision, unwell: unwell, unwellSince: unwell.map { _ in "2026-01-02T03:04:05.000Z" })
    }

    private func notes(_ batches: [BatchStatus], _ workers: [WorkerStatus], waits: [BatchWait] = []) -> [String] {
        StatusReport(batches: batches, workers: workers, problems: [], waits: waits).lines.filter {
            $0.contains("note:")
        }
    }

    @Test func `A report tells states, workers and problems`() {
        let problem = ProblemGroup(reason: "Bad\nimage.", count: 5, batch: "archive", path: "a.pdf", page: 3)
        let lines = StatusReport(batches: [batch()], workers: [worker(leasedPages: 4)], problems: [problem]).lines
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
                "Problems by reason",
                "  5  Bad image. (such as archive: a.pdf:3)",
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

    @Test func `Each obstacle has its sentence`() {
        let idle = batch { $0.pages.leased = 0 }
        let ready = BatchWait(batch: 1, root: "nas", hasReady: true)
        let later = BatchWait(
            batch: 1, root: "nas", hasReady: false, due: "2026-01-02T03:04:05.000Z", secondsUntilDue: 90)
        #expect(notes([idle], [worker()], waits: [ready]).isEmpty)
        #expect(notes([idle], [worker(roots: ["home", "nas"])], waits: [ready]).isEmpty)
        #expect(notes([idle], [worker(version: "0")], waits: [ready])[0].contains("version of Quire"))
        #expect(notes([idle], [worker(isDraining: true)], waits: [ready])[0].contains("asked to leave"))
        #expect(notes([batch()], [worker(isDraining: true)], waits: [ready]).isEmpty, "what is in hand goes on")
        #expect(notes([idle], [worker(roots: ["home"])], waits: [ready])[0].contains("--root nas=/PATH"))
        let waiting = notes([idle], [worker()], waits: [later])
        #expect(waiting[0].contains("2026-01-02T03:04:05.000Z (in 1 min 30 s)"))
        #expect(waiting[0].contains("quire retry archive"))
    }

    @Test func `Unwell workers, other weights and stranded pages are told`() {
        let idle = batch { $0.pages.leased = 0 }
        let ready = BatchWait(batch: 1, root: "nas", hasReady: true)
        #expect(notes([idle], [worker(precision: "int8")])[0].contains("--precision bf16"))
        let unwell = worker(unwell: "It cannot see the\nfolder of archive.")
        let note = notes([idle], [unwell], waits: [ready])[0]
        #expect(note.contains("unwell") && note.contains("w1 on here: It cannot see the folder of archive."))
        #expect(notes([idle], [unwell, worker()], waits: [ready]).isEmpty, "another one works")
        let busy = worker(unwell: "It cannot see another folder.", leasedPages: 4)
        #expect(notes([idle], [busy], waits: [ready]).isEmpty, "it reads another batch's pages")
        let file = BatchWait.FaultyFile(path: "1931/a.pdf", fault: "The file\ncannot be opened.")
        let faulty = notes([idle], [unwell], waits: [BatchWait(batch: 1, root: "nas", hasReady: false, file: file)])[0]
        #expect(faulty.contains("1931/a.pdf: The file cannot be opened."))
        let lines = StatusReport(batches: [idle], workers: [unwell], problems: []).lines
        #expect(lines.last?.contains("w1 is unwell since 2026-01-02T03:04:05.000Z: It cannot see") == true)
        let stranded = batch { ($0.pages.stranded, $0.pages.pending) = (6, 0) }
        #expect(notes([stranded], [])[0].contains("no file is left from which 6 pages can be read"))
        #expect(
            StatusReport(batches: [stranded], workers: [], problems: []).lines[2].contains("2 failed, 6 stranded"))
        #expect(notes([batch { $0.countsProblem = "bad" }], [worker()])[0].contains("quire doctor --repair"))
    }

    @Test func `Problems beyond those that were looked at are owned up to`() {
        let group = ProblemGroup(reason: "Bad.", count: 2, batch: "archive", path: "a.pdf", page: nil)
        let lines = StatusReport(batches: [batch { $0.pages.failed = 9 }], workers: [], problems: [group]).lines
        #expect(lines.contains("Problems by reason (2 of the latest of 12)"))
        #expect(lines.last == "  2  Bad. (such as archive: a.pdf)")
    }

    @Test func `Without batches the report says how to begin`() {
        #expect(StatusReport(batches: [], workers: [], problems: []).lines[0].contains("quire submit FOLDER"))
    }
}
