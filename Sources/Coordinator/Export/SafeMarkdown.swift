/// What the model wrote, made harmless for any reader of Markdown, also one that allows HTML.
///
/// A page can copy anything that was typed on it. Of its HTML only tables and plain emphasis stay markup (`AllowedMarkup`),
/// balanced, so that nothing of a page reaches into the next one; everything else is text that shows. Links and images lead
/// only into the document's own folder. No line can pass for one of Quire's anchors or notes. Formulas, code and tables keep
/// their text; where `<` would begin a tag in a formula, a space follows it.
///
/// A pure function: nothing is left out, and text that has none of this stays as it is, byte for byte.
package enum SafeMarkdown {
    package static func text(_ markdown: String) -> String {
        var page = Page(Array(markdown.utf8))
        return String(decoding: page.safe(), as: UTF8.self)
    }

    /// Splits a page into fenced code, which readers of Markdown take literally, and text.
    private struct Page {
        private let lines: [ArraySlice<UInt8>]
        private var out: [UInt8] = []
        private var markup = AllowedMarkup()
        /// Lines of text that are not written yet.
        private var pending: [UInt8] = []
        /// Whether a tag stands between here and the last blank line: readers may take what follows for HTML.
        private var isInHTML = false

        /// Lines that are searched for the end of code which is indented.
        private static let reach = 2000

        init(_ text: [UInt8]) { lines = Self.split(text) }

        mutating func safe() -> [UInt8] {
            var index = 0
            while index < lines.count {
                let line = lines[index]
                guard let fence = Fence(line) else {
                    add(line)
                    index += 1
                    continue
                }
                if fence.indent == 0 {
                    // A blank line ends HTML for sure, so that the fence is one for every reader.
                    if isInHTML { add([UInt8(ascii: "\n")]) }
                    let end = lines[(index + 1)...].firstIndex { fence.isClosed(by: $0) }
                    write(code: index...(end ?? lines.count - 1))
                    if end == nil {
                        if !Self.endsLine(out) { out.append(UInt8(ascii: "\n")) }
                        out += fence.closing
                    }
                    index = (end ?? lines.count - 1) + 1
                } else if !isInHTML, let end = indentedEnd(of: fence, at: index) {
                    write(code: index...end)
                    index = end + 1
                } else {
                    // Who knows how readers take it: no fence at all, then.
                    let mark = line.startIndex + fence.indent
                    add(line[..<mark] + [UInt8(ascii: "\\")] + line[mark...])
                    index += 1
                }
            }
            writeText()
            out += markup.missing().flatMap { Array("</\($0)>".utf8) }
            return out
        }

        private mutating func add(_ line: ArraySlice<UInt8>) {
            pending += line
            if line.allSatisfy(\.isASCIISpace) {
                isInHTML = false
            } else if zip(line, line.dropFirst()).contains(where: {
                $0 == UInt8(ascii: "<") && ($1.isASCIILetter || $1 == UInt8(ascii: "/"))
            }) {
                isInHTML = true
            }
        }

        private mutating func writeText() {
            var text = SafeText(pending, markup: markup)
            out += text.safe()
            markup = text.markup
            pending = []
        }

        private mutating func write(code range: ClosedRange<Int>) {
            writeText()
            for line in lines[range] { out += SafeCode.text(Array(line), isAtLineStart: true) }
            isInHTML = false
        }

        /// Where code that is indented ends, if everything up to there is indented as much.
        private func indentedEnd(of fence: Fence, at index: Int) -> Int? {
            for other in lines.indices[(index + 1)...].prefix(Self.reach) {
                let line = lines[other]
                let indent = line.prefix { $0 == 0x20 }.count
                if fence.isClosed(by: line) { return indent == fence.indent ? other : nil }
                guard indent >= fence.indent || line.allSatisfy(\.isASCIISpace) else { return nil }
            }
            return nil
        }

        private static func endsLine(_ text: [UInt8]) -> Bool {
            text.last == UInt8(ascii: "\n") || text.last == UInt8(ascii: "\r")
        }

        /// Lines with their ends: LF, CR LF or CR.
        private static func split(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
            var lines: [ArraySlice<UInt8>] = []
            var start = 0
            var index = 0
            while index < text.count {
                let byte = text[index]
                index += 1
                if byte == UInt8(ascii: "\r"), index < text.count, text[index] == UInt8(ascii: "\n") { index += 1 }
                guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else { continue }
                lines.append(text[start..<index])
                start = index
            }
            if start < text.count { lines.append(text[start...]) }
            return lines
        }
    }

    /// The line that opens fenced code.
    private struct Fence {
        let indent: Int
        private let mark: UInt8
        private let length: Int

        init?(_ line: ArraySlice<UInt8>) {
            indent = line.prefix { $0 == 0x20 }.count
            let rest = line.dropFirst(indent)
            guard indent < 4, let mark = rest.first, mark == UInt8(ascii: "`") || mark == UInt8(ascii: "~") else {
                return nil
            }
            self.mark = mark
            length = rest.prefix { $0 == mark }.count
            guard length >= 3 else { return nil }
            if mark == UInt8(ascii: "`"), rest.dropFirst(length).contains(mark) { return nil }
        }

        func isClosed(by line: ArraySlice<UInt8>) -> Bool {
            let spaces = line.prefix { $0 == 0x20 }.count
            let rest = line.dropFirst(spaces)
            let count = rest.prefix { $0 == mark }.count
            return spaces < 4 && count >= length && rest.dropFirst(count).allSatisfy(\.isASCIISpace)
        }

        var closing: [UInt8] { [UInt8](repeating: mark, count: length) }
    }
}
