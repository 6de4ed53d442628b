import Rendering

/// Draws a word in a font that the PDF does not carry and looks for ink.
///
/// Without fonts on the machine poppler draws nothing and says so only on its error output.
enum SelfTest {
    static func run() throws(RenderError) {
        let dark = try TestDrawing.darkPixels(document).count { $0 }
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
