private import CPoppler
private import Glibc
import Rendering

/// A PDF opened by poppler; pages are drawn by cairo.
final class PDFDocument: RenderableDocument {
    private let document: OpaquePointer
    let pageCount: Int

    /// PDFs that claim more pages than this are taken for damaged.
    private static let mostPages = 1_000_000

    /// Opens by descriptor; `password` is nil where none is known.
    init(_ input: InputFile, password: [UInt8]?) throws(RenderError) {
        self.document = try Self.open(input, password)
        pageCount = Int(poppler_document_get_n_pages(document))
        guard pageCount >= 1 else {
            throw RenderError(
                .damaged, "The PDF has no pages: it is cut off or damaged. Copy it again from its source.")
        }
        guard pageCount <= Self.mostPages else {
            throw RenderError(
                .tooLarge, "The PDF claims \(pageCount) pages, more than \(Self.mostPages): it is damaged.")
        }
    }

    private static func open(_ input: InputFile, _ password: [UInt8]?) throws(RenderError) -> OpaquePointer {
        // First without: most documents that have a password file beside them by mistake need none.
        var failure: UnsafeMutablePointer<GError>?
        defer { g_clear_error(&failure) }
        if let document = attempt(input, nil, &failure) { return document }
        guard failure?.pointee.domain == poppler_error_quark(),
            failure?.pointee.code == Int32(POPPLER_ERROR_ENCRYPTED.rawValue)
        else {
            let reason = failure.flatMap { $0.pointee.message }.map { String(cString: $0) } ?? "no reason given"
            throw RenderError(
                .damaged,
                "The PDF cannot be opened (\(reason)): it is cut off or damaged. Copy it again from its source, or repair "
                    + "it with qpdf or mutool.")
        }
        guard let password else {
            throw RenderError(
                .locked,
                "The PDF is encrypted: put its password into the first line of a file beside it, named like the PDF with "
                    + ".password added.")
        }
        for bytes in PasswordVariants(file: password)?.candidates ?? [] {
            // poppler makes Latin-1 of a password in UTF-8: each byte is handed over as a character.
            let variant = bytes.flatMap { Array(String(UnicodeScalar($0)).utf8) }
            g_clear_error(&failure)
            if let document = attempt(input, variant, &failure) { return document }
        }
        throw RenderError(
            .locked,
            "The PDF is encrypted and the password in the .password file beside it is wrong: put the right one into that "
                + "file's first line.")
    }

    private static func attempt(
        _ input: InputFile, _ password: [UInt8]?, _ failure: inout UnsafeMutablePointer<GError>?
    ) -> OpaquePointer? {
        // poppler closes the descriptor that it is given.
        let descriptor = dup(input.descriptor)
        guard let password else { return poppler_document_new_from_fd(descriptor, nil, &failure) }
        return poppler_document_new_from_fd(descriptor, password.map { CChar(bitPattern: $0) } + [0], &failure)
    }

    deinit { g_object_unref(UnsafeMutableRawPointer(document)) }

    func render(_ page: Int, limits: RenderLimits, notes: PageNotes) throws(RenderError) -> PixelBuffer {
        guard let page = poppler_document_get_page(document, Int32(page - 1)) else {
            throw RenderError(
                .damaged, "The page cannot be found in the PDF: it is damaged. Repair it with qpdf or mutool.")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(page)) }
        var (width, height) = (0.0, 0.0)
        poppler_page_get_size(page, &width, &height)
        let size = try PageSize(points: (width, height), scan: ScanDetection(page).scan, limits: limits)
        return try draw(page, size, limits)
    }

    private func draw(_ page: OpaquePointer, _ size: PageSize, _ limits: RenderLimits) throws(RenderError)
        -> PixelBuffer
    {
        let image = try PixelBuffer(width: size.width, height: size.height, dpi: size.dpi, limits: limits)
        let surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, Int32(size.width), Int32(size.height))
        defer { cairo_surface_destroy(surface) }
        guard cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS else {
            throw PixelBuffer.outOfMemory(size.width, size.height)
        }
        let context = cairo_create(surface)
        defer { cairo_destroy(context) }
        cairo_set_source_rgb(context, 1, 1, 1)
        cairo_paint(context)
        cairo_scale(context, size.scale.x, size.scale.y)
        poppler_page_render(page, context)
        let status = cairo_status(context)
        guard status != CAIRO_STATUS_NO_MEMORY else { throw PixelBuffer.outOfMemory(size.width, size.height) }
        guard status == CAIRO_STATUS_SUCCESS else {
            throw RenderError(
                .damaged,
                "The page cannot be drawn (\(String(cString: cairo_status_to_string(status)))): repair the PDF "
                    + "with qpdf or mutool.")
        }
        cairo_surface_flush(surface)
        guard let pixels = cairo_image_surface_get_data(surface) else {
            throw RenderError(.broken, "cairo hands out no pixels: its version does not fit.")
        }
        let stride = Int(cairo_image_surface_get_stride(surface))
        for y in 0..<size.height {
            // 32 bits a pixel in the machine's order: blue, green, red, unused on every machine that Swift runs on.
            let source = pixels + y * stride
            let target = image.row(y)
            for x in 0..<size.width {
                target[x * 3] = source[x * 4 + 2]
                target[x * 3 + 1] = source[x * 4 + 1]
                target[x * 3 + 2] = source[x * 4]
            }
        }
        return image
    }
}
