package import Shared

/// What `quire status` shows: batches, workers and the latest problems.
package struct StatusReport: Sendable, Codable {
    package var batches: [BatchStatus]
    package var workers: [WorkerStatus]
    package var problems: [ProblemReport]

    package init(batches: [BatchStatus], workers: [WorkerStatus], problems: [ProblemReport]) {
        self.batches = batches
        self.workers = workers
        self.problems = problems
    }

    /// A worker that was silent for so many seconds may be dead; heartbeats are due every ten.
    private static let silenceLimit = 60.0

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
            if let note = note(on: batch) { lines.append("  " + note) }
        }
        if !workers.isEmpty { lines += [""] + workerLines }
        if !problems.isEmpty { lines += ["", "Latest problems"] + problems.map { "  " + Self.text(of: $0) } }
        return lines
    }

    private static func lines(of batch: BatchStatus) -> [String] {
        let (documents, pages) = (batch.documents, batch.pages)
        let state = batch.isFinished ? "finished" : batch.state.rawValue
        let priority = batch.priority == 0 ? "" : ", priority \(batch.priority)"
        return [
            "\(OneLine.text(batch.name))  (\(batch.state == .cancelled ? "cancelled" : state), \(batch.pipeline.mode)\(priority))",
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
                        (pages.quarantined, "quarantined"), (pages.pending, "pending"),
                    ])
                + beside([(pages.leased, "of the pending in work")]),
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

    /// Why a batch with work left does not advance, if that can be told.
    private func note(on batch: BatchStatus) -> String? {
        guard !batch.isFinished else { return nil }
        switch batch.state {
        case .paused: return "note: the batch is paused. Go on: quire resume \(batch.name)"
        case .cancelled: return nil
        case .open: break
        }
        let serving = workers.filter { $0.modelDigest == batch.pipeline.modelDigest }
        if serving.contains(where: { $0.secondsSinceSeen < Self.silenceLimit }) { return nil }
        let model = batch.pipeline.modelDigest.prefix(12)
        let start = "Start one: quire-worker --model DIR"
        if !serving.isEmpty { return "note: the workers for this batch's model (\(model)) are silent. \(start)" }
        if workers.isEmpty { return "note: pages are pending and no worker runs. \(start)" }
        return "note: no worker has this batch's model (\(model)). \(start)"
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
    }

    private static func text(of problem: ProblemReport) -> String {
        let page = problem.page.map { ", page \($0)" } ?? ""
        return "\(problem.batch): \(problem.path)\(page): \(OneLine.text(problem.reason))"
    }
}
