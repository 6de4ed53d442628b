/// Where a Markdown link or image leads, as far as it matters: into the document's folder or elsewhere.
enum LinkTarget {
    /// Bytes that are looked at.
    private static let longest = 1000

    /// Whether what follows the `(` at `start` could lead out of the document's folder.
    ///
    /// Everything up to the parenthesis that matches is judged together, as some readers of Markdown drop white space. A
    /// target that has no colon, in whatever spelling, and no slash in front is relative.
    static func leadsAway(_ text: [UInt8], openedAt start: Int) -> Bool {
        var depth = 0
        var index = start + 1
        var target: [UInt8] = []
        while index < text.count, text[index].isASCIISpace, !isBlankLine(text, at: index) { index += 1 }
        let limit = min(text.count, index + longest)
        while index < limit, !isBlankLine(text, at: index) {
            let byte = text[index]
            if byte == UInt8(ascii: "(") { depth += 1 }
            if byte == UInt8(ascii: ")") {
                if depth == 0 { break }
                depth -= 1
            }
            if !byte.isASCIISpace { target.append(byte) }
            index += 1
        }
        // Nobody knows what comes after so much.
        if index == limit, limit < text.count { return true }
        return leadsAway(target)
    }

    /// The same for the target of a definition, behind the `:` at `start`.
    static func definitionLeadsAway(_ text: [UInt8], colonAt start: Int) -> Bool {
        var index = start + 1
        while index < text.count, text[index].isASCIISpace, !isBlankLine(text, at: index) { index += 1 }
        let limit = min(text.count, index + longest)
        var target: [UInt8] = []
        while index < limit, !text[index].isASCIISpace {
            target.append(text[index])
            index += 1
        }
        return leadsAway(target)
    }

    /// Whether code holds a link that a reader without code blocks would follow.
    static func isOutright(_ text: [UInt8], openedAt start: Int) -> Bool {
        var target: [UInt8] = []
        var index = start + 1
        let limit = min(text.count, start + 200)
        while index < limit, text[index] != UInt8(ascii: ")") {
            if !text[index].isASCIISpace { target.append(text[index] | (text[index].isASCIILetter ? 0x20 : 0)) }
            index += 1
        }
        let shown = String(decoding: target, as: UTF8.self)
        return shown.hasPrefix("//") || shown.hasPrefix("<") || shown.contains("://") || shown.contains("&")
            || ["javascript:", "vbscript:", "data:", "file:"].contains { shown.contains($0) }
    }

    private static func leadsAway(_ target: [UInt8]) -> Bool {
        if target.first == UInt8(ascii: "/") { return true }
        if target.contains(where: { ":&\\<".utf8.contains($0) || $0 < 0x20 }) { return true }
        return target.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
    }

    /// Whether a line ends at `index` and the next one is blank.
    static func isBlankLine(_ text: [UInt8], at index: Int) -> Bool {
        guard text[index] == UInt8(ascii: "\n") || text[index] == UInt8(ascii: "\r") else { return false }
        var next = index + 1
        if text[index] == UInt8(ascii: "\r"), next < text.count, text[next] == UInt8(ascii: "\n") { next += 1 }
        while next < text.count, text[next] == 0x20 || text[next] == 0x09 { next += 1 }
        return next == text.count || text[next] == UInt8(ascii: "\n") || text[next] == UInt8(ascii: "\r")
    }
}
