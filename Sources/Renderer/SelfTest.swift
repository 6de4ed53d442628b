private import CPoppler
import Rendering

/// Draws a word in a font that the PDF does not carry and looks for ink.
///
/// Without fonts on the machine poppler draws nothing and says so only on its error output.
enum SelfTest {
    static func run() throws(RenderError) {
        let pdf = Array(document.utf8)
        let bytes = pdf.withUnsafeBytes { g_bytes_new($0.baseAddress, gsize($0.count)) }
        defer { g_bytes_unref(bytes) }
        guard let document = poppler_document_new_from_bytes(bytes, nil, nil) else {
            throw RenderError(.broken, "poppler cannot open the PDF of the self-test: its installation is damaged.")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(document)) }
        guard let page = poppler_document_get_page(document, 0) else {
            throw RenderError(.broken, "poppler finds no page in the self-test: its installation is damaged.")
        }
        defer { g_object_unref(UnsafeMutableRawPointer(page)) }
        let (width, height) = (200, 50)
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
        let dark = (0..<height).reduce(0) { sum, y in
            sum + (0..<width).count { pixels[y * stride + $0 * 4] < 128 }
        }
        guard dark >= leastInk else {
            throw RenderError(
                .broken,
                "Text is not drawn: no font on this machine can stand in for Helvetica, so pages would be silently "
                    + "blank. Install fontconfig and fonts-liberation.")
        }
    }

    /// "Quire" at 36 points is some 900 dark pixels.
    private static let leastInk = 200

    /// poppler rebuilds the table of objects that is left out here.
    private static let document = """
        %PDF-1.4
        1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
        2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
        3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 50] /Contents 4 0 R
        /Resources <</Font <</F 5 0 R>>>>>> endobj
        4 0 obj <</Length 40>> stream
        BT /F 36 Tf 10 12 Td (Quire) Tj ET      
        endstream endobj
        5 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj
        trailer <</Root 1 0 R>>
        %%EOF
        """
}
