package import ArgumentParser
internal import Shared
internal import SystemPackage

/// `quire export`: writes a batch's results into a folder.
package struct ExportCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes a batch's text and layout, one folder a document.",
        discussion: """
            Each document gets a folder with its own path, such as out/letters/a.pdf/ with
              document.md    the text, with an anchor for each page (#page-7) and figures under images/
              pages.json     each page's layout (boxes in pixels of the page image), text and provenance
              manifest.json  what the folder was made of and holds, with the pages that failed and why
            and out/batch.json says what became of every file of the batch.

            Export whenever you like, also before all pages are recognised: a page without text leaves a note that says \
            why. Exporting again writes only documents that changed, and goes on where an export was cut off, be it by a \
            power cut. Files that you add to a document's folder stay; files that you edit are kept as NAME.edited when \
            their document is written again. Folders of documents that left the batch are removed if nobody changed them.

            A folder holds the export of one batch: that of another one is refused, and so is a batch.json that no export wrote.

            Two documents never share a folder, also where names are compared without case: one of them gets ~2.

            Of HTML that the model wrote, document.md keeps tables and plain emphasis as markup; the rest, and links that \
            lead elsewhere, is text that shows. --raw writes all of it as it is. pages.json always has it as it is.

            The exit code is 0 when everything was written, failed pages included as notes; 1 when a document was left out, \
            for instance because something else has its place; 2 when there is no such batch or the folder \
            lies in the submitted one; 3 when the database cannot be used; 4 when \
            it was interrupted; 8 when the folder cannot be written to.

            EXAMPLE
              quire export archive --out results
              quire export archive --out results --format json
            """)

    @Argument(help: "The batch's name or number.")
    package var batch: String

    @Option(
        help: ArgumentHelp("The folder to write to; made if there is none.", valueName: "dir"), completion: .directory)
    package var out: PathArgument

    @Option(
        help: ArgumentHelp("What to write: markdown, json, or both with a comma between.", valueName: "formats"),
        transform: ExportCommand.formats)
    package var format: Set<ExportFormat> = Set(ExportFormat.allCases)

    @Flag(help: "Write the model's Markdown as it is, with whatever HTML, scripts and links it has.")
    package var raw = false

    package init() {}

    package func run() async throws {
        let settings = try Settings()
        let wasInterrupted = try await StopSignal.interrupts {
            let report = try await Sessions.with(settings) { session in
                let batch = try await BatchLookup.batch(named: batch, in: session.queue)
                try await SubmittedFolder(batch, roots: settings.roots(flags: [])).refuse(
                    output: out.path, queue: session.queue)
                let exporter = Exporter(
                    queue: session.queue, batch: batch, directory: ModelLocation.absolute(out.path), formats: format,
                    isRaw: raw)
                let display = ProgressDisplay()
                let report = try await exporter.export { report in
                    let count = report.written + report.unchanged
                    display.show(["\(NumberText.count(count, "document")) exported"])
                }
                display.finish()
                Console.line("Exported \(OneLine.text(batch.name)) to \(out.path.displayText)")
                return report
            }
            for line in ExportSummary(report).lines { Console.line(line) }
            guard report.isComplete else {
                throw CommandFailure(
                    .partial, "\(NumberText.count(report.blocked.count, "document")) could not be exported; see above.")
            }
        }
        if wasInterrupted {
            throw CommandFailure(.interrupted, "The export was interrupted; export again to complete it.")
        }
    }

    private static func formats(_ text: String) throws -> Set<ExportFormat> {
        var formats: Set<ExportFormat> = []
        for name in text.split(separator: ",") {
            guard let format = ExportFormat(rawValue: String(name)) else {
                throw ValidationError("'\(name)' is no format. There are: markdown, json.")
            }
            formats.insert(format)
        }
        guard !formats.isEmpty else { throw ValidationError("Name a format: markdown, json, or markdown,json.") }
        return formats
    }
}
