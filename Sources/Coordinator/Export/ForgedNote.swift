/// Lines of text that look like the notes with which Quire tells of a page: `> **Page 3** failed: ...`.
enum ForgedNote {
    /// The place of the `>` that makes the line at `start` a quotation beginning with "Page" and a number; nil if it is
    /// none.
    static func quotationMark(_ text: [UInt8], lineAt start: Int) -> Int? {
        var index = start
        var mark: Int?
        for letter in "page".utf8 {
            skip(text, &index, mark: &mark, isBeforeWord: letter == UInt8(ascii: "p"))
            guard mark != nil, character(text, &index) == letter else { return nil }
        }
        var ignored: Int?
        skip(text, &index, mark: &ignored, isBeforeWord: false)
        guard let next = character(text, &index) else { return mark }
        return next.isASCIIDigit ? mark : nil
    }

    /// Skips what does not show: spaces, emphasis, tags, markers of lists and quotations, bytes that are not ASCII.
    private static func skip(_ text: [UInt8], _ index: inout Int, mark: inout Int?, isBeforeWord: Bool) {
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: ">"):
                if mark == nil { mark = index }
                index += 1
            case 0x20, 0x09, UInt8(ascii: "*"), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "`"),
                UInt8(ascii: "\\"), UInt8(ascii: "#"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "-"),
                UInt8(ascii: "+"), 0x80...0xFF:
                index += 1
            case UInt8(ascii: "<"):
                guard let tag = HTMLTag(text, at: index) else { return }
                index = tag.end
            case UInt8(ascii: "&"):
                guard let (value, end) = entity(text, index), value == nil else { return }
                index = end
            case UInt8(ascii: "0")...UInt8(ascii: "9") where isBeforeWord:
                var end = index
                while end < text.count, text[end].isASCIIDigit { end += 1 }
                guard end < text.count, text[end] == UInt8(ascii: ".") || text[end] == UInt8(ascii: ")") else { return }
                index = end + 1
            default: return
            }
        }
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
