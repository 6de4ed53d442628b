/// Whether first bytes are those of a PDF: many a text mentions `%PDF-`, and many a PDF lies behind something else.
enum PDFHeader {
    /// PDF readers accept the header anywhere in the first 1024 bytes (ISO 32000, implementation notes).
    private static let reach = 1024
    private static let magic = Array("%PDF-".utf8)

    /// Whether the file begins with a header, after a byte order mark and white space at most.
    ///
    /// What follows decides only where the header's own line is more than a header: a PDF that was cut off behind it, or
    /// holds zeros from there on, is a PDF still.
    static func begins(_ bytes: [UInt8]) -> Bool {
        let marked = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
        let start = marked.drop(while: isWhite)
        // Acrobat's other header: "%!PS-Adobe-3.0 PDF-1.4".
        if start.starts(with: "%!PS-Adobe-".utf8) { return hasPDFWord(start.prefix { $0 != 10 && $0 != 13 }) }
        guard start.starts(with: magic), start.startIndex + magic.count <= reach else { return false }
        let rest = start.dropFirst(magic.count)
        guard let tail = afterVersion(rest) else {
            // Cut off within the version, or a version that no program knows.
            let isCut = rest.count < 3 && rest.allSatisfy { isDigit($0) || $0 == dot }
            return isCut || !isText(rest) || begin(ofBody: rest)
        }
        return endsLine(tail) || !isText(tail) || begin(ofBody: tail)
    }

    /// Whether a header lies behind something else, such as the head of a mail, of HTTP or MacBinary, or a printer's orders.
    ///
    /// It has to stand alone in its line, and objects have to follow, or nothing at all; a text about PDF shows these as
    /// well, so that what is text all through is a PDF only behind a head.
    static func follows(in bytes: [UInt8]) -> Bool {
        var start = bytes.startIndex
        while let place = bytes[start...].firstRange(of: magic), place.upperBound <= reach {
            start = place.upperBound
            guard let tail = afterVersion(bytes[start...]), endsLine(tail) else { continue }
            let isCut = tail.allSatisfy(isWhite)
            guard isCut || holdsObjects(tail) else { continue }
            // Texts in Latin-1 are no UTF-8 either: then the comment has to show that programs put behind the header.
            let isBinary = !isPlain(bytes[...]) || !isText(bytes[...]) && hasMark(tail)
            if isBinary || isHead(bytes[..<place.lowerBound]) { return true }
        }
        return false
    }

    // MARK: - Parts of a PDF

    private static let dot = UInt8(ascii: ".")

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// White space of PDF, zero included.
    private static func isWhite(_ byte: UInt8) -> Bool { [0, 9, 10, 12, 13, 32].contains(byte) }

    /// What stands behind "1.7"; nil where no version does.
    private static func afterVersion(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let major = bytes.prefix(while: isDigit)
        let rest = bytes.dropFirst(major.count)
        guard (1...2).contains(major.count), rest.first == dot else { return nil }
        let minor = rest.dropFirst().prefix(while: isDigit)
        guard (1...2).contains(minor.count) else { return nil }
        return rest.dropFirst(1 + minor.count)
    }

    /// Whether nothing that can be read follows in the line but a comment: some programs put their binary mark there.
    private static func endsLine(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let next = bytes.first(where: { $0 != 32 && $0 != 9 }) else { return true }
        return next < 32 || next == UInt8(ascii: "%") || next > 126
    }

    /// Whether the line behind the header's is a comment of bytes that no text has.
    private static func hasMark(_ bytes: ArraySlice<UInt8>) -> Bool {
        let line = bytes.drop { $0 != 10 && $0 != 13 }.drop(while: isWhite).prefix { $0 != 10 && $0 != 13 }
        return line.first == UInt8(ascii: "%") && line.dropFirst().prefix(4).allSatisfy { $0 > 127 } && line.count > 4
    }

    /// Whether the first line that is no comment begins an object or a table of objects.
    private static func begin(ofBody bytes: ArraySlice<UInt8>) -> Bool {
        // The rest of the header's line.
        var rest = bytes.drop { $0 != 10 && $0 != 13 }
        while true {
            rest = rest.drop(while: isWhite)
            guard rest.first == UInt8(ascii: "%") else { return isBodyLine(rest) }
            rest = rest.drop { $0 != 10 && $0 != 13 }
        }
    }

    /// Whether an object or a table of objects begins at the start of some line.
    private static func holdsObjects(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            rest = rest.drop(while: isWhite)
            if isBodyLine(rest) { return true }
            rest = rest.drop { $0 != 10 && $0 != 13 }
        }
        return false
    }

    /// "12 0 obj" or "xref".
    private static func isBodyLine(_ bytes: ArraySlice<UInt8>) -> Bool {
        if bytes.starts(with: "xref".utf8) { return true }
        var rest = bytes
        for _ in 0..<2 {
            let digits = rest.prefix(while: isDigit)
            guard (1...10).contains(digits.count) else { return false }
            rest = rest.dropFirst(digits.count)
            guard let next = rest.first, isWhite(next) else { return false }
            rest = rest.drop(while: isWhite)
        }
        return rest.starts(with: "obj".utf8)
    }

    /// Whether "PDF-1.4" is one of the words.
    private static func hasPDFWord(_ line: ArraySlice<UInt8>) -> Bool {
        line.split(separator: 32).contains { word in
            word.starts(with: "PDF-".utf8) && afterVersion(word.dropFirst(4)) != nil
        }
    }

    // MARK: - What is no PDF

    /// Whether all is UTF-8 without control characters; the last character may be cut off.
    static func isText(_ bytes: ArraySlice<UInt8>) -> Bool {
        isPlain(bytes) && (0...3).contains { String(validating: bytes.dropLast($0), as: UTF8.self) != nil }
    }

    /// Whether there are no control characters but those of texts and printers.
    private static func isPlain(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { $0 >= 32 && $0 != 127 || [9, 10, 12, 13, 27].contains($0) }
    }

    /// Whether each line is one of a mail's head or of HTTP's ("Name: value" and what continues it), a border between
    /// parts of a mail, or an order to a printer.
    private static func isHead(_ bytes: ArraySlice<UInt8>) -> Bool {
        let lines = bytes.split { $0 == 10 || $0 == 13 }
        guard let last = bytes.last, last == 10 || last == 13, !lines.isEmpty else { return false }
        return lines.allSatisfy { line in
            let starts = ["HTTP/", "@PJL", "\u{1B}%-12345X", "--", " ", "\t", "From "]
            if starts.contains(where: { line.starts(with: $0.utf8) }) { return true }
            let name = line.prefix { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }
            return !name.isEmpty && line.dropFirst(name.count).first == UInt8(ascii: ":")
        }
    }
}

extension ArraySlice<UInt8> {
    /// Where the bytes stand first.
    fileprivate func firstRange(of wanted: [UInt8]) -> Range<Int>? {
        guard count >= wanted.count else { return nil }
        return (startIndex...endIndex - wanted.count).lazy.map { $0..<$0 + wanted.count }
            .first { self[$0].elementsEqual(wanted) }
    }
}
