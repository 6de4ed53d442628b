/// Text as UTF-8 bytes, with Python's meaning of the operations that the model's scripts use.
///
/// Swift's String compares by canonical equivalence and counts grapheme clusters; what the model was trained with
/// compares code points. On valid UTF-8 the two agree byte by byte.
enum ByteText {
    /// Where `needle` first occurs whole in `text[start ..< end]`; the end is the text's where none is given.
    static func find(_ needle: [UInt8], in text: [UInt8], from start: Int = 0, to end: Int? = nil) -> Int? {
        guard let head = needle.first else { return start }
        return text.withUnsafeBufferPointer { text in
            needle.withUnsafeBufferPointer { needle in
                var at = start
                let last = (end ?? text.count) - needle.count
                while at <= last {
                    if text[at] == head {
                        var length = 1
                        while length < needle.count, text[at + length] == needle[length] { length += 1 }
                        if length == needle.count { return at }
                    }
                    at += 1
                }
                return nil
            }
        }
    }

    /// All occurrences of `needle`, left to right and not overlapping, replaced.
    static func replacing(_ needle: [UInt8], in text: [UInt8], with replacement: [UInt8]) -> [UInt8] {
        guard !needle.isEmpty, var at = find(needle, in: text) else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var copied = 0
        while true {
            result.append(contentsOf: text[copied..<at])
            result.append(contentsOf: replacement)
            copied = at + needle.count
            guard let next = find(needle, in: text, from: copied) else { break }
            at = next
        }
        result.append(contentsOf: text[copied...])
        return result
    }

    /// The parts between the occurrences of `separator`.
    static func split(_ text: [UInt8], at separator: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        var start = 0
        while let at = find(separator, in: text, from: start), !separator.isEmpty {
            parts.append(Array(text[start..<at]))
            start = at + separator.count
        }
        parts.append(Array(text[start...]))
        return parts
    }

    /// Without white space at both ends, as Python's `str.strip`.
    static func stripped(_ text: [UInt8]) -> [UInt8] { Array(stripped(text[...])) }

    /// Without white space at both ends, as Python's `str.strip`.
    static func stripped(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = text
        while let length = whiteSpaceLength(atStartOf: rest) { rest = rest.dropFirst(length) }
        while let length = whiteSpaceLength(atEndOf: rest) { rest = rest.dropLast(length) }
        return rest
    }

    /// Bytes of the white space character that the text starts with, by Python's `str.isspace`.
    static func whiteSpaceLength(atStartOf text: ArraySlice<UInt8>) -> Int? {
        guard let first = text.first else { return nil }
        if isWhiteSpace(first) { return 1 }
        guard first >= 0xC2 else { return nil }
        return wideWhiteSpace.first { text.starts(with: $0) }?.count
    }

    private static func whiteSpaceLength(atEndOf text: ArraySlice<UInt8>) -> Int? {
        guard let last = text.last else { return nil }
        if isWhiteSpace(last) { return 1 }
        guard last >= 0x80 else { return nil }
        return wideWhiteSpace.first { text.suffix($0.count).elementsEqual($0) }?.count
    }

    private static func isWhiteSpace(_ byte: UInt8) -> Bool {
        (0x09...0x0D).contains(byte) || (0x1C...0x20).contains(byte)
    }

    private static let wideWhiteSpace: [[UInt8]] =
        ([0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000] + Array(0x2000...0x200A))
        .compactMap { Unicode.Scalar($0 as UInt32) }.map { Array(String($0).utf8) }
}
