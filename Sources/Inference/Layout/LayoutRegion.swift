/// The markers of layout in the model's text.
enum LayoutMarker {
    static let ref = Array("<|ref|>".utf8)
    static let refEnd = Array("<|/ref|>".utf8)
    static let det = Array("<|det|>".utf8)
    static let detEnd = Array("<|/det|>".utf8)
    static let middle = refEnd + det
    static let endOfSentence = Array("<｜end▁of▁sentence｜>".utf8)
}

/// One reference in the model's text, exactly as the official scripts find it (MODEL.md section 10).
///
/// A label runs from `<|ref|>` to the next `<|/ref|><|det|>` without a gap, whatever stands in it.
package struct LayoutRegion: Sendable, Equatable {
    /// Where it stands in the text's UTF-8.
    let range: Range<Int>
    /// The exact text, from `<|ref|>` to `<|/det|>`.
    package let source: String
    package let label: String
    package let boxes: [GridBox]

    /// Whether the official Markdown shows it as a picture: its text contains a reference to `image`.
    package var isImage: Bool { ByteText.find(Self.image, in: Array(source.utf8)) != nil }

    private static let image = LayoutMarker.ref + Array("image".utf8) + LayoutMarker.refEnd

    /// The regions of a text, left to right, in time that grows with the text's length.
    package static func regions(in text: String) -> [LayoutRegion] { regions(in: Array(text.utf8)) }

    static func regions(in text: [UInt8]) -> [LayoutRegion] {
        var regions: [LayoutRegion] = []
        var at = 0
        while let start = ByteText.find(LayoutMarker.ref, in: text, from: at),
            let middle = ByteText.find(LayoutMarker.middle, in: text, from: start + LayoutMarker.ref.count),
            let end = ByteText.find(LayoutMarker.detEnd, in: text, from: middle + LayoutMarker.middle.count)
        {
            at = end + LayoutMarker.detEnd.count
            regions.append(
                LayoutRegion(
                    range: start..<at,
                    source: String(decoding: text[start..<at], as: UTF8.self),
                    label: String(decoding: text[(start + LayoutMarker.ref.count)..<middle], as: UTF8.self),
                    boxes: GridBox.boxes(in: Array(text[(middle + LayoutMarker.middle.count)..<end]))))
        }
        return regions
    }
}
