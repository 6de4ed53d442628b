private import CPDFCore
private import CPoppler
import Rendering

/// Draws a page of a PDF by one of poppler's renderers, on white.
enum PDFDrawing {
    /// By cairo; `page` is poppler-glib's.
    static func cairo(_ page: OpaquePointer, _ size: PageSize, _ limits: RenderLimits) throws(RenderError)
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

    /// By Splash, which draws what cairo refuses; `document` and `place` are those of `quire_pdf_draw`.
    static func splash(
        _ document: OpaquePointer, place: Int, _ size: PageSize, _ limits: RenderLimits
    ) throws(RenderError) -> PixelBuffer {
        let image = try PixelBuffer(width: size.width, height: size.height, dpi: size.dpi, limits: limits)
        guard
            quire_pdf_draw(
                document, Int64(place), size.scale.x, size.scale.y, Int32(size.width), Int32(size.height), image.bytes)
        else { throw PixelBuffer.outOfMemory(size.width, size.height) }
        return image
    }
}

extension PixelBuffer {
    /// Whether there is ink on the page.
    var hasInk: Bool {
        PageInk.isThere(in: UnsafeBufferPointer(start: bytes, count: byteCount), width: width, height: height)
    }

    /// Whether this drawing of a page shows ink where another of the same size shows nothing at all, and not the reverse.
    ///
    /// The renderers smooth edges differently; squares of so many pixels do not notice.
    func showsMore(than other: borrowing PixelBuffer) -> Bool {
        let side = 16
        var (more, less) = (0, 0)
        for top in Swift.stride(from: 0, to: height, by: side) {
            for left in Swift.stride(from: 0, to: width, by: side) {
                let (mine, its) = (dark(left, top, side), other.dark(left, top, side))
                if mine.strong >= 4, its.faint == 0 { more += 1 }
                if its.strong >= 4, mine.faint == 0 { less += 1 }
            }
        }
        return more > less
    }

    /// Pixels of a square that are clearly not white, and those that are not quite.
    private func dark(_ left: Int, _ top: Int, _ side: Int) -> (strong: Int, faint: Int) {
        var (strong, faint) = (0, 0)
        for y in top..<min(top + side, height) {
            let row = row(y)
            for x in left..<min(left + side, width) {
                let least = min(row[x * 3], row[x * 3 + 1], row[x * 3 + 2])
                if least < 160 { strong += 1 }
                if least < 240 { faint += 1 }
            }
        }
        return (strong, faint)
    }
}
