/// What the model wrote, made harmless for any reader of Markdown, also one that allows HTML.
///
/// A page can copy anything that was typed on it. Of its HTML only tables and plain emphasis stay markup (`AllowedMarkup`),
/// balanced, so that nothing of a page reaches into the next one; everything else is text that shows. Links and images lead
/// only into the document's own folder. No line can pass for one of Quire's anchors or notes.
///
/// Code is code only where no reader can differ: between fences at the start of a line, or between backticks on one line.
/// Everything else is text. Where it may be code for some readers, a space follows each `<` that could begin a tag, as in
/// formulas: that is harmless as text and as code.
///
/// A pure function: no word is left out, and text that has none of this stays as it is, byte for byte.
package enum SafeMarkdown {
    package static func text(_ markdown: String) -> String {
        var page = Page(Array(markdown.utf8))
        return String(decoding: page.safe(), as: UTF8.self)
    }

    /// Splits a page into fenced code, which readers of Markdown take literally, and text.
    private struct Page {
        private let lines: [ArraySlice<UInt8>]
        private var text: SafeText

        init(_ text: [UInt8]) {
            lines = Self.split(text)
            self.text = SafeText(text)
        }

        mutating func safe() -> [UInt8] {
            var index = 0
            while index < lines.count {
                let line = lines[index]
                index += 1
                guard let fence = Fence(line) else { continue }
                text.add(upTo: line.startIndex)
                if let end = codeEnd(of: fence, at: index - 1) {
                    text.add(codeUpTo: lines[end].endIndex)
                    index = end + 1
                } else if fence.indent == 0, !fence.mayBeTable {
                    text.add(codeUpTo: lines[lines.count - 1].endIndex)
                    text.write(line: fence.closing)
                    index = lines.count
                } else {
                    // Who knows how readers take it: no fence at all, then.
                    text.escapedMark = line.startIndex + fence.indent
                }
            }
            return text.finished()
        }

        /// The last line of the code that a fence opens; nil if it has no end that is one for every reader.
        private func codeEnd(of fence: Fence, at index: Int) -> Int? {
            if fence.mayBeTable { return nil }
            if fence.indent == 0 { return lines[(index + 1)...].firstIndex { fence.isClosed(by: $0) } }
            guard text.reading.html == .none, !text.reading.mayBeFenced else { return nil }
            return fence.indentedEnd(in: lines, after: index)
        }

        /// Lines with their ends: LF, CR LF or CR.
        private static func split(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
            var lines: [ArraySlice<UInt8>] = []
            var start = 0
            while start < text.count {
                let end = text.lineEnd(after: start)
                lines.append(text[start..<end])
                start = end
            }
            return lines
        }
    }
}

extension [UInt8] {
    /// Where the line that `index` is in ends, its LF, CR LF or CR included.
    func lineEnd(after index: Int) -> Int {
        guard var end = self[index...].firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") })
        else {
            return count
        }
        if self[end] == UInt8(ascii: "\r"), end + 1 < count, self[end + 1] == UInt8(ascii: "\n") { end += 1 }
        return end + 1
    }
}
