internal import Rendering
internal import Shared
internal import SystemPackage

/// What `quire submit` and `quire run` do alike: open the batch and bring the files into it.
struct SubmissionOrder {
    let sources: SourceOptions
    let paths: SubmittedPaths
    let pipeline: Pipeline
    let renderer: PageRenderer

    struct Outcome {
        let batch: Batch
        let isNew: Bool
        let report: Submission.Report
    }

    /// Submits, and shows how far it is.
    func carryOut(queue: PageQueue, display: ProgressDisplay) async throws -> Outcome {
        try await checkMissing(queue)
        let (batch, isNew) = try await queue.openBatch(
            name: sources.name, source: paths.source, pipeline: pipeline, priority: sources.priority,
            weight: sources.weight)
        let submission = Submission(
            queue: queue, batch: batch, root: paths.root, source: DocumentSource(renderer: renderer),
            rescans: sources.rescan, forgetsMissing: sources.forgetMissing)
        let there = paths.paths.filter { !paths.missing.contains($0) }
        do {
            let report = try await submission.add(there, missing: paths.missing) { report in
                display.show([
                    "\(NumberText.count(report.scanned, "file")) looked into, "
                        + "\(NumberText.count(report.counts.pagesQueued, "page")) to recognise"
                ])
            }
            display.finish()
            return Outcome(batch: batch, isNew: isNew, report: report)
        } catch let error as RenderError {
            display.finish()
            throw CommandFailure(
                .renderer,
                "This machine cannot look into files: \(error.message) Mend it (`quire doctor`): the same command then goes "
                    + "on where this one stopped. No file was given up.")
        }
    }

    /// Throws where a folder is missing and no batch knows it: there is nothing to forget.
    private func checkMissing(_ queue: PageQueue) async throws {
        guard let missing = paths.missing.first else { return }
        let isKnown = try await queue.batches().contains { batch in
            batch.source == paths.source && (sources.name ?? batch.name) == batch.name && batch.pipeline == pipeline
        }
        guard !isKnown else { return }
        throw CommandFailure(
            .usage,
            "\(missing.displayText) is not there, and no batch of it with these options is known: there is nothing to "
                + "forget.")
    }
}
