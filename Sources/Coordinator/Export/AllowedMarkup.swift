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

    /// Where a tag stands.
    struct Place {
        let text: [UInt8]
        let index: Int
        let end: Int
        /// The number of the stretch that is HTML for every reader, and that the tag is in or begins; nil if there is none.
        let htmlBlock: Int?
    }

    private struct Element {
        let name: String
        /// Where its content begins.
        let start: Int
        let htmlBlock: Int?
    }

    private var open: [Element] = []
    /// Elements with closing tags that some readers may take for code, or for a part of a link.
    private var doubtful: [String] = []

    private static let tableParts: Set<String> = ["caption", "thead", "tbody", "tfoot", "tr", "td", "th"]
    /// The parts that hold text, emphasis and other tables.
    private static let holdText: Set<String> = ["caption", "td", "th"]
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

    /// Whether HTML begins where such a tag begins a line, whatever follows.
    static func beginsBlock(_ name: String) -> Bool { name == "table" || name == "center" || tableParts.contains(name) }

    var isInTable: Bool { open.contains { $0.name == "table" } }

    /// Ends all tables, and what is open in them; returns the closing tags.
    mutating func endTables() -> [UInt8] {
        guard let table = open.firstIndex(where: { $0.name == "table" }) else { return [] }
        defer { open.removeSubrange(table...) }
        return open[table...].reversed().flatMap { Array("</\($0.name)>".utf8) }
    }

    mutating func decide(_ tag: HTMLTag, at place: Place) -> Decision {
        guard Self.knows(tag.name) else { return .text }
        if tag.isClosing { return close(tag, place) }
        guard let rewritten = Self.withoutLooks(tag) else { return .text }
        func decision(_ closing: [String]) -> Decision {
            rewritten.isEmpty ? .keep(closing: closing) : .rewrite(rewritten, closing: closing)
        }
        let element = Element(name: tag.name, start: place.end, htmlBlock: place.htmlBlock)
        if tag.name == "br" { return decision([]) }
        guard !tag.endsWithSlash, open.count < Self.deepest else { return .text }
        guard Self.tableParts.contains(tag.name) else {
            // Between a table and its cells there is no place for it: browsers move it in front of the table.
            if let last = open.last?.name, last == "table" || Self.tableParts.contains(last),
                !Self.holdText.contains(last)
            {
                return .text
            }
            open.append(element)
            return decision([])
        }
        guard let table = open.lastIndex(where: { $0.name == "table" }) else { return .text }
        // A new cell ends the one before it, a new row the one before that, as in HTML; emphasis ends with its cell.
        let ended: Set<String> =
            switch tag.name {
            case "td", "th": ["td", "th", "caption"]
            case "tr": ["td", "th", "tr", "caption"]
            default: Self.tableParts
            }
        var closing: [String] = []
        if let first = open[(table + 1)...].firstIndex(where: { ended.contains($0.name) }) {
            closing = pop(downTo: first, place)
        }
        open.append(element)
        return decision(closing)
    }

    /// The elements whose closing tags are missing at the end of a page, or may be missing for some readers: one too many is
    /// nothing in HTML.
    func missing() -> [String] { open.reversed().map(\.name) + doubtful }

    private mutating func close(_ tag: HTMLTag, _ place: Place) -> Decision {
        guard tag.attributes.isEmpty, !tag.endsWithSlash, let index = open.lastIndex(where: { $0.name == tag.name })
        else { return .text }
        // Emphasis does not reach out of its table, nor a cell's end into the table around it.
        if tag.name != "table", let table = open.lastIndex(where: { $0.name == "table" }), index < table {
            return .text
        }
        let closing = pop(downTo: index + 1, place)
        _ = pop(downTo: index, place)
        return .keep(closing: closing)
    }

    /// Ends all elements from `index` on; returns those whose end HTML does not imply.
    private mutating func pop(downTo index: Int, _ place: Place) -> [String] {
        let ended = open[index...].reversed().filter { !Self.tableParts.contains($0.name) }
        open.removeSubrange(index...)
        doubtful += ended.filter { !isCertain($0, place) }.map(\.name)
        return ended.map(\.name)
    }

    /// Whether every reader that sees an element's beginning also sees its end.
    private func isCertain(_ element: Element, _ place: Place) -> Bool {
        if let block = element.htmlBlock, block == place.htmlBlock { return true }
        guard place.index - element.start <= Self.reach else { return false }
        // On one line, without a beginning or an end of code, of a link or of a table's cell.
        var depth = (round: 0, square: 0)
        for byte in place.text[element.start..<place.index] {
            switch byte {
            case UInt8(ascii: "("): depth.round += 1
            case UInt8(ascii: ")"): depth.round -= 1
            case UInt8(ascii: "["): depth.square += 1
            case UInt8(ascii: "]"): depth.square -= 1
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\\"), UInt8(ascii: "`"), UInt8(ascii: "|"):
                return false
            default: break
            }
            if depth.round < 0 || depth.square < 0 { return false }
        }
        return depth == (0, 0)
    }

    /// Elements within each other.
    private static let deepest = 100

    /// Bytes that are looked at between two tags.
    private static let reach = 1000

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
