/// One HTML tag as CommonMark takes it: complete, with attributes of plain syntax, and on one line.
struct HTMLTag {
    struct Attribute {
        /// In lower case.
        var name: String
        var value: String?
    }

    /// In lower case.
    var name: String
    var isClosing: Bool
    var endsWithSlash: Bool
    var attributes: [Attribute]
    /// Where the text after the tag begins.
    var end: Int

    /// Bytes that one tag may have.
    private static let longest = 1000

    /// The tag that begins at `start`, which is the place of a `<`; nil if none does.
    init?(_ text: [UInt8], at start: Int) {
        let near = text[start...].prefix(Self.longest)
        let limit = near.firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? near.endIndex
        var index = start + 1
        isClosing = index < limit && text[index] == UInt8(ascii: "/")
        if isClosing { index += 1 }
        let nameStart = index
        guard index < limit, text[index].isASCIILetter else { return nil }
        while index < limit, text[index].isASCIILetter || text[index].isASCIIDigit || text[index] == UInt8(ascii: "-") {
            index += 1
        }
        name = String(decoding: text[nameStart..<index], as: UTF8.self).lowercased()
        attributes = []
        endsWithSlash = false
        while true {
            let gap = index
            while index < limit, text[index] == 0x20 || text[index] == 0x09 { index += 1 }
            guard index < limit else { return nil }
            switch text[index] {
            case UInt8(ascii: ">"):
                end = index + 1
                return
            case UInt8(ascii: "/"):
                guard index + 1 < limit, text[index + 1] == UInt8(ascii: ">") else { return nil }
                endsWithSlash = true
                end = index + 2
                return
            default:
                guard index > gap, let attribute = Self.attribute(text, &index, limit) else { return nil }
                attributes.append(attribute)
            }
        }
    }

    private static func attribute(_ text: [UInt8], _ index: inout Int, _ limit: Int) -> Attribute? {
        let start = index
        while index < limit, text[index].isASCIILetter || text[index].isASCIIDigit || "_:.-".utf8.contains(text[index])
        {
            index += 1
        }
        guard index > start else { return nil }
        let name = String(decoding: text[start..<index], as: UTF8.self).lowercased()
        var next = index
        while next < limit, text[next] == 0x20 || text[next] == 0x09 { next += 1 }
        guard next < limit, text[next] == UInt8(ascii: "=") else { return Attribute(name: name, value: nil) }
        next += 1
        while next < limit, text[next] == 0x20 || text[next] == 0x09 { next += 1 }
        guard next < limit else { return nil }
        let quote = text[next]
        if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            let first = next + 1
            next = first
            while next < limit, text[next] != quote {
                if text[next] == UInt8(ascii: "<") || text[next] == UInt8(ascii: ">") { return nil }
                next += 1
            }
            guard next < limit else { return nil }
            index = next + 1
            return Attribute(name: name, value: String(decoding: text[first..<next], as: UTF8.self))
        }
        let first = next
        while next < limit, !text[next].isASCIISpace, !"\"'=<>`".utf8.contains(text[next]) { next += 1 }
        guard next > first else { return nil }
        // `<td colspan=2/>`: the slash is the value's, for browsers too.
        index = next
        return Attribute(name: name, value: String(decoding: text[first..<next], as: UTF8.self))
    }
}

extension UInt8 {
    var isASCIILetter: Bool { (self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z") }
    var isASCIIDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isASCIISpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}
