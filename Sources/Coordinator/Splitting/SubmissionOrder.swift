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
        let (batch, isNew) = try await queue.openBatch(
            name: sources.name, source: paths.source, pipeline: pipeline, priority: sources.priority,
            weight: sources.weight)
        let submission = Submission(
            queue: queue, batch: batch, root: paths.root, source: DocumentSource(renderer: renderer),
            rescans: sources.rescan)
        let report = try await submission.add(paths.paths) { report in
            display.show([
                "\(NumberText.count(report.scanned, "file")) looked into, "
                    + "\(NumberText.count(report.counts.pagesQueued, "page")) to recognise"
            ])
        }
        display.finish()
        return Outcome(batch: batch, isNew: isNew, report: report)
    }
}
