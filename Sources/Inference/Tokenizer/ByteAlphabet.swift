/// GPT-2's printable stand-ins for the 256 bytes, in which byte-level vocabularies are written.
enum ByteAlphabet {
    /// Printable Latin-1 stands for itself; the other bytes, in order, for U+0100 and on.
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255).map { byte in
            if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE {
                return Unicode.Scalar(UInt8(byte))
            }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? "?"
        }
    }()

    private static let bytes: [Unicode.Scalar: UInt8] = .init(
        uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

    /// The bytes that a token's text stands for; the text's own bytes where a character is not of the alphabet.
    static func bytes(of token: String) -> [UInt8] {
        var result: [UInt8] = []
        for scalar in token.unicodeScalars {
            guard let byte = bytes[scalar] else { return Array(token.utf8) }
            result.append(byte)
        }
        return result
    }

    /// The text that stands for some bytes.
    static func text(of bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(scalars[Int(byte)]) }
        return String(text)
    }
}
