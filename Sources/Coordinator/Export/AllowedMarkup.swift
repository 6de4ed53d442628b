/// The HTML that a page's text may hold: tables and plain emphasis, balanced, with nothing in it that acts.
struct AllowedMarkup {
    /// What to write for a tag.
    enum Decision {
        /// Nothing of it is markup.
        case text
        /// As it stands, after these closing tags.
        case keep(closing: [String])
        /// Written anew without attributes of mere looks, after these closing tags.
        case rewrite(String, closing: [String])
    }

    private(set) var open: [String] = []

    private static let tableParts: Set<String> = ["caption", "thead", "tbody", "tfoot", "tr", "td", "th"]
    private static let emphasis: Set<String> = ["sup", "sub", "b", "i", "u", "em", "strong", "s", "center"]
    /// Attributes of mere looks, which are left out.
    private static let looks: Set<String> = [
        "align", "valign", "border", "width", "height", "cellpadding", "cellspacing", "class", "style", "scope",
        "bgcolor",
        "frame", "rules",
    ]

    /// Whether a page's text may hold such tags.
    static func knows(_ name: String) -> Bool {
        name == "table" || name == "br" || tableParts.contains(name) || emphasis.contains(name)
    }

    mutating func decide(_ tag: HTMLTag) -> Decision {
        guard Self.knows(tag.name) else { return .text }
        if tag.isClosing { return close(tag) }
        guard let rewritten = Self.withoutLooks(tag) else { return .text }
        func decision(_ closing: [String]) -> Decision {
            rewritten.isEmpty ? .keep(closing: closing) : .rewrite(rewritten, closing: closing)
        }
        if tag.name == "br" { return decision([]) }
        guard !tag.endsWithSlash else { return .text }
        guard Self.tableParts.contains(tag.name) else {
            open.append(tag.name)
            return decision([])
        }
        guard let table = open.lastIndex(of: "table") else { return .text }
        // A new cell ends the one before it, a new row the one before that, as in HTML; emphasis ends with its cell.
        let ended: Set<String> =
            switch tag.name {
            case "td", "th": ["td", "th", "caption"]
            case "tr": ["td", "th", "tr", "caption"]
            default: Self.tableParts
            }
        var closing: [String] = []
        if let first = open[(table + 1)...].firstIndex(where: { ended.contains($0) }) { closing = pop(downTo: first) }
        open.append(tag.name)
        return decision(closing)
    }

    /// The closing tags that are missing at the end of a page.
    func missing() -> [String] { open.reversed() }

    private mutating func close(_ tag: HTMLTag) -> Decision {
        guard tag.attributes.isEmpty, !tag.endsWithSlash, let index = open.lastIndex(of: tag.name) else { return .text }
        // Emphasis does not reach out of its table, nor a cell's end into the table around it.
        if tag.name != "table", let table = open.lastIndex(of: "table"), index < table { return .text }
        let closing = pop(downTo: index + 1)
        open.removeLast()
        return .keep(closing: closing)
    }

    /// Ends all elements from `index` on; returns those whose end HTML does not imply.
    private mutating func pop(downTo index: Int) -> [String] {
        let ended = open[index...].reversed().filter { !Self.tableParts.contains($0) }
        open.removeSubrange(index...)
        return ended
    }

    /// The tag without attributes of mere looks; empty where it has none, nil where it has others.
    private static func withoutLooks(_ tag: HTMLTag) -> String? {
        var kept = ""
        var isChanged = false
        for attribute in tag.attributes {
            let isSpan = attribute.name == "colspan" || attribute.name == "rowspan"
            if isSpan, tag.name == "td" || tag.name == "th", let value = attribute.value,
                (1...4).contains(value.utf8.count),
                value.utf8.allSatisfy(\.isASCIIDigit)
            {
                kept += " \(attribute.name)=\"\(value)\""
            } else if isSpan || looks.contains(attribute.name) {
                isChanged = true
            } else {
                return nil
            }
        }
        return isChanged ? "<\(tag.name)\(kept)>" : ""
    }
}
