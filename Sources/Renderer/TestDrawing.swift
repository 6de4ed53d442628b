private import CPoppler
import Rendering

/// Draws a small PDF of our own as poppler draws those of others.
enum TestDrawing {
    private static let (width, height) = (200, 50)

    /// Which of the pixels of its first page are dark; the page has 200 x 50 points.
    static func darkPixels(_ pdf: String) throws(RenderError) -> [Bool] {
        let bytes = Array(pdf.utf8).withUnsafeBytes { g_bytes_new($0.baseAddress, gsize($0.count)) }
        defer { g_bytes_unref(bytes) }
        guard let document = poppler_document_new_from_bytes(bytes, nil, nil) else {
            throw RenderError(.broken, "poppler cannot open the PDF of the self-test: its installation is damaged.")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(document)) }
        guard let page = poppler_document_get_page(document, 0) else {
            throw RenderError(.broken, "poppler finds no page in the self-test: its installation is damaged.")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(page)) }
        let surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, Int32(width), Int32(height))
        defer { cairo_surface_destroy(surface) }
        let context = cairo_create(surface)
        defer { cairo_destroy(context) }
        cairo_set_source_rgb(context, 1, 1, 1)
        cairo_paint(context)
        poppler_page_render(page, context)
        cairo_surface_flush(surface)
        let stride = Int(cairo_image_surface_get_stride(surface))
        guard let pixels = cairo_image_surface_get_data(surface) else {
            throw RenderError(.broken, "cairo hands out no pixels: its installation is damaged.")
        }
        return (0..<height).flatMap { y in (0..<width).map { pixels[y * stride + $0 * 4] < 128 } }
    }
}
