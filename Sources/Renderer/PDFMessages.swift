private import CPDFCore
import Rendering

/// What poppler says about a page or a document, as notes.
enum PDFMessages {
    /// Where in the work on a page messages came.
    enum Phase {
        case opening
        case contents
        case drawing
    }

    static var count: Int { quire_pdf_message_count() }

    /// The notes on the messages from one on; pictures that were decoded by themselves are told elsewhere.
    static func notes(from first: Int = 0, _ phase: Phase) -> [RenderNote] {
        var found: [(code: RenderNote.Code, messages: [String])] = []
        for index in first..<max(first, count) {
            var category: Int32 = 0
            var isPicture = false
            let text = String(cString: quire_pdf_message(index, &category, &isPicture))
            guard !isPicture, let code = code(of: text, Int(category), phase) else { continue }
            if let place = found.firstIndex(where: { $0.code == code }) {
                found[place].messages.append(text)
            } else {
                found.append((code, [text]))
            }
        }
        return found.map { RenderNote($0.code, sentence($0.code, $0.messages)) }
    }

    /// What a message means for the page; nil where it does no harm to what is drawn.
    static func code(of message: String, _ category: Int, _ phase: Phase) -> RenderNote.Code? {
        func says(_ phrases: [String]) -> Bool { phrases.contains { message.containsText($0) } }
        if says(["Unsupported", "Unknown filter", "nimplemented", "not supported", "not implemented"]) {
            return .unsupported
        }
        switch category {
        case QUIRE_PDF_UNIMPLEMENTED: return .unsupported
        // Warnings are about what is put right; OpenJPEG warns of pictures that are cut off.
        case QUIRE_PDF_WARNING:
            return says(["egment too long", "runcated", "tile-part", "Tile part"]) ? .pictureDamaged : nil
        case QUIRE_PDF_COMMAND_LINE, QUIRE_PDF_NOT_ALLOWED: return nil
        default: break
        }
        if says(harmless) { return nil }
        // Seen before, while the page's instructions were gone through.
        if phase == .drawing, says(["Missing or bad Type3 CharProc"]) { return nil }
        if phase == .opening || says(["xref", "XRef", "trailer", "object stream", "Invalid object", "Kid object"]) {
            return .structureDamaged
        }
        if says(["language pack", "find a font", "display font", "CMap file"]) { return .glyphsMissing }
        if says(["font", "Font", "CharProc", "CMap", "CID", "FreeType", "glyph"]) { return .fontDamaged }
        if says(["JBIG2", "JPX", "JPEG", "jpeg", "CCITT", "DCT", "image", "Image"]) { return .pictureDamaged }
        // What decoders of streams say while pages are drawn is about pictures: instructions were read before.
        if phase == .drawing, says(["stream"]) { return .pictureDamaged }
        return .contentDamaged
    }

    /// Parts of messages about what is not drawn, or is drawn all the same; seen with sound files.
    private static let harmless = [
        // Around the pages.
        "annot", "Annot", "utline", "FormField", "FormWidget", "Form field", "form field", "inearization", "hint",
        "StructTree", "StructElement", "structure", "MarkInfo", "Marked Content", "destination", "LinkAction",
        "URI-type", "launch-type", "Rendition", "Movie", "Sound", "ages label", "ViewerPreferences", "file spec",
        "FileSpec", "OCG", "ptional content", "DA string", "Action", "Fields array",
        // What text means, not how it looks.
        "ToUnicode", "bfchar", "bfrange",
        // Colours: those of the space beside it are taken.
        "ICCBased color space", "Can't create transform", "Lab transform", "profile",
        // Both renderers draw the glyph; one that is cut off is looked for.
        "Bad bounding box in Type 3 glyph",
        // Operands beyond those that an operator takes.
        "Too many args",
    ]

    private static func sentence(_ code: RenderNote.Code, _ messages: [String]) -> String {
        var said = messages[0]
        while said.last == "." || said.last == " " { said.removeLast() }
        if messages.count > 1 { said += "; and \(messages.count - 1) more" }
        let meaning =
            switch code {
            case .unsupported: "Something on the page is of a kind that is not drawn"
            case .structureDamaged:
                "The file's structure is damaged and was put together anew, so that something may be missing"
            case .glyphsMissing: "No font on this machine can stand in for one that the page needs"
            case .fontDamaged: "A font is missing or damaged, so that text may be missing"
            case .pictureDamaged: "A picture is damaged"
            default:
                "The page's instructions, or something that they refer to, are damaged, so that something may be missing"
            }
        return "\(meaning) (\(said))."
    }
}
