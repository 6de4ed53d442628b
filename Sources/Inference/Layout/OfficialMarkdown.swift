/// Markdown as the three official scripts make it of the model's text, byte for byte (MODEL.md section 10).
///
/// Pages are better served by `PageLayout`, whose links and figures always agree; this is what published results and the
/// fixtures were made with. The time grows with the number of regions times the length of the text.
package enum OfficialMarkdown {
    /// What follows every page of a PDF.
    package static let pageBreak = "\n\n<--- Page Split --->\n"

    /// Without the end token and white space at both ends.
    package static func withoutEnd(_ text: String) -> String {
        String(decoding: withoutEnd(Array(text.utf8)), as: UTF8.self)
    }

    /// The single-image script.
    package static func image(_ text: String) -> String {
        let cleaned = cleaned(withoutEnd(Array(text.utf8)), collapsing: false) { "images/\($0).jpg" }
        return String(decoding: cleaned, as: UTF8.self)
    }

    /// The PDF script: pages that never reached the end token are left out and not counted.
    package static func pdf(_ pages: [String]) -> String {
        let finished = pages.map { Array($0.utf8) }.filter { ByteText.find(LayoutMarker.endOfSentence, in: $0) != nil }
        let parts = finished.enumerated().map { number, page in
            let text = ByteText.replacing(LayoutMarker.endOfSentence, in: page, with: [])
            return cleaned(text, collapsing: true) { "images/\(number)_\($0).jpg" } + Array(pageBreak.utf8)
        }
        return String(decoding: parts.joined(), as: UTF8.self)
    }

    /// The benchmark script: every region vanishes, pictures too, and displayed formulas lose their numbers.
    package static func evaluation(_ text: String) -> String {
        var text = withoutFormulaNumbers(Array(text.utf8))
        for region in LayoutRegion.regions(in: text) {
            text = collapsed(ByteText.replacing(Array(region.source.utf8), in: text, with: []))
            text = ByteText.replacing(Array("<center>".utf8), in: text, with: [])
            text = ByteText.replacing(Array("</center>".utf8), in: text, with: [])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The crops that the official scripts save: every box of every region labelled exactly `image`, in pixels.
    ///
    /// Each box has a number; a box that cannot be cropped uses one up and is left out.
    package static func crops(_ text: String, width: Int, height: Int) -> [(number: Int, box: PageBox)] {
        let boxes = LayoutRegion.regions(in: text).filter { $0.label.utf8.elementsEqual("image".utf8) }.flatMap(\.boxes)
        return boxes.enumerated().map { ($0, $1.pixels(width: width, height: height)) }.filter { !$0.1.isEmpty }
    }

    private static func withoutEnd(_ text: [UInt8]) -> [UInt8] {
        let end = LayoutMarker.endOfSentence
        return ByteText.stripped(text.suffix(end.count).elementsEqual(end) ? Array(text.dropLast(end.count)) : text)
    }

    private static func cleaned(_ text: [UInt8], collapsing: Bool, name: (Int) -> String) -> [UInt8] {
        let regions = LayoutRegion.regions(in: text)
        var text = text
        for (number, region) in regions.filter(\.isImage).enumerated() {
            text = ByteText.replacing(Array(region.source.utf8), in: text, with: Array("![](\(name(number)))\n".utf8))
        }
        for region in regions where !region.isImage {
            text = withPlainOperators(ByteText.replacing(Array(region.source.utf8), in: text, with: []))
            if collapsing { text = collapsed(text) }
        }
        return text
    }

    /// `\coloneqq` and `\eqqcolon`, which many renderers do not know, as `:=` and `=:`.
    static func withPlainOperators(_ text: [UInt8]) -> [UInt8] {
        let colon = ByteText.replacing(Array("\\coloneqq".utf8), in: text, with: Array(":=".utf8))
        return ByteText.replacing(Array("\\eqqcolon".utf8), in: colon, with: Array("=:".utf8))
    }

    private static func collapsed(_ text: [UInt8]) -> [UInt8] {
        let newline = UInt8(ascii: "\n")
        let two = [newline, newline]
        let once = ByteText.replacing(two + two, in: text, with: two)
        return ByteText.replacing(two + [newline], in: once, with: two)
    }

    /// In every `\[...\]` on one line, `\quad (...)` deleted and white space stripped at both ends.
    private static func withoutFormulaNumbers(_ text: [UInt8]) -> [UInt8] {
        let (open, close) = (Array("\\[".utf8), Array("\\]".utf8))
        var result: [UInt8] = []
        var copied = 0
        var at = 0
        while let start = ByteText.find(open, in: text, from: at) {
            let lineEnd = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            guard let end = ByteText.find(close, in: text, from: start + 2, to: lineEnd) else {
                // No formula ends on this line, so none that starts later on it does.
                at = lineEnd
                continue
            }
            result.append(contentsOf: text[copied..<start])
            result.append(contentsOf: open)
            result.append(contentsOf: ByteText.stripped(withoutNumbers(Array(text[(start + 2)..<end]))))
            result.append(contentsOf: close)
            copied = end + 2
            at = copied
        }
        return result + text[copied...]
    }

    private static func withoutNumbers(_ formula: [UInt8]) -> [UInt8] {
        let quad = Array("\\quad".utf8)
        var result: [UInt8] = []
        var copied = 0
        var at = 0
        while let start = ByteText.find(quad, in: formula, from: at) {
            var bracket = start + quad.count
            while let length = ByteText.whiteSpaceLength(atStartOf: formula[bracket...]) { bracket += length }
            at = start + 1
            guard bracket < formula.count, formula[bracket] == UInt8(ascii: "(") else { continue }
            guard let end = formula[bracket...].firstIndex(of: UInt8(ascii: ")")) else { break }
            result.append(contentsOf: formula[copied..<start])
            copied = end + 1
            at = copied
        }
        return result + formula[copied...]
    }
}
