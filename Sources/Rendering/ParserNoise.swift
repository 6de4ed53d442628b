/// What parsers wrote to the child's error output: never shown as such, only searched and quoted in a sentence.
struct ParserNoise: Equatable {
    private let lines: [String]

    init(_ bytes: [UInt8]) {
        lines = bytes.split { $0 == 10 || $0 == 13 }.map { String(decoding: $0, as: UTF8.self).cleaned(upTo: 200) }
    }

    /// The first thing said, without its final full stop.
    var firstLine: String? {
        guard var line = lines.first(where: { !$0.isEmpty }) else { return nil }
        while line.last == "." { line.removeLast() }
        return line
    }

    /// Whether an allocation failed, in the words of poppler, GLib and the C++ library.
    var isOutOfMemory: Bool {
        ["Out of memory", "out of memory", "bad_alloc", "failed to allocate"].contains { phrase in
            lines.contains { $0.containsText(phrase) }
        }
    }

    /// Whether poppler left a text out because it could use neither the font that the document holds nor any other.
    var speaksOfFonts: Bool {
        ["find a font for", "font thing failed"].contains { phrase in lines.contains { $0.containsText(phrase) } }
    }
}

extension String {
    /// Without control characters, and cut to so many characters.
    package func cleaned(upTo limit: Int) -> String {
        let printable = unicodeScalars.filter { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
        return String(String(String.UnicodeScalarView(printable)).prefix(limit))
    }

    package func containsText(_ phrase: String) -> Bool {
        let (text, wanted) = (Array(utf8), Array(phrase.utf8))
        guard text.count >= wanted.count else { return false }
        return (0...text.count - wanted.count).contains { text[$0..<$0 + wanted.count].elementsEqual(wanted) }
    }
}
