/// Where a Markdown link or image leads, as far as it matters: into the document's folder or elsewhere.
enum LinkTarget {
    /// Bytes that are looked at.
    private static let longest = 1000

    /// Whether what follows the `(` at `start` could lead out of the document's folder.
    ///
    /// A target is everything up to the parenthesis that matches, on the same line: a path and perhaps a title in quotes.
    static func leadsAway(_ text: [UInt8], openedAt start: Int) -> Bool {
        var depth = 1
        var index = start + 1
        let limit = min(text.count, index + longest)
        while index < limit {
            let byte = text[index]
            if byte == UInt8(ascii: "(") { depth += 1 }
            if byte == UInt8(ascii: ")") { depth -= 1 }
            if depth == 0 { return leadsAway(text[(start + 1)..<index]) }
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { break }
            index += 1
        }
        // A link without an end is none; but it may end on a later line, or nobody knows where.
        return index < text.count
    }

    /// Whether the `]:` whose colon is at `colon` could define a target for links, which would also hide its text.
    ///
    /// The models write no such definitions; only footnotes stay, and what is none for sure.
    static func mayDefine(_ text: [UInt8], lineAt start: Int, colonAt colon: Int) -> Bool {
        let before = text[start..<(colon - 1)]
        guard before.count < longest else { return true }
        let line = text[(colon + 1)...].prefix(longest).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        let rest = line.drop { $0 == 0x20 || $0 == 0x09 }
        let word = rest.prefix { $0 != 0x20 && $0 != 0x09 }
        if !word.isEmpty, !leadsAway(path: word) {
            // Behind a target only a title may stand, in quotes or parentheses.
            let next = rest[word.endIndex...].first { $0 != 0x20 && $0 != 0x09 } ?? 0
            if next.isASCIILetter || next.isASCIIDigit { return false }
            let label = before.dropFirst(2)
            if before.starts(with: "[^".utf8), !label.isEmpty,
                label.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "-") })
            {
                return false
            }
        }
        // A definition begins its line, but its label may go over lines.
        let isFirst = before.first { $0.isASCIILetter || $0 == UInt8(ascii: "[") } == UInt8(ascii: "[")
        return isFirst || !before.contains(UInt8(ascii: "[")) || before.contains(UInt8(ascii: "\\"))
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

    private static func leadsAway(_ target: ArraySlice<UInt8>) -> Bool {
        let path = target.drop(while: \.isASCIISpace).prefix { !$0.isASCIISpace }
        var rest = target[path.endIndex...].drop(while: \.isASCIISpace)
        while let last = rest.last, last.isASCIISpace { rest.removeLast() }
        guard let quote = rest.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            // Some readers drop white space.
            let joined = target.filter { !$0.isASCIISpace }
            return leadsAway(path: joined[...]) || rest.contains { "\"'".utf8.contains($0) }
        }
        let title = rest.dropFirst().dropLast()
        let isWhole = rest.count > 1 && rest.last == quote && !title.contains(quote)
        return leadsAway(path: path) || !isWhole || title.contains { "\\<`".utf8.contains($0) }
    }

    /// A path that has no colon, in whatever spelling, no slash in front and no step upwards leads to the document's folder.
    private static func leadsAway(path: ArraySlice<UInt8>) -> Bool {
        if path.first == UInt8(ascii: "/") { return true }
        if path.contains(where: { ":&\\<`".utf8.contains($0) || $0 < 0x20 }) { return true }
        for percent in path.indices where path[percent] == UInt8(ascii: "%") {
            // Browsers take `%2e` for a dot, and others resolve slashes and colons, too.
            let code = path[(percent + 1)...].prefix(2).map { $0 | 0x20 }
            if ["2e", "2f", "5c", "3a", "25"].contains(String(decoding: code, as: UTF8.self)) { return true }
        }
        return path.split { "/?#".utf8.contains($0) }.contains { $0.elementsEqual("..".utf8) }
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
