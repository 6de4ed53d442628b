/// Decoded pixels: `height` rows of `width` RGB triples, one byte a channel, no padding between rows.
package struct RGBImage: Sendable, Equatable {
    package let width: Int
    package let height: Int
    /// `height * width * 3` bytes, row-major.
    package let bytes: [UInt8]

    package init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(width > 0 && height > 0 && bytes.count == width * height * 3, "an RGB image has w * h * 3 bytes")
        self.width = width
        self.height = height
        self.bytes = bytes
    }
}
