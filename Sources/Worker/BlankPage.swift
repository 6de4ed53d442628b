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

    private static func isBlank(_ image: PageImage) -> Bool {
        image.bytes.withUnsafeBufferPointer { !PageInk.isThere(in: $0, width: image.width, height: image.height) }
    }
}
