/// A page's pixels as `quire-render` made them: `height` rows of `width` RGB triples.
package struct PageImage: Sendable {
    package let width: Int
    package let height: Int
    /// `height * width * 3` bytes, row-major, no padding.
    package let bytes: [UInt8]
    /// Dots an inch; nil where the file does not say.
    package let dpi: Double?

    package init(width: Int, height: Int, bytes: [UInt8], dpi: Double?) {
        self.width = width
        self.height = height
        self.bytes = bytes
        self.dpi = dpi
    }
}
