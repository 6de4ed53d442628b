private import Glibc
import Rendering

/// `quire-render`: turns one range of a document's pages into pixels, or counts them, and ends.
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
            case .inspect, .pages: try serve(request, to: output)
            case .jpeg: try CropEncoder(limits: request.limits).run(to: output)
            case .selfTest:
                try SelfTest.run()
                output.send(FrameHeader(status: .opened, number: 1, payloadBytes: 0))
            }
        } catch {
            output.send(error, number: 0)
        }
        // Without the destructors of the libraries: the kernel is quicker.
        _exit(0)
    }

    /// Opens the document, says so, and sends its pages.
    private static func serve(_ request: RenderRequest, to output: Output) throws(RenderError) {
        let input = InputFile(descriptor: RenderRequest.documentDescriptor)
        let format = try input.format()
        let document = try open(input, format, request, output)
        let opened = FrameHeader(
            status: .opened, number: document.pageCount,
            width: DocumentFormatName.allCases.firstIndex(of: format) ?? 0, payloadBytes: 0)
        output.send(opened)
        guard request.command == .pages else { return }
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
                let image = try document.render(page, limits: request.limits)
                output.send(image, page: page, microseconds: stopwatch.microseconds)
            } catch {
                output.send(error, number: page, microseconds: stopwatch.microseconds)
            }
        }
    }

    private static func open(
        _ input: InputFile, _ format: DocumentFormatName, _ request: RenderRequest, _ output: Output
    ) throws(RenderError) -> any RenderableDocument {
        switch format {
        case .pdf: try PDFDocument(input, password: request.hasPassword ? try InputFile.password() : nil)
        case .tiff: try TIFFDocument(input)
        case .png: try PNGDocument(input, limits: request.limits, output: output)
        case .jpeg: try JPEGDocument(input, limits: request.limits, output: output)
        }
    }
}

/// An opened document whose pages can be drawn.
protocol RenderableDocument {
    /// At least 1.
    var pageCount: Int { get }
    /// The pixels of a page, counted from 1 and at most `pageCount`.
    func render(_ page: Int, limits: RenderLimits) throws(RenderError) -> PixelBuffer
}
