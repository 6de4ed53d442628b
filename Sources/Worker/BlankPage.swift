package import Rendering

/// Tells pages on which nothing is printed from all others.
package enum BlankPage {
    /// What a drawn page is before anybody reads it.
    package enum Verdict: Equatable, Sendable {
        case inked
        /// Nothing is on it, and nothing is missing from the drawing.
        case blank
        /// Nothing is on it, and something of it could not be drawn: why that is no blank page.
        case unproven(reason: String)
    }

    /// Notes that a reason quotes; the rest are counted.
    private static let mostQuoted = 3

    /// Blank is proven, not assumed: a page without ink is blank only where no note leaves a doubt.
    package static func verdict(_ image: PageImage, notes: [RenderNote]) -> Verdict {
        guard isBlank(image) else { return .inked }
        let doubts = notes.filter(\.leavesDoubt).map(\.text)
        guard !doubts.isEmpty else { return .blank }
        let rest = doubts.count - mostQuoted
        let quoted = doubts.prefix(mostQuoted).joined(separator: " ") + (rest > 0 ? " And \(rest) more." : "")
        return .unproven(
            reason: "Nothing of the page could be drawn, so that it cannot be taken for blank: \(quoted)")
    }

    /// Side of the square of pixels that is averaged, so that a scanner's noise cancels out.
    private static let cell = 4
    /// The least difference, of 255, between the lightest and the darkest cell that counts as ink.
    private static let contrast = 24

    /// Whether a page is blank: after averaging 4 x 4 pixels its brightness varies by less than a tenth.
    ///
    /// A full stop of 12 pt type covers several cells at 144 dpi, so it counts as ink; noise of 5 levels RMS, averaged over
    /// 16 pixels, stays within 12 of 255. Pages with a dark edge or a punch hole are not blank: the model sees them.
    private static func isBlank(_ image: PageImage) -> Bool {
        image.bytes.withUnsafeBufferPointer { bytes in
            var lightest = 0
            var darkest = 255
            for top in stride(from: 0, to: image.height, by: cell) {
                let bottom = min(top + cell, image.height)
                for left in stride(from: 0, to: image.width, by: cell) {
                    let right = min(left + cell, image.width)
                    var sum = 0
                    for y in top..<bottom {
                        for at in (y * image.width + left) * 3..<(y * image.width + right) * 3 { sum += Int(bytes[at]) }
                    }
                    let mean = sum / ((bottom - top) * (right - left) * 3)
                    lightest = max(lightest, mean)
                    darkest = min(darkest, mean)
                    if lightest - darkest >= contrast { return false }
                }
            }
            return true
        }
    }
}
