/// Code on a page: literal text for readers of Markdown that know code; for the others nothing in it acts.
enum SafeCode {
    /// Elements that run, fetch, hide or swallow what follows.
    private static let acting: Set<String> = [
        "script", "img", "iframe", "object", "embed", "applet", "link", "meta", "base", "style", "svg", "math", "video",
        "audio", "source", "track", "canvas", "form", "input", "button", "textarea", "select", "option", "datalist",
        "frame", "frameset", "noframes", "noscript", "noembed", "template", "title", "head", "xmp", "plaintext",
        "listing", "pre",
        "details", "dialog", "marquee", "portal", "fencedframe", "bgsound",
    ]
    private static let actingAttributes: Set<String> = [
        "src", "srcset", "srcdoc", "href", "style", "id", "name", "action", "formaction", "background", "poster",
        "data",
        "xmlns", "ping", "is",
    ]

    /// The code with a space behind each `<` that would begin something that acts, and behind the `]` of links that lead
    /// away outright.
    ///
    /// A line that a program could take for a note gets a backslash.
    static func text(_ code: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(code.count)
        var isAtLineStart = true
        for (index, byte) in code.enumerated() {
            if isAtLineStart, byte == UInt8(ascii: ">"), isExactNote(code[index...]) { out.append(UInt8(ascii: "\\")) }
            isAtLineStart = byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
            out.append(byte)
            guard index + 1 < code.count else { break }
            if byte == UInt8(ascii: "<") {
                if acts(code, at: index) { out.append(0x20) }
            } else if byte == UInt8(ascii: "]"), code[index + 1] == UInt8(ascii: "(") {
                if LinkTarget.isOutright(code, openedAt: index + 1) { out.append(0x20) }
            }
        }
        return out
    }

    /// Whether a program that reads line by line would take this one for a note.
    private static func isExactNote(_ line: ArraySlice<UInt8>) -> Bool {
        let rest = line.dropFirst().prefix(200)
        return rest.drop { $0 == 0x20 || $0 == UInt8(ascii: "*") }.starts(with: "Page ".utf8)
    }

    /// Bytes that a tag may have: one that is longer may do anything.
    private static let longest = 2000

    private static func acts(_ code: [UInt8], at start: Int) -> Bool {
        let isClosing = code[start + 1] == UInt8(ascii: "/")
        let rest = code[(start + (isClosing ? 2 : 1))...].prefix(longest)
        guard let first = rest.first else { return false }
        if first == UInt8(ascii: "!") || first == UInt8(ascii: "?") { return true }
        guard first.isASCIILetter else { return false }
        let name = rest.prefix { $0.isASCIILetter || $0.isASCIIDigit }
        if acting.contains(String(decoding: name, as: UTF8.self).lowercased()) { return true }
        return hasActingAttribute(rest[name.endIndex...])
    }

    /// Whether a browser would find an attribute that acts in a tag behind its name, however malformed the tag.
    private static func hasActingAttribute(_ tag: ArraySlice<UInt8>) -> Bool {
        var index = tag.startIndex
        var name: [UInt8] = []
        while index < tag.endIndex {
            let byte = tag[index]
            index += 1
            if byte == UInt8(ascii: ">") { return false }
            if byte.isASCIISpace || byte == UInt8(ascii: "/") {
                // The equals sign may come after a space.
                if let next = tag[index...].first(where: { !$0.isASCIISpace }), next != UInt8(ascii: "=") { name = [] }
            } else if byte != UInt8(ascii: "=") {
                name.append(byte.isASCIILetter ? byte | 0x20 : byte)
            } else {
                let word = String(decoding: name, as: UTF8.self)
                if actingAttributes.contains(word) || word.hasPrefix("on") || word.hasPrefix("xlink") { return true }
                name = []
                index += tag[index...].prefix(while: \.isASCIISpace).count
                guard let quote = tag[index...].first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
                    continue
                }
                // A value without an end takes the rest of the page.
                guard let end = tag[(index + 1)...].firstIndex(of: quote) else { return true }
                index = end + 1
            }
        }
        return tag.count >= longest - 100
    }
}
