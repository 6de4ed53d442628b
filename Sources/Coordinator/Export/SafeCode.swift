/// Code on a page: literal text for readers of Markdown that know code; for the others nothing in it acts.
enum SafeCode {
    /// Elements that run, fetch, hide or swallow what follows.
    private static let acting: Set<String> = [
        "script", "img", "iframe", "object", "embed", "applet", "link", "meta", "base", "style", "svg", "math", "video",
        "audio", "source", "track", "canvas", "form", "input", "button", "textarea", "select", "option", "datalist",
        "frame", "frameset", "noframes", "noscript", "noembed", "template", "title", "head", "xmp", "plaintext",
        "listing",
        "details", "dialog", "marquee", "portal", "fencedframe", "bgsound",
    ]
    private static let actingAttributes: Set<String> = [
        "src", "srcset", "srcdoc", "href", "style", "id", "name", "action", "formaction", "background", "poster",
        "data",
        "xmlns", "ping", "is",
    ]

    /// The code with a space behind each `<` that would begin something that acts, and behind the `]` of links that lead
    /// away outright.
    static func text(_ code: [UInt8], isAtLineStart: Bool) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(code.count)
        for (index, byte) in code.enumerated() {
            if isAtLineStart, byte == UInt8(ascii: ">"), index == 0, isExactNote(code) {
                out.append(UInt8(ascii: "\\"))
            }
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
    private static func isExactNote(_ line: [UInt8]) -> Bool {
        let rest = line.dropFirst()
        return rest.drop { $0 == 0x20 || $0 == UInt8(ascii: "*") }.starts(with: "Page ".utf8)
    }

    private static func acts(_ code: [UInt8], at start: Int) -> Bool {
        var index = start + 1
        if code[index] == UInt8(ascii: "!") { return true }
        if code[index] == UInt8(ascii: "/") { index += 1 }
        let nameStart = index
        while index < code.count, code[index].isASCIILetter || code[index].isASCIIDigit { index += 1 }
        guard index > nameStart, code[nameStart].isASCIILetter else { return false }
        if acting.contains(String(decoding: code[nameStart..<index], as: UTF8.self).lowercased()) { return true }
        // Attributes up to the end of the tag, however malformed.
        var name: [UInt8] = []
        for byte in code[index...].prefix(2000) {
            switch byte {
            case UInt8(ascii: ">"): return false
            case UInt8(ascii: "="):
                let word = String(decoding: name, as: UTF8.self)
                if actingAttributes.contains(word) || word.hasPrefix("on") || word.hasPrefix("xlink") { return true }
                name = []
            case let byte where byte.isASCIILetter: name.append(byte | 0x20)
            // A name goes on until its equals sign, spaces between them included.
            case let byte where byte.isASCIISpace: continue
            default: name = []
            }
            if name.count > 40 { name.removeFirst(20) }
        }
        return false
    }
}
