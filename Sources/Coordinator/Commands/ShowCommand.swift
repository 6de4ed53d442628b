package import ArgumentParser
internal import Rendering
internal import Shared
internal import SystemPackage

/// `quire show`.
package struct ShowCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows all that is known of one page, and its text.",
        discussion: """
            The page's state, each attempt at it, its times and tokens, what it was recognised by, and then its text. The \
            document is named by its path below the batch's folder, the beginning or the end of it, its number, or six or \
            more digits of its SHA-256:

              quire show 1931/july.pdf:7
              quire show july.pdf:7 --text | less
              quire show 3fa94c:7 --batch letters --json | jq .attempts
              quire show july.pdf:7 --image page.png

            With --image the page is drawn anew, as the model is given it: pixel for pixel, before the model's own resizing. \
            That is done from a file that still has the content that was submitted; any other is refused.

            Exits with 1 where --text is asked of a page that has no text yet or that failed.
            """)

    @Argument(help: ArgumentHelp("The document and the page, counted from 1.", valueName: "document:page"))
    package var page: PathArgument

    @Option(help: "The batch's name or number. [default: all of them]")
    package var batch: String?

    @Flag(help: "Write JSON for programs.")
    package var json = false

    @Flag(help: "Write the page's Markdown and nothing else.")
    package var text = false

    @Option(
        help: ArgumentHelp("Write the page's picture as PNG; - is standard output.", valueName: "file"),
        completion: .file(extensions: ["png"]))
    package var image: PathArgument?

    @Option(
        name: .customLong("root"),
        help: ArgumentHelp(
            "Where a named root is mounted here, for --image; may be given several times. [$QUIRE_ROOTS]",
            valueName: "name=/path"))
    package var roots: [String] = []

    @OptionGroup
    package var rendering: RenderOptions

    package init() {}

    package mutating func validate() throws {
        if PageReference(page.path.bytes) == nil {
            throw ValidationError("A page is written DOCUMENT:PAGE, such as letters/july.pdf:7.")
        }
        if [json, text, image != nil].count(where: { $0 }) > 1 {
            throw ValidationError("Give only one of --json, --text and --image.")
        }
    }

    package func run() async throws {
        guard let reference = PageReference(page.path.bytes) else { return }
        let settings = try Settings()
        let report = try await Sessions.with(settings, limits: .brief) { session in
            let queue = session.queue
            let batch = if let batch { try await BatchLookup.batch(named: batch, in: queue) } else { Batch?.none }
            let document = try await Self.document(reference.path, in: batch, queue)
            guard reference.page <= document.pageCount else {
                throw CommandFailure(
                    .usage,
                    "There is no page \(reference.page): \(document.path) has "
                        + "\(NumberText.count(document.pageCount, "page")).")
            }
            return try await queue.report(document: document.id, page: reference.page)
        }
        if let image { return try await write(report, to: image.path, settings) }
        let display = PageDisplay(report)
        if json { return Console.line(String(decoding: display.json.bytes, as: UTF8.self)) }
        guard text else {
            for line in display.lines { Console.line(line) }
            return
        }
        if let markdown = report.result?.text?.markdown { return Console.line(markdown) }
        // A blank page's text is empty.
        if report.result?.state == .blank { return }
        throw CommandFailure(.partial, "The page has no text: it is \(display.state).")
    }

    /// Writes the page's picture, and what is to be said of it: where the picture goes to standard output, to the other.
    private func write(_ report: PageReport, to path: FilePath, _ settings: Settings) async throws {
        let renderer = try PageRenderer.besideThisProgram(limits: RenderLimits(try rendering.resolve(settings)))
        let picture = try await PagePicture(
            report, roots: try settings.roots(flags: roots), renderer: renderer)
        guard path.bytes != [UInt8(ascii: "-")] else {
            try WholeFile.writeToStandardOutput(picture.png)
            for line in picture.lines { Console.error(line) }
            return
        }
        try WholeFile.write(picture.png, to: path)
        for line in picture.lines { Console.line(line) }
    }

    private static func document(
        _ path: FilePath, in batch: Batch?, _ queue: PageQueue
    ) async throws -> NamedDocument {
        let found = try await queue.documents(named: path, batch: batch?.id)
        guard let first = found.first else {
            let place = batch.map { "Batch \(OneLine.text($0.name)) has" } ?? "There is"
            throw CommandFailure(
                .usage,
                "\(place) no document \(path.displayText). Name it by its path below the batch's folder, the end of that "
                    + "path, or its SHA-256; `quire status` lists the batches.")
        }
        guard found.count == 1 else {
            let named = found.prefix(8).map { "\($0.path) (batch \(OneLine.text($0.batch)), number \($0.id))" }
            let more = found.count > named.count ? ", and more" : ""
            let isSamePath = Set(found.map(\.path)).count == 1
            throw CommandFailure(
                .usage,
                "\(path.displayText) can mean several documents: \(named.joined(separator: ", "))\(more). "
                    + (isSamePath
                        ? "Name the batch with --batch, or the document by its number."
                        : "Write more of the path, or name the batch with --batch."))
        }
        return first
    }
}
