private import Glibc
import Rendering

/// Draws characters of several scripts in fonts that the PDF does not hold, and looks whether they are drawn.
///
/// A font without a character shows the same box for all of them: what is drawn has to differ from one to the other.
enum FontTest {
    /// A note on each script of which something is not drawn: its text is the script's name.
    static func missing() throws(RenderError) -> [RenderNote] {
        var notes: [RenderNote] = []
        for script in TestedScript.allCases where try !isDrawn(script) {
            notes.append(RenderNote(.glyphsMissing, script.rawValue))
        }
        return notes
    }

    private static func isDrawn(_ script: TestedScript) throws(RenderError) -> Bool {
        let (first, second) = script.characters
        let drawn = try TestDrawing.darkPixels(document(script, first))
        let other = try TestDrawing.darkPixels(document(script, second))
        return drawn.contains(true) && other.contains(true) && drawn != other
    }

    /// A page with one character; poppler rebuilds the table of objects that is left out here.
    private static func document(_ script: TestedScript, _ character: Unicode.Scalar) -> String {
        let content = "BT /F 36 Tf 10 12 Td \(script == .arabic ? "(A)" : "<\(hex(character))>") Tj ET"
        return """
            %PDF-1.4
            1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
            2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
            3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 200 50] /Contents 4 0 R
            /Resources <</Font <</F 5 0 R>>>>>> endobj
            4 0 obj <</Length \(content.utf8.count)>> stream
            \(content)
            endstream endobj
            \(font(script, character))
            trailer <</Root 1 0 R>>
            %%EOF
            """
    }

    /// Objects 5 to 7: the fonts that PDFs of these scripts name without holding them.
    private static func font(_ script: TestedScript, _ character: Unicode.Scalar) -> String {
        let (name, ordering, encoding) =
            switch script {
            case .simplifiedChinese: ("STSong-Light", "GB1", "UniGB-UTF16-H")
            case .traditionalChinese: ("MSung-Light", "CNS1", "UniCNS-UTF16-H")
            case .japanese: ("HeiseiMin-W3", "Japan1", "UniJIS-UTF16-H")
            case .korean: ("HYSMyeongJo-Medium", "Korea1", "UniKS-UTF16-H")
            case .arabic: ("TraditionalArabic", "", "")
            }
        let descriptor = """
            7 0 obj <</Type /FontDescriptor /FontName /\(name) /Flags \(script == .arabic ? 32 : 6) /Ascent 800
            /FontBBox [0 -200 1000 900] /ItalicAngle 0 /CapHeight 700 /Descent -200 /StemV 80>> endobj
            """
        guard script != .arabic else {
            return """
                5 0 obj <</Type /Font /Subtype /TrueType /BaseFont /\(name) /FirstChar 65 /LastChar 65 /Widths [600]
                /Encoding <</Type /Encoding /Differences [65 /uni\(hex(character))]>> /FontDescriptor 7 0 R>> endobj
                \(descriptor)
                """
        }
        return """
            5 0 obj <</Type /Font /Subtype /Type0 /BaseFont /\(name) /Encoding /\(encoding) /DescendantFonts [6 0 R]>> endobj
            6 0 obj <</Type /Font /Subtype /CIDFontType0 /BaseFont /\(name) /DW 1000 /FontDescriptor 7 0 R
            /CIDSystemInfo <</Registry (Adobe) /Ordering (\(ordering)) /Supplement 2>>>> endobj
            \(descriptor)
            """
    }

    private static func hex(_ character: Unicode.Scalar) -> String {
        let digits = String(character.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
