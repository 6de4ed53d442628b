package import Shared

/// Why a batch with work left does not go on.
package enum BatchObstacle {
    /// One sentence and what to do; nil where it goes on, or where it cannot be told.
    package static func sentence(batch: BatchStatus, workers: [WorkerStatus], wait: BatchWait?) -> String? {
        if batch.state == .deleting {
            let name = OneLine.text(batch.name)
            return "its deletion was begun. To finish it: quire prune --batch \(name) --results --yes"
        }
        guard !batch.isFinished else { return nil }
        switch batch.state {
        case .paused: return "the batch is paused. Go on: quire resume \(OneLine.text(batch.name))"
        case .cancelled, .deleting: return nil
        case .open:
            return ofWorkers(batch, workers, wait) ?? ofReading(batch: batch, workers: workers, wait: wait)
                ?? ofPages(batch, wait)
        }
    }

    /// What keeps pages from being read though workers are there: a file that may come back, or their machines.
    package static func ofReading(batch: BatchStatus, workers: [WorkerStatus], wait: BatchWait?) -> String? {
        ofFiles(batch, wait) ?? ofHealth(batch, workers, wait)
    }

    private static func ofWorkers(_ batch: BatchStatus, _ workers: [WorkerStatus], _ wait: BatchWait?) -> String? {
        let (digest, version) = (batch.pipeline.modelDigest, batch.pipeline.engineVersion)
        let model = digest.prefix(12)
        let start = "Start one: quire-worker --model DIR"
        guard !workers.isEmpty else { return "pages are pending and no worker runs. \(start)" }
        let withModel = workers.filter { $0.modelDigest == digest }
        guard !withModel.isEmpty else { return "no worker has this batch's model (\(model)). \(start)" }
        let ofEngine = withModel.filter { $0.engineVersion == version }
        guard !ofEngine.isEmpty else {
            let others = Set(withModel.map { OneLine.text($0.engineVersion) }).sorted().joined(separator: ", ")
            return
                "no worker has this batch's version of Quire's engine (\(OneLine.text(version))); they have \(others). "
                + "Start one of that version, or submit the folder again with this one."
        }
        let precision = OneLine.text(batch.pipeline.precision)
        let serving = ofEngine.filter { $0.precision == batch.pipeline.precision }
        guard !serving.isEmpty else {
            let others = Set(ofEngine.map { OneLine.text($0.precision) }).sorted().joined(separator: ", ")
            return "no worker has this batch's precision (\(precision)); they have \(others). "
                + "Start one: quire-worker --precision \(precision)"
        }
        let alive = serving.filter { $0.secondsSinceSeen < StatusReport.silenceLimit }
        guard !alive.isEmpty else { return "the workers for this batch's model (\(model)) are silent. \(start)" }
        // What is in hand goes on; the rest is about what is handed out next.
        guard batch.pages.leased == 0 else { return nil }
        let staying = alive.filter { !$0.isDraining }
        guard !staying.isEmpty else { return "all workers for this batch have been asked to leave. \(start)" }
        if let root = wait?.root, !staying.contains(where: { $0.roots?.contains(root) ?? true }) {
            let name = OneLine.text(root)
            return "no worker knows the root '\(name)'. Where it is mounted, start: quire-worker --root \(name)=/PATH"
        }
        return nil
    }

    private static func ofFiles(_ batch: BatchStatus, _ wait: BatchWait?) -> String? {
        guard batch.pages.leased == 0, let wait, !wait.hasReady, let file = wait.file else { return nil }
        return "pages wait for a file that cannot be read. \(OneLine.text(file.path)): \(OneLine.text(file.fault))"
    }

    /// Of the workers that could do the batch.
    private static func ofHealth(_ batch: BatchStatus, _ workers: [WorkerStatus], _ wait: BatchWait?) -> String? {
        guard batch.pages.leased == 0 else { return nil }
        let able = workers.filter { worker in
            worker.modelDigest == batch.pipeline.modelDigest && worker.engineVersion == batch.pipeline.engineVersion
                && worker.precision == batch.pipeline.precision && worker.secondsSinceSeen < StatusReport.silenceLimit
                && !worker.isDraining && wait.map { worker.roots?.contains($0.root) ?? true } ?? true
        }
        // Who is unwell for another batch's sake may be reading a third one.
        guard let first = able.first, let unwell = first.unwell,
            able.allSatisfy({ $0.unwell != nil && $0.leasedPages == 0 })
        else { return nil }
        return "all workers for this batch are unwell, and go on by themselves when they are well again. "
            + "\(OneLine.text(first.name)) on \(OneLine.text(first.host)): \(OneLine.text(unwell))"
    }

    private static func ofPages(_ batch: BatchStatus, _ wait: BatchWait?) -> String? {
        guard batch.pages.leased == 0, let wait, !wait.hasReady, let due = wait.due else { return nil }
        let seconds = wait.secondsUntilDue ?? 0
        return "all pages that are left wait for another attempt, the first until \(due) "
            + "(\(seconds > 0 ? "in " + DurationText.text(seconds: seconds) : "now")). "
            + "To try at once: quire retry \(OneLine.text(batch.name))"
    }
}
