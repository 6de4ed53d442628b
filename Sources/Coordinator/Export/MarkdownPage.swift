internal import Rendering
internal import Shared

/// One page of `document.md`.
enum MarkdownPage {
    /// The anchor, and the page's text or a block quote that says why there is none.
    ///
    /// `page` is nil where the page is not settled yet, or cannot be read for the reason `stranded`. The model's text is made harmless (`SafeMarkdown`), so that no page
    /// can hold such an anchor or block quote; with `isRaw` it is written as it is.
    static func text(_ number: Int, _ page: ExportPage?, stranded: String?, isRaw: Bool) -> String {
        "<a id=\"page-\(number)\"></a>\n\n\(content(number, page, stranded, isRaw: isRaw))\n\n"
    }

    private static func content(_ number: Int, _ page: ExportPage?, _ stranded: String?, isRaw: Bool) -> String {
        if let stranded { return "> **Page \(number)** cannot be read: \(escaped(stranded))" }
        let why = page?.error.map { escaped($0) } ?? "no reason was recorded."
        switch page?.state {
        case nil: return "> **Page \(number)** is not recognised yet."
        case .blank: return "> **Page \(number)** is blank."
        case .failed: return "> **Page \(number)** failed: \(why)"
        case .quarantined: return "> **Page \(number)** is quarantined: \(why)"
        case .done:
            guard let recognised = page?.text else { return "> **Page \(number)** has no text." }
            let markdown = String(recognised.markdown.trimmed { $0.isWhitespace })
            let text = isRaw ? markdown : SafeMarkdown.text(markdown)
            let body = markdown.isEmpty ? "> **Page \(number)** has no text." : text
            let doubts = page.map { Self.doubts(number, $0.notes) } ?? ""
            guard !recognised.reachedEnd else { return body + doubts }
            let limit = page.map { " of \($0.pipeline.maxNewTokens)" } ?? ""
            return body + "\n\n> **Page \(number)** is cut off here: the token limit\(limit) was reached."
                + doubts
        }
    }

    /// What may be missing from the page, in a block quote; nothing where nothing is.
    private static func doubts(_ number: Int, _ notes: [PageNote]) -> String {
        let texts = notes.filter { note in
            RenderNote.Code(rawValue: note.code).map { RenderNote($0, note.text).leavesDoubt } ?? true
        }.map { escaped($0.text) }
        return texts.isEmpty ? "" : "\n\n> **Page \(number)** may lack something: \(texts.joined(separator: " "))"
    }

    /// The text on one line, with nothing in it that Markdown or HTML would take for markup.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", "\r", "\t", "\u{B}", "\u{C}", "\u{85}", "\u{2028}", "\u{2029}": result += " "
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case "\\", "`", "*", "_", "[", "]", "(", ")", "#", "!", "|", "~", "$":
                result += "\\"
                result.unicodeScalars.append(scalar)
            default:
                guard scalar.properties.generalCategory != .control else { continue }
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension StringProtocol {
    /// Without the characters at both ends for which `isDropped` holds.
    fileprivate func trimmed(_ isDropped: (Character) -> Bool) -> SubSequence {
        var rest = drop(while: isDropped)
        while let last = rest.last, isDropped(last) { rest.removeLast() }
        return rest
    }
}
