package import Shared

/// What `quire status` shows: batches, workers, problems by reason, and what was noted.
package struct StatusReport: Sendable, Codable {
    package var batches: [BatchStatus]
    package var workers: [WorkerStatus]
    package var problems: [ProblemGroup]
    /// What is wrong with pages and documents that are done all the same, by code.
    package var notes: [NoteGroup]
    /// By the batches' names: why those that do not go on do not.
    package var obstacles: [String: String]

    package init(
        batches: [BatchStatus], workers: [WorkerStatus], problems: [ProblemGroup], waits: [BatchWait] = [],
        notes: [NoteGroup] = []
    ) {
        self.batches = batches
        self.workers = workers
        self.problems = problems
        self.notes = notes
        obstacles = [:]
        for batch in batches {
            obstacles[batch.name] = BatchObstacle.sentence(
                batch: batch, workers: workers, wait: waits.first { $0.batch == batch.id })
        }
    }

    /// A worker that was silent for so many seconds may be dead; heartbeats are due every ten.
    static let silenceLimit = 60.0

    /// The report for people.
    package var lines: [String] {
        guard !batches.isEmpty else {
            return [
                "There are no batches yet. Submit a folder: quire submit FOLDER, or do all at once: quire run FOLDER"
            ]
        }
        var lines: [String] = []
        for batch in batches {
            if !lines.isEmpty { lines.append("") }
            lines += Self.lines(of: batch)
            if let obstacle = obstacles[batch.name] { lines.append("  note: " + obstacle) }
            if let problem = batch.countsProblem {
                lines.append(
                    "  note: its counts are not brought up to date (\(OneLine.text(problem))). "
                        + "Mend them: quire doctor --repair")
            }
            if batch.pages.stranded > 0, batch.state == .open {
                lines.append(
                    "  note: no file is left from which \(NumberText.count(batch.pages.stranded, "page")) can be read. Bring "
                        + "the files back and submit the folder again, or: quire retry \(OneLine.text(batch.name))")
            }
        }
        if !workers.isEmpty { lines += [""] + workerLines }
        if !problems.isEmpty { lines += [""] + problemLines }
        if !notes.isEmpty { lines += [""] + noteLines }
        return lines
    }

    private static func lines(of batch: BatchStatus) -> [String] {
        let (documents, pages) = (batch.documents, batch.pages)
        // What a cancelled batch has left is no more to be done, and a deletion goes before all.
        let isOver = batch.isFinished && batch.state != .cancelled && batch.state != .deleting
        let state = isOver ? "finished" : batch.state.rawValue
        let priority = batch.priority == 0 ? "" : ", priority \(batch.priority)"
        return [
            "\(OneLine.text(batch.name))  (\(state), \(batch.pipeline.mode)\(priority))",
            "  documents  "
                + counts(
                    documents.total,
                    [
                        (documents.complete, "complete"), (documents.withFailures, "with failures"),
                        (documents.pending, "pending"),
                    ])
                + beside([(documents.unreadable, "unreadable"), (documents.ignored, "ignored")]),
            "  pages      "
                + counts(
                    pages.total,
                    [
                        (pages.done, "done"), (pages.blank, "blank"), (pages.failed, "failed"),
                        (pages.quarantined, "quarantined"), (pages.stranded, "stranded"), (pages.pending, "pending"),
                    ])
                + beside([(pages.noted, "noted"), (pages.leased, "of the pending in work")]),
            "  progress   " + ProgressLine(batch).textWithBar,
        ]
    }

    private static func counts(_ total: Int, _ parts: [(Int, String)]) -> String {
        let named = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return named.isEmpty ? "\(total)" : "\(total): " + named.joined(separator: ", ")
    }

    private static func beside(_ parts: [(Int, String)]) -> String {
        let named = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return named.isEmpty ? "" : "; " + named.joined(separator: ", ")
    }

    private var workerLines: [String] {
        var table = TextTable([
            ("WORKER", .left), ("HOST", .left), ("PID", .right), ("DEVICE", .left), ("MODEL", .left), ("SEEN", .right),
            ("PAGES IN WORK", .right),
        ])
        for worker in workers {
            table.add([
                OneLine.text(worker.name), OneLine.text(worker.host), String(worker.pid), OneLine.text(worker.device),
                String(worker.modelDigest.prefix(12)),
                "\(DurationText.text(seconds: worker.secondsSinceSeen)) ago", String(worker.leasedPages),
            ])
        }
        return table.lines
            + workers.compactMap { worker in
                worker.unwell.map { reason in
                    "  \(OneLine.text(worker.name)) is unwell since \(worker.unwellSince ?? "?"): \(OneLine.text(reason))"
                }
            }
    }

    private var noteLines: [String] {
        let (all, most) = (batches.reduce(0) { $0 + $1.pages.noted }, PageQueue.problemsLookedAt)
        return [all > most ? "Noted on pages that are done (the latest \(most) of \(all))" : "Noted on what is done"]
            + notes.map { note in
                let page = note.page.map { ":\($0)" } ?? ""
                return "  "
                    + NoteText.line(
                        note.code, pages: note.pages, documents: note.documents,
                        example: "\(OneLine.text(note.batch)): \(note.path)\(page)")
            }
    }

    private var problemLines: [String] {
        let all = batches.reduce(0) { $0 + $1.pages.failed + $1.pages.quarantined + $1.documents.unreadable }
        let shown = problems.reduce(0) { $0 + $1.count }
        let width = problems.map { String($0.count).count }.max() ?? 0
        // Where there are more, the groups are of the latest problems and of the commonest reasons.
        return [all > shown ? "Problems by reason (\(shown) of the latest of \(all))" : "Problems by reason"]
            + problems.map { problem in
                let count = String(problem.count)
                let gap = String(repeating: " ", count: width - count.count)
                let page = problem.page.map { ":\($0)" } ?? ""
                return "  \(gap)\(count)  \(OneLine.text(problem.reason)) "
                    + "(such as \(OneLine.text(problem.batch)): \(problem.path)\(page))"
            }
    }
}
