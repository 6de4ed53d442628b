package import ArgumentParser
internal import Rendering
internal import Shared
internal import SystemPackage

/// `quire submit`.
package struct SubmitCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Queues the pages of folders and files for recognition.",
        discussion: """
            Folders are looked into with all that is below them. Files are told by their content; one that should be a \
            document and cannot be read is named with the reason, and the rest goes on:

              quire submit scans/1931
              quire submit /mnt/nas/archive/letters --root archive=/mnt/nas/archive --name letters --priority 5

            Submitting again adds only what is new or changed, also after an interruption, and leaves out files that are \
            gone. Passwords beside \
            encrypted documents (letter.pdf.password) and truth (letter.pdf.truth.md) are no documents; hidden files and \
            folders are named and not looked into.

            Nothing is recognised yet: workers do that (`quire-worker`), or `quire run` on the same folder. Exits with 1 \
            where files could not be read.
            """)

    @OptionGroup
    package var sources: SourceOptions

    @OptionGroup
    package var rendering: RenderOptions

    @OptionGroup
    package var pipeline: PipelineOptions

    package init() {}

    package func run() async throws {
        let settings = try Settings()
        let paths = try SubmittedPaths(
            sources.paths.map(\.path), roots: try settings.roots(flags: sources.roots),
            allowsMissing: sources.forgetMissing)
        let (_, pipeline) = try await pipeline.resolve(settings)
        let limits = RenderLimits(try rendering.resolve(settings))
        let order = SubmissionOrder(
            sources: sources, paths: paths, pipeline: pipeline,
            renderer: try PageRenderer.besideThisProgram(limits: limits))
        let wasInterrupted = try await StopSignal.interrupts {
            try await Sessions.with(settings) { session in
                let outcome = try await order.carryOut(queue: session.queue, display: ProgressDisplay())
                let summary = try await SubmissionSummary(outcome, paths: paths, queue: session.queue)
                for line in summary.lines { Console.line(line) }
                Console.line("To follow it: quire status \(OneLine.text(outcome.batch.name)) --watch")
                if !summary.unreadable.isEmpty { throw ExitCode(ExitStatus.partial.rawValue) }
            }
        }
        if wasInterrupted {
            throw CommandFailure(
                .interrupted,
                "Interrupted while the files were looked into. The same command goes on where this one stopped.")
        }
    }
}

extension SubmissionSummary {
    /// Of a submission just made; asks the queue for the files of other kinds.
    init(_ outcome: SubmissionOrder.Outcome, paths: SubmittedPaths, queue: PageQueue) async throws {
        let folder = paths.root.appending(paths.source.path.components)
        let unreadable = outcome.report.unreadable.map { file in
            var path = file.path
            if path != folder { _ = path.removePrefix(folder) }
            return (path.displayText, file.reason)
        }
        let status = try await queue.status(batch: outcome.batch.id).first
        var ignored: [(String, String)] = []
        if let status, status.documents.ignored > 0 {
            for file in try await queue.ignoredFiles(batch: outcome.batch.id, limit: Self.mostNamed) {
                ignored.append((file.location.path(below: outcome.batch.source).displayText, file.reason))
            }
        }
        self.init(
            batch: outcome.batch, counts: outcome.report.counts, unreadable: unreadable, ignored: ignored,
            unreadableCount: outcome.report.unreadableCount, ignoredCount: status?.documents.ignored ?? 0)
        goneLines = outcome.report.goneLines
    }
}
