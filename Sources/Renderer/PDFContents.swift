private import CPDFCore
import Rendering

/// What a PDF page holds, found by going through its instructions without drawing.
struct PDFContents {
    let pictures: [PDFPicture]
    /// Characters to be seen, and paths; and their last places in the order of painting.
    let characters: Int
    let lastCharacter: Int
    let paths: Int
    let lastPath: Int
    let hasGlyphOutsideBox: Bool
    let hasDamagedFonts: Bool
    /// What is wrong with pictures, fonts and instructions, as far as it shows without drawing.
    let notes: [RenderNote]

    /// `document` and `place` are those of `quire_pdf_contents`.
    init(_ document: OpaquePointer, place: Int) {
        let before = PDFMessages.count
        let found = quire_pdf_contents(document, Int64(place))
        var notes: [RenderNote] = []
        if found.hasZeroes {
            notes.append(
                RenderNote(
                    .contentDamaged,
                    "Zeroes stand where the page's instructions should be: part of the file was lost."))
        }
        pictures = UnsafeBufferPointer(start: found.pictures, count: found.pictureCount).map(PDFPicture.init)
        for picture in pictures { if let note = picture.note, !notes.contains(note) { notes.append(note) } }
        for font in UnsafeBufferPointer(start: found.fonts, count: found.fontCount) {
            let name = String(cString: font.name).cleaned(upTo: 100)
            if font.isDamaged {
                notes.append(
                    RenderNote(
                        .fontDamaged,
                        "The embedded font \(name) is damaged: its text is drawn in another, and may be wrong or "
                            + "missing."))
            }
            if let missing = font.missing {
                notes.append(
                    RenderNote(
                        .glyphsMissing,
                        "Characters of the font \(name), which the PDF does not hold, have no glyph on this machine: "
                            + "\(String(cString: missing).cleaned(upTo: 100)). quire doctor names what to install."))
            }
        }
        self.notes = notes + PDFMessages.notes(from: before, .contents)
        hasDamagedFonts = UnsafeBufferPointer(start: found.fonts, count: found.fontCount).contains { $0.isDamaged }
        characters = Int(found.characters)
        lastCharacter = Int(found.lastCharacter)
        paths = Int(found.paths)
        lastPath = Int(found.lastPath)
        hasGlyphOutsideBox = found.hasGlyphOutsideBox
    }

    var isEmpty: Bool { pictures.isEmpty && characters == 0 && paths == 0 }

    /// Those that no later picture may cover.
    var visibleCharacters: Int { lastCharacter > pictures.map(\.order).max() ?? -1 ? characters : 0 }

    /// Why there is nothing to draw: pictures are all that the page has, and nothing of them can be decoded.
    var nothingDecoded: String? {
        guard !pictures.isEmpty, characters == 0, paths == 0, pictures.allSatisfy({ $0.rows == 0 }) else { return nil }
        return pictures[0].message ?? "no row of it can be decoded"
    }
}

/// A picture on a PDF page.
struct PDFPicture {
    /// From the unit square to the page as seen: points of the page's own unit from the top left corner.
    let matrix: (a: Double, b: Double, c: Double, d: Double, x: Double, y: Double)
    /// Pixels: the finer of the picture's and its mask's on each side.
    let width: Int
    let height: Int
    let order: Int
    /// Rows that were decoded, where some are missing.
    let rows: Int?
    let message: String?
    private let missingMaskRows: Int?

    fileprivate init(_ picture: QuirePDFPicture) {
        let m = picture.matrix
        matrix = (m.0, m.1, m.2, m.3, m.4, m.5)
        (width, height) = (Int(picture.width), Int(picture.height))
        order = Int(picture.order)
        rows = picture.rows < 0 ? nil : Int(picture.rows)
        missingMaskRows = picture.maskRows < 0 ? nil : Int(picture.maskHeight - picture.maskRows)
        message = picture.message.map { String(cString: $0).cleaned(upTo: 200) }
    }

    /// Points that the picture's rows and columns are long.
    var across: Double { (matrix.a * matrix.a + matrix.b * matrix.b).squareRoot() }
    var down: Double { (matrix.c * matrix.c + matrix.d * matrix.d).squareRoot() }
    /// Whether its rows lie along those of the page.
    var isUpright: Bool { abs(matrix.a) >= abs(matrix.b) }

    var note: RenderNote? {
        let size = "\(width) x \(height) pixels"
        let because = message.map { " (\($0))" } ?? ""
        if let message, message.containsText("Unsupported") {
            return RenderNote(
                .unsupported,
                "A picture of \(size) is of a kind that is not read (\(message)): convert it and save the PDF anew.")
        }
        if let rows {
            let missing = rows == 0 ? "All rows" : "Rows \(rows + 1) to \(height)"
            return RenderNote(
                .pictureDamaged,
                "\(missing) of a picture of \(size) cannot be decoded: it is cut off or damaged\(because).")
        }
        if let missingMaskRows {
            return RenderNote(
                .pictureDamaged,
                "\(missingMaskRows) rows of the mask of a picture of \(size) cannot be decoded: it is cut off or "
                    + "damaged\(because).")
        }
        return message.map { RenderNote(.pictureDamaged, "A picture of \(size) is damaged (\($0)).") }
    }
}
