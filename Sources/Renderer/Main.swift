private import Glibc
import Rendering

/// `quire-render`: turns one range of a document's pages into pixels, or counts pages of documents, and ends.
///
/// The only program that links parsers of foreign files. It knows no jobs, opens no file but fonts, and speaks the
/// messages of `FrameHeader` on its output.
@main
struct MainRenderer {
    static func main() {
        guard let request = RenderRequest(arguments: CommandLine.arguments.dropFirst()) else {
            let usage = "quire-render is started by quire and quire-worker and does nothing by itself.\n"
            usage.withCString { _ = write(2, $0, strlen($0)) }
            exit(64)
        }
        let output = Output.takingStandardOutput()
        do throws(RenderError) {
            try Confinement(request).apply()
            switch request.command {
            case .inspect: try Inspection(request, output: output).run()
            case .pages: try serve(request, to: output)
            case .jpeg: try CropEncoder(limits: request.limits).run(to: output)
            case .png: try PNGEncoder(limits: request.limits).run(to: output)
            case .fontTest:
                output.send(try FontTest.missing(), number: 0)
                output.send(FrameHeader(status: .opened, number: 1, payloadBytes: 0))
            case .selfTest:
                try SelfTest.run()
                output.send(FrameHeader(status: .opened, number: 1, payloadBytes: 0))
            }
        } catch {
            output.send(InputFile.cause(of: error), number: 0)
        }
        // Without the destructors of the libraries: the kernel is quicker.
        _exit(0)
    }

    /// Opens the document, says so, and sends its pages.
    private static func serve(_ request: RenderRequest, to output: Output) throws(RenderError) {
        let input = InputFile(descriptor: RenderRequest.documentDescriptor)
        let format = try input.format()
        let password = request.hasPassword ? RenderRequest.passwordDescriptor : nil
        let document = try openDocument(input, format, password: password, limits: request.limits, output)
        output.send(opened(document, format))
        for page in request.first...request.last {
            Confinement.allowProcessorSeconds(request.limits.wholeSecondsPerPage)
            let stopwatch = Stopwatch()
            do throws(RenderError) {
                guard page <= document.pageCount else {
                    throw RenderError(
                        .damaged,
                        "There is no such page: the document has \(document.pageCount). It was changed "
                            + "after it was submitted; submit it again.")
                }
                let notes = PageNotes()
                let image = try document.render(page, limits: request.limits, notes: notes)
                try InputFile.checkAllRead()
                output.send(notes.list, number: page)
                output.send(image, page: page, microseconds: stopwatch.microseconds)
            } catch {
                output.send(InputFile.cause(of: error), number: page, microseconds: stopwatch.microseconds)
            }
        }
    }

    /// Opens a document with the parser of its format; `password` is a descriptor, nil where there is none.
    static func openDocument(
        _ input: InputFile, _ format: DocumentFormatName, password: Int32?, limits: RenderLimits, _ output: Output,
        listsAttachments: Bool = false
    ) throws(RenderError) -> any RenderableDocument {
        switch format {
        case .pdf:
            try PDFDocument(
                input, password: try secret(password), renderer: limits.pdfRenderer, listsAttachments: listsAttachments)
        case .tiff: try TIFFDocument(input)
        case .png: try PNGDocument(input, limits: limits)
        case .jpeg: try JPEGDocument(input, limits: limits)
        }
    }

    /// Not by `map`, which cannot pass this error on.
    private static func secret(_ descriptor: Int32?) throws(RenderError) -> [UInt8]? {
        if let descriptor { try InputFile.password(from: descriptor) } else { nil }
    }

    /// The message that a document is open.
    static func opened(_ document: any RenderableDocument, _ format: DocumentFormatName) -> FrameHeader {
        FrameHeader(
            status: .opened, number: document.pageCount,
            width: DocumentFormatName.allCases.firstIndex(of: format) ?? 0, payloadBytes: 0)
    }
}

/// An opened document whose pages can be drawn.
protocol RenderableDocument {
    /// At least 1.
    var pageCount: Int { get }
    /// What is to be said of the document as a whole.
    var notes: [RenderNote] { get }
    /// The pixels of a page, counted from 1 and at most `pageCount`; what is wrong with them goes to `notes`.
    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer
}

extension RenderableDocument {
    var notes: [RenderNote] { [] }
}
