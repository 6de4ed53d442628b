/// Names as the pickiest file systems compare them: without case, in one normal form, without what they drop.
///
/// Two names that are the same there (SMB, exFAT, APFS) are the same here, on every file system: an export keeps its names
/// when it is copied.
enum NameFolding {
    /// Equal, as Swift compares strings (canonically), for names that some file system takes for one.
    static func fold(_ name: [UInt8]) -> String {
        guard let text = String(validating: name, as: UTF8.self) else {
            // Some other encoding: every byte is a character of its own.
            return "\0" + String(String.UnicodeScalarView(name.map { Unicode.Scalar($0) })).lowercased()
        }
        var folded = text.uppercased().lowercased()
        if !folded.utf8.allSatisfy({ $0 < 0x80 }) {
            folded.unicodeScalars.removeAll { $0.properties.isDefaultIgnorableCodePoint }
        }
        // Windows drops these at the end.
        while let last = folded.utf8.last, last == UInt8(ascii: ".") || last == UInt8(ascii: " "), folded.count > 1 {
            folded.removeLast()
        }
        return folded
    }
}
