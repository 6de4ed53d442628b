package import ArgumentParser
internal import Shared

/// `quire run`.
package struct RunCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Recognises folders on this machine and exports the results.",
        discussion: """
            Does everything: makes the tables, finds the documents, starts local workers, shows how far they are, and \
            writes a folder for each document, with document.md, pages.json and its figures:

              quire run scans --out results
              quire run scans --out results --model models/DeepSeek-OCR --mode base

            Given again it goes on where it stopped: after an interruption (Ctrl-C, a crash, a power cut), or with files \
            that were added. When nothing is new it only brings the export up to date.

            Where a mount or the renderer is away, it says so, waits three minutes for it, and then ends with what there is.

            Ctrl-C lets the workers finish the pages in hand; a second one gives these back to be done later; a third one \
            ends them at once. A page that is lost costs only its own time.

            Where truth lies beside a document (letter.pdf and letter.pdf.truth.md, pages separated by form feeds), the \
            summary has its character error rate.

            Exits with 0 when every file and page could be read and nothing was noted, with 1 when it finished and some could \
            not or something is wrong with a page that is done (part of a picture is missing, say); with 4 when it was \
            interrupted; see `quire --help`.
            """)

    @OptionGroup
    package var sources: SourceOptions

    @Option(help: "The folder for the results. [$QUIRE_OUT]")
    package var out: PathArgument?

    @Flag(help: "Export the model's Markdown as it is, with whatever HTML, scripts and links it has.")
    package var raw = false

    @Option(
        help: ArgumentHelp(
            "What computes: cpu, an NVIDIA GPU by its number, or all GPUs. [$QUIRE_DEVICE; default: cpu]",
            valueName: "cpu|cuda:N|all"))
    package var device: String?

    @Option(help: "Workers to start; a GPU has one. [$QUIRE_WORKERS; default: 1]")
    package var workers: Int?

    @Option(help: "Threads that compute, of all workers together. [$QUIRE_THREADS; default: all processors]")
    package var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Memory of all workers together, for instance 12G. [$QUIRE_MEMORY; default: what is free]",
            valueName: "size"))
    package var memory: String?

    @OptionGroup
    package var rendering: RenderOptions

    @OptionGroup
    package var pipeline: PipelineOptions

    package init() {}

    package mutating func validate() throws {
        if let workers, !(1...64).contains(workers) { throw ValidationError("--workers must be from 1 to 64.") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be from 1 to 1024.") }
    }

    package func run() async throws {
        let settings = try Settings()
        let plan = try await LocalRun.Plan.check(self, settings: settings)
        // From here on an interruption ends the run in order.
        let stop = StopSignal()
        let status = try await Sessions.with(settings, migrating: true) { session in
            try await LocalRun(plan: plan, session: session, stop: stop, display: ProgressDisplay()).run()
        }
        if status != .success { throw ExitCode(status.rawValue) }
    }
}
