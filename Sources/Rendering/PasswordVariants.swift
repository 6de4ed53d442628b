/// The passwords that a password file can mean, as bytes in the encodings that PDF encryption knows.
///
/// Editors and shells of Windows write UTF-8 with a byte order mark, UTF-16, Windows-1252 and code page 850; `echo` leaves
/// spaces. Encryption up to revision 4 takes a password in PDFDocEncoding, which programs take for Latin-1 or Windows-1252;
/// later encryption takes UTF-8 (ISO 32000-2, 7.6.4).
package struct PasswordVariants: Sendable, Equatable {
    /// Each once, the likeliest first; at least one.
    package let candidates: [[UInt8]]

    /// Password files whose first line is longer than this, in bytes, hold no password.
    package static let longestLine = 1024
    /// So many bytes of a password file are looked at: a line of UTF-16, and what stands before and behind it.
    package static let fileBytes = 2 * longestLine + 8

    /// Reads the first bytes of a password file; nil where the first line is too long.
    package init?(file: [UInt8]) {
        let lines = Self.texts(file).map { $0.prefix { $0 != "\n" && $0 != "\r" && $0 != "\r\n" && $0 != "\0" } }
        let raw = file.prefix { $0 != 10 && $0 != 13 && $0 != 0 }
        guard lines.allSatisfy({ $0.utf8.count <= Self.longestLine }) else { return nil }
        var candidates: [[UInt8]] = []
        func add(_ candidate: [UInt8]?) {
            if let candidate, !candidates.contains(candidate) { candidates.append(candidate) }
        }
        let trimmed = lines.map { line in line.lastIndex { !$0.isWhitespace }.map { line[...$0] } ?? "" }
        for line in lines + trimmed {
            add(Array(line.utf8))
            add(Self.encode(line, by: Self.latin1))
            add(Self.encode(line, by: Self.documentEncoding))
            add(Self.encode(line, by: Self.windows1252))
        }
        // Whatever it is, it may be what the PDF wants.
        if raw.count <= Self.longestLine { add(Array(raw)) }
        self.candidates = candidates
    }

    // MARK: - Reading

    /// The texts that the bytes can be, the likeliest first; at least one.
    private static func texts(_ bytes: [UInt8]) -> [String] {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return texts(Array(bytes.dropFirst(3))) }
        if bytes.starts(with: [0xFF, 0xFE]) { return [utf16(bytes.dropFirst(2), isBigEndian: false)] }
        if bytes.starts(with: [0xFE, 0xFF]) { return [utf16(bytes.dropFirst(2), isBigEndian: true)] }
        // UTF-16 without its mark.
        if bytes.count >= 2, bytes[0] != 0, bytes[1] == 0 { return [utf16(bytes[...], isBigEndian: false)] }
        if bytes.count >= 2, bytes[0] == 0, bytes[1] != 0 { return [utf16(bytes[...], isBigEndian: true)] }
        // Only the first line counts: others may be in any encoding.
        let line = bytes.prefix { $0 != 10 && $0 != 13 }
        if let text = String(validating: line, as: UTF8.self) { return [text] }
        return [windows1252, codePage850].map { table in
            String(String.UnicodeScalarView(line.map { table[Int($0)] }))
        }
    }

    private static func utf16(_ bytes: ArraySlice<UInt8>, isBigEndian: Bool) -> String {
        let units = stride(from: bytes.startIndex, to: bytes.endIndex - 1, by: 2).map { place in
            let (first, second) = (UInt16(bytes[place]), UInt16(bytes[place + 1]))
            return isBigEndian ? first << 8 | second : second << 8 | first
        }
        return String(decoding: units.prefix { $0 != 10 && $0 != 13 }, as: UTF16.self)
    }

    // MARK: - Encodings

    /// The text in an encoding of one byte a character; nil where it lacks one.
    private static func encode(_ text: Substring, by table: [Unicode.Scalar]) -> [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let code = table.firstIndex(of: scalar) else { return nil }
            bytes.append(UInt8(code))
        }
        return bytes
    }

    private static let latin1 = (0...255).map { Unicode.Scalar(UInt8($0)) }

    /// Latin-1 with other characters from a code on.
    private static func table(_ parts: [(first: Int, characters: String)]) -> [Unicode.Scalar] {
        var table = latin1
        for part in parts {
            for (index, scalar) in part.characters.unicodeScalars.enumerated() { table[part.first + index] = scalar }
        }
        return table
    }

    /// ISO 32000, annex D.
    private static let documentEncoding = table([
        (0x18, "\u{2D8}\u{2C7}\u{2C6}\u{2D9}\u{2DD}\u{2DB}\u{2DA}\u{2DC}"),
        (0x80, "•†‡…—–ƒ⁄‹›−‰„“”‘’‚™ﬁﬂŁŒŠŸŽıłœšž"), (0xA0, "€"),
    ])

    private static let windows1252 = table([
        (0x80, "€"), (0x82, "‚ƒ„…†‡ˆ‰Š‹Œ"), (0x8E, "Ž"), (0x91, "‘’“”•–—˜™š›œ"), (0x9E, "žŸ"),
    ])

    /// What `echo` in a console of western Europe writes.
    private static let codePage850 = table([
        (0x80, "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀"),
        (0xE0, "ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}"),
    ])
}
