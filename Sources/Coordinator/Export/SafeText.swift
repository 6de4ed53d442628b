/// Text of a page between its code blocks: the rules of `SafeMarkdown` for paragraphs, tables and formulas.
struct SafeText {
    private let text: [UInt8]
    private(set) var markup: AllowedMarkup
    private var out: [UInt8] = []
    private var index = 0
    /// The end of the formula that `index` is in.
    private var formulaEnd = 0
    /// The place of a `>` that would make this line a note.
    private var forgedMark: Int?
    /// Whether a tag was kept since the last blank line.
    private var isInHTML = false

    /// Bytes that are searched for the end of a formula or of code.
    private static let reach = 4000
    /// Commands of formulas that make links or fetch.
    private static let linkCommands: Set<String> = [
        "href", "url", "includegraphics", "htmlId", "htmlClass", "htmlStyle", "htmlData", "cssId", "class", "style",
        "require", "Href", "unicode",
    ]

    init(_ text: [UInt8], markup: AllowedMarkup) {
        self.text = text
        self.markup = markup
        out.reserveCapacity(text.count + text.count / 8)
    }

    mutating func safe() -> [UInt8] {
        var isLineStart = true
        while index < text.count {
            if isLineStart { forgedMark = ForgedNote.quotationMark(text, lineAt: index) }
            if index == forgedMark { out.append(UInt8(ascii: "\\")) }
            let byte = text[index]
            isLineStart = byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if LinkTarget.isBlankLine(text, at: index) { isInHTML = false }
                copy(1)
            case UInt8(ascii: "<"): angle()
            case UInt8(ascii: "\\"): backslash()
            case UInt8(ascii: "`"): backticks()
            case UInt8(ascii: "$"): dollar()
            case UInt8(ascii: "]"): bracket()
            case UInt8(ascii: "!"):
                copy(1)
                if starts(with: "[["), formulaEnd <= index { out.append(0x20) }
            case UInt8(ascii: "{"): brace()
            default: copy(1)
            }
        }
        return out
    }

    private mutating func copy(_ count: Int) {
        out += text[index..<min(index + count, text.count)]
        index += count
    }

    private func byte(_ offset: Int) -> UInt8 { index + offset < text.count ? text[index + offset] : 0 }

    private func starts(with other: StaticString) -> Bool {
        other.withUTF8Buffer { text[min(index, text.count)...].starts(with: $0) }
    }

    // MARK: HTML

    private static func beginsMarkup(_ byte: UInt8) -> Bool {
        byte.isASCIILetter || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "!") || byte == UInt8(ascii: "?")
    }

    private mutating func angle() {
        guard Self.beginsMarkup(byte(1)) else { return copy(1) }
        if index < formulaEnd {
            copy(1)
            out.append(0x20)
            return
        }
        guard let tag = HTMLTag(text, at: index) else { return escapeAngle() }
        switch markup.decide(tag) {
        case .text: escapeAngle()
        case .keep(let closing):
            write(closing)
            copy(tag.end - index)
            isInHTML = true
        case .rewrite(let rewritten, let closing):
            write(closing)
            out += rewritten.utf8
            index = tag.end
            isInHTML = true
        }
    }

    private mutating func escapeAngle() {
        out += "&lt;".utf8
        index += 1
    }

    private mutating func write(_ closing: [String]) {
        for name in closing { out += "</\(name)>".utf8 }
    }

    // MARK: Formulas and code

    private mutating func backslash() {
        switch byte(1) {
        case UInt8(ascii: "<") where Self.beginsMarkup(byte(2)) && index >= formulaEnd:
            // In HTML the backslash would escape nothing.
            index += 1
            escapeAngle()
        case UInt8(ascii: "("):
            beginFormula(open: 2, close: "\\)")
        case UInt8(ascii: "["):
            beginFormula(open: 2, close: "\\]")
        case UInt8(ascii: "\\"), UInt8(ascii: "`"), UInt8(ascii: "$"): copy(2)
        case let next where next.isASCIILetter:
            let word = text[(index + 1)...].prefix(20).prefix(while: \.isASCIILetter)
            copy(1)
            if Self.linkCommands.contains(String(decoding: word, as: UTF8.self)) { out.append(0x20) }
        default: copy(1)
        }
    }

    private mutating func dollar() {
        guard index >= formulaEnd else { return copy(1) }
        if byte(1) == UInt8(ascii: "$") { return beginFormula(open: 2, close: "$$") }
        guard byte(1) != 0, !byte(1).isASCIISpace else { return copy(1) }
        beginFormula(open: 1, close: "$")
    }

    /// Writes what opens a formula and notes where it ends; without an end in its paragraph, or with a table in between, it
    /// is text.
    private mutating func beginFormula(open: Int, close: StaticString) {
        defer { copy(open) }
        guard index >= formulaEnd else { return }
        var end = index + open
        let limit = min(text.count, index + Self.reach)
        let isOneLine = close.utf8CodeUnitCount == 1
        while end < limit {
            let byte = text[end]
            if LinkTarget.isBlankLine(text, at: end) || (isOneLine && byte == UInt8(ascii: "\n")) { return }
            if close.withUTF8Buffer({ text[end...].starts(with: $0) }) {
                let isEnd =
                    !isOneLine
                    || (!text[end - 1].isASCIISpace && !(end + 1 < text.count && text[end + 1].isASCIIDigit))
                if isEnd {
                    formulaEnd = end
                    return
                }
            }
            if byte == UInt8(ascii: "\\"), isOneLine { end += 1 }
            if byte == UInt8(ascii: "<"), let tag = HTMLTag(text, at: end), AllowedMarkup.knows(tag.name),
                tag.name.utf8.count > 1
            {
                return
            }
            end += 1
        }
    }

    private mutating func backticks() {
        let length = text[index...].prefix { $0 == UInt8(ascii: "`") }.count
        guard !isInHTML, let end = codeEnd(length) else { return copy(length) }
        out += SafeCode.text(Array(text[index..<end]), isAtLineStart: false)
        index = end
    }

    /// The end of the code span that `length` backticks at `index` open.
    private func codeEnd(_ length: Int) -> Int? {
        var end = index + length
        let limit = min(text.count, index + Self.reach)
        while end < limit, !LinkTarget.isBlankLine(text, at: end) {
            let count = text[end...].prefix { $0 == UInt8(ascii: "`") }.count
            if count == length { return end + count }
            end += max(1, count)
        }
        return nil
    }

    // MARK: Links

    private mutating func bracket() {
        let next = byte(1)
        let leadsAway =
            next == UInt8(ascii: "(") && LinkTarget.leadsAway(text, openedAt: index + 1)
            || next == UInt8(ascii: ":") && LinkTarget.definitionLeadsAway(text, colonAt: index + 1)
        copy(1)
        if leadsAway { out.append(0x20) }
    }

    /// Attribute lists, `{onclick=...}` or `{#page-2}`, which some readers of Markdown know.
    private mutating func brace() {
        let list = text[(index + 1)...].prefix(500).prefix { $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "\n") }
        let end = list.endIndex
        guard end < text.count, text[end] == UInt8(ascii: "}") else { return copy(1) }
        var name: [UInt8] = []
        var acts = false
        for byte in list {
            switch byte {
            case UInt8(ascii: "="):
                let word = String(decoding: name, as: UTF8.self)
                acts =
                    acts || (word.hasPrefix("on") && word.utf8.count > 2)
                    || ["id", "name", "src", "srcset", "href", "style", "action", "formaction"].contains(word)
                name = []
            case let byte where byte.isASCIILetter: name.append(byte | 0x20)
            default: name = []
            }
        }
        let names = list.drop { $0 == 0x20 || $0 == UInt8(ascii: ":") }.first == UInt8(ascii: "#")
        if index < formulaEnd {
            copy(1)
            if acts { out.append(UInt8(ascii: "\n")) }
        } else if acts || names {
            out += "&#123;".utf8
            index += 1
        } else {
            copy(1)
        }
    }
}
