internal import Rendering

/// Tells pages on which nothing is printed from all others.
enum BlankPage {
    /// Side of the square of pixels that is averaged, so that a scanner's noise cancels out.
    private static let cell = 4
    /// The least difference, of 255, between the lightest and the darkest cell that counts as ink.
    private static let contrast = 24

    /// Whether a page is blank: after averaging 4 x 4 pixels its brightness varies by less than a tenth.
    ///
    /// A full stop of 12 pt type covers several cells at 144 dpi, so it counts as ink; noise of 5 levels RMS, averaged over
    /// 16 pixels, stays within 12 of 255. Pages with a dark edge or a punch hole are not blank: the model sees them.
    static func isBlank(_ image: PageImage) -> Bool {
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
