/// A page as it is written: the rules of `SafeMarkdown` for paragraphs, tables, formulas and code.
struct SafeText {
    /// The whole page.
    private let text: [UInt8]
    /// The end of the lines that are being written.
    private var end = 0
    private var markup = AllowedMarkup()
    private(set) var reading = Reading()
    private var out: [UInt8] = []
    private var index = 0
    private var line = 0..<0
    /// The end of the formula that `index` is in.
    private var formulaEnd = 0
    /// The place of a `>` that would make this line a note.
    private var forgedMark: Int?
    /// The place of a mark that shall get a backslash.
    var escapedMark: Int?
    /// The next tag of a table at or behind the place that was asked for last.
    private var nextTable = (place: -1, isClosing: false)

    /// Bytes that are searched for the end of a formula.
    private static let reach = 4000
    /// Commands of formulas that make links or fetch.
    private static let linkCommands: Set<String> = [
        "href", "url", "includegraphics", "htmlId", "htmlClass", "htmlStyle", "htmlData", "cssId", "class", "style",
        "require", "Href", "unicode",
    ]

    init(_ text: [UInt8]) {
        self.text = text
        out.reserveCapacity(text.count + text.count / 8)
    }

    /// Writes the lines of text up to `end`.
    mutating func add(upTo end: Int) {
        self.end = end
        while index < end {
            if index == line.upperBound {
                line = index..<text.lineEnd(after: index)
                guard beginLine() else {
                    index = line.upperBound
                    continue
                }
            }
            if index == forgedMark || index == escapedMark { out.append(UInt8(ascii: "\\")) }
            switch text[index] {
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
    }

    /// Writes the lines up to `end`, code that is fenced in every reading.
    ///
    /// Tables end before it, HTML with a blank line.
    mutating func add(codeUpTo end: Int) {
        endTables()
        if reading.html != .none { writeBlankLine() }
        out += SafeCode.text(Array(text[index..<end]))
        reading.passCode()
        (index, line) = (end, end..<end)
    }

    /// Writes a line of its own.
    mutating func write(line: [UInt8]) {
        endLine()
        out += line + [UInt8(ascii: "\n")]
    }

    private mutating func endTables() {
        let closing = markup.endTables()
        if !closing.isEmpty { write(line: closing) }
    }

    private mutating func writeBlankLine() {
        endLine()
        // Behind a CR the first LF would only be the second half of a line's end.
        if out.last == UInt8(ascii: "\r") { out.append(UInt8(ascii: "\n")) }
        out.append(UInt8(ascii: "\n"))
    }

    private mutating func endLine() {
        if !isAtLineStart { out.append(UInt8(ascii: "\n")) }
    }

    /// All that was written, and the closing tags that are missing.
    ///
    /// After a blank line, and each on a line of its own, they are HTML for every reader, and outside of paragraphs.
    mutating func finished() -> [UInt8] {
        add(upTo: text.count)
        endTables()
        let missing = markup.missing()
        guard !missing.isEmpty else { return out }
        writeBlankLine()
        for (index, name) in missing.enumerated() { out += "\(index > 0 ? "\n" : "")</\(name)>".utf8 }
        return out
    }

    private var isAtLineStart: Bool {
        out.last.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? true
    }

    /// Begins a line; false if it is to be left out.
    ///
    /// A blank line would end the HTML of a table, and readers would take its cells for Markdown, or for code. So it is left
    /// out where the table goes on, and ends the table where that has no end.
    private mutating func beginLine() -> Bool {
        if markup.isInTable, text[line].allSatisfy(\.isASCIISpace) {
            if isTableClosedNext() { return false }
            endTables()
        }
        reading.begin(text[line])
        forgedMark = ForgedNote.quotationMark(text, lineAt: index)
        return true
    }

    private mutating func isTableClosedNext() -> Bool {
        if nextTable.place < index {
            var place = index
            while place < text.count {
                let lower = text[place...].prefix(8).map { $0.isASCIILetter ? $0 | 0x20 : $0 }
                nextTable.isClosing = lower.starts(with: "</table".utf8)
                if nextTable.isClosing || lower.starts(with: "<table".utf8) { break }
                place += 1
                while place < text.count, text[place] != UInt8(ascii: "<") { place += 1 }
            }
            nextTable.place = place
        }
        return nextTable.isClosing
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
        guard index >= formulaEnd else { return spaceAngle() }
        guard let tag = HTMLTag(text, at: index), !endsFence(tag) else { return escapeAngle() }
        let html = self.html(beginningWith: tag)
        let isCertain = (html ?? reading.html) == .certain
        let block = reading.htmlBlock + (reading.html == .certain ? 0 : 1)
        let place = AllowedMarkup.Place(text: text, index: index, end: tag.end, htmlBlock: isCertain ? block : nil)
        switch markup.decide(tag, at: place) {
        case .text: return escapeAngle()
        case .keep(let closing):
            begin(tag, closing)
            copy(tag.end - index)
        case .rewrite(let rewritten, let closing):
            begin(tag, closing)
            out += rewritten.utf8
            index = tag.end
        }
        if let html { reading.beginHTML(isCertain: html == .certain) }
    }

    /// Writes what ends before a tag.
    ///
    /// A table gets a line of its own unless it is in HTML already, so that it is HTML from its beginning and in no list,
    /// quotation or heading.
    private mutating func begin(_ tag: HTMLTag, _ closing: [String]) {
        if let first = closing.first, AllowedMarkup.beginsBlock(first), isFirstWord {
            reading.beginHTML(isCertain: isAtLineStart)
        }
        for name in closing { out += "</\(name)>".utf8 }
        if tag.name == "table", reading.html != .certain, !isAtLineStart { out.append(UInt8(ascii: "\n")) }
    }

    /// Whether a table's new line would make a fence of what stands before it.
    private func endsFence(_ tag: HTMLTag) -> Bool {
        guard tag.name == "table", reading.html != .certain, !isAtLineStart else { return false }
        var run = 0
        for byte in text[line.lowerBound..<index] {
            run = byte == UInt8(ascii: "`") ? run + 1 : 0
            if run == 3 { return true }
        }
        return false
    }

    /// Whether only markers of lists and the like stand before `index` on its line.
    private var isFirstWord: Bool { !text[line.lowerBound..<index].contains(where: \.isASCIILetter) }

    /// What a tag that is kept would begin; nil if it stands in the midst of text.
    private func html(beginningWith tag: HTMLTag) -> Reading.HTML? {
        if tag.name == "table" { return .certain }
        guard isFirstWord else { return nil }
        if AllowedMarkup.beginsBlock(tag.name) { return isAtLineStart ? .certain : .possible }
        // Some readers take other spaces for spaces, too, which are not ASCII.
        return text[tag.end..<line.upperBound].allSatisfy { $0.isASCIISpace || $0 >= 0x80 } ? .possible : nil
    }

    /// Makes a `<` text: spelt as an entity or, where that could show because the line may be code, with a space.
    private mutating func escapeAngle() {
        guard !reading.mayBeCode else { return spaceAngle() }
        out += "&lt;".utf8
        index += 1
    }

    private mutating func spaceAngle() {
        copy(1)
        out.append(0x20)
    }

    // MARK: Formulas and code

    private mutating func backslash() {
        switch byte(1) {
        case UInt8(ascii: "<") where Self.beginsMarkup(byte(2)) && index >= formulaEnd:
            // In HTML the backslash would escape nothing.
            if reading.mayBeCode { copy(1) } else { index += 1 }
            escapeAngle()
        case UInt8(ascii: "("):
            beginFormula(open: 2, close: "\\)")
        case UInt8(ascii: "["):
            beginFormula(open: 2, close: "\\]")
        case UInt8(ascii: "\\"), UInt8(ascii: "`"), UInt8(ascii: "$"): copy(2)
        case let next where next.isASCIILetter:
            let word = text[(index + 1)...].prefix(20).prefix(while: \.isASCIILetter)
            let behind = text[word.endIndex...].prefix(200).drop(while: \.isASCIISpace).first
            let mayLead = index < formulaEnd || behind == UInt8(ascii: "{") || behind == UInt8(ascii: "[")
            copy(1)
            if mayLead, Self.linkCommands.contains(String(decoding: word, as: UTF8.self)) { out.append(0x20) }
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
        let limit = min(self.end, index + Self.reach)
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
                tag.name.utf8.count > 1 || tag.isClosing
            {
                return
            }
            end += 1
        }
    }

    private mutating func backticks() {
        // Readers that know formulas may not see these backticks.
        if index < formulaEnd { reading.doubtBackticks() }
        if let span = reading.span(at: index) {
            out += SafeCode.text(Array(text[span]))
            index = span.upperBound
        } else {
            copy(text[index...].prefix { $0 == UInt8(ascii: "`") }.count)
        }
    }

    // MARK: Links

    private mutating func bracket() {
        let next = byte(1)
        let leadsAway =
            next == UInt8(ascii: "(") && LinkTarget.leadsAway(text, openedAt: index + 1)
            || next == UInt8(ascii: ":") && LinkTarget.mayDefine(text, lineAt: line.lowerBound, colonAt: index + 1)
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
            // A list of attributes ends with its line, and `{}` is nothing in a formula.
            if acts { out += "\n{}".utf8 }
        } else if acts || names {
            out += "&#123;".utf8
            index += 1
        } else {
            copy(1)
        }
    }
}
