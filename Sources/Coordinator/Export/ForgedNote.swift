/// Lines of text that look like the notes with which Quire tells of a page: `> **Page 3** failed: ...`.
enum ForgedNote {
    /// Bytes that are looked at: nobody knows what comes after so much that does not show.
    private static let longest = 2000

    /// The place of the `>` that makes the line at `start` a quotation beginning with "Page" and a number; nil if it is
    /// none.
    ///
    /// The words may stand on later lines, up to a blank one.
    static func quotationMark(_ text: [UInt8], lineAt start: Int) -> Int? {
        var index = start
        var mark: Int?
        skip(text, &index, mark: &mark)
        guard mark != nil else { return nil }
        for letter in "page".utf8 {
            var ignored = mark
            if letter != UInt8(ascii: "p") { skip(text, &index, mark: &ignored, isInWord: true) }
            if index - start > longest { return mark }
            guard character(text, &index) == letter else { return nil }
        }
        skip(text, &index, mark: &mark, isInWord: true)
        if index - start > longest { return mark }
        guard let next = character(text, &index) else { return mark }
        return next.isASCIIDigit ? mark : nil
    }

    /// Skips what does not show, or does not keep a reader from taking the words behind it for a note: everything but letters
    /// and digits of ASCII.
    ///
    /// Also tags, targets of links, and the numbers of lists and footnotes before the first word.
    private static func skip(_ text: [UInt8], _ index: inout Int, mark: inout Int?, isInWord: Bool = false) {
        let limit = min(text.count, index + longest + 1)
        while index < limit {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if mark == nil || LinkTarget.isBlankLine(text, at: index) { return }
            case UInt8(ascii: ">") where mark == nil: mark = index
            case UInt8(ascii: "<"):
                if let tag = HTMLTag(text, at: index) { index = tag.end - 1 }
            case UInt8(ascii: "]") where index + 1 < limit && text[index + 1] == UInt8(ascii: "("):
                index = targetEnd(text, index) ?? index
            case UInt8(ascii: "!") where index + 1 < limit && text[index + 1] == UInt8(ascii: "["):
                // An image need not show, either.
                var end = index
                while end < limit, text[end] != UInt8(ascii: "\n"), text[end] != UInt8(ascii: "\r") {
                    if text[end] == UInt8(ascii: "]"), end + 1 < limit, text[end + 1] == UInt8(ascii: "(") {
                        index = targetEnd(text, end) ?? index
                        break
                    }
                    end += 1
                }
            case UInt8(ascii: "[") where index + 1 < limit && text[index + 1] == UInt8(ascii: "^") && mark == nil:
                if let end = text[index...].prefix(100).firstIndex(of: UInt8(ascii: "]")) { index = end }
            case UInt8(ascii: "&"):
                if let (value, end) = entity(text, index) {
                    if value != nil { return }
                    index = end - 1
                }
            case let byte where byte.isASCIIDigit && !isInWord:
                var end = index
                while end < limit, text[end].isASCIIDigit { end += 1 }
                guard end < limit, text[end] == UInt8(ascii: ".") || text[end] == UInt8(ascii: ")") else { return }
                index = end
            case let byte where byte.isASCIILetter || byte.isASCIIDigit: return
            default: break
            }
            index += 1
        }
    }

    /// The place of the first `)` behind `start` on its line.
    private static func targetEnd(_ text: [UInt8], _ start: Int) -> Int? {
        let near = text[start...].prefix(longest)
        let end = near.firstIndex { ")\n\r".utf8.contains($0) }
        return end.flatMap { text[$0] == UInt8(ascii: ")") ? $0 : nil }
    }

    /// The next character in lower case, entities of ASCII letters and digits resolved; nil at the end of the line.
    private static func character(_ text: [UInt8], _ index: inout Int) -> UInt8? {
        guard index < text.count, text[index] != UInt8(ascii: "\n"), text[index] != UInt8(ascii: "\r") else {
            return nil
        }
        if text[index] == UInt8(ascii: "&"), let (value, end) = entity(text, index), let value {
            index = end
            return value.isASCIILetter ? value | 0x20 : value
        }
        defer { index += 1 }
        return text[index].isASCIILetter ? text[index] | 0x20 : text[index]
    }

    /// An entity's value, nil unless it is a letter or digit of ASCII, and where it ends; nil if there is no entity.
    private static func entity(_ text: [UInt8], _ start: Int) -> (value: UInt8?, end: Int)? {
        var index = start + 1
        while index < min(text.count, start + 12),
            text[index].isASCIILetter || text[index].isASCIIDigit || text[index] == UInt8(ascii: "#")
        {
            index += 1
        }
        guard index < text.count, index > start + 1, text[index] == UInt8(ascii: ";") else { return nil }
        let name = String(decoding: text[(start + 1)..<index], as: UTF8.self).lowercased()
        var value: UInt8?
        if name.hasPrefix("#x") {
            value = UInt8(name.dropFirst(2), radix: 16)
        } else if name.hasPrefix("#") {
            value = UInt8(name.dropFirst())
        }
        return (value.flatMap { $0.isASCIILetter || $0.isASCIIDigit ? $0 : nil }, index + 1)
    }
}
