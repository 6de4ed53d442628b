/// Tells pages on which nothing is printed from all others.
package enum PageInk {
    /// Side of the square of pixels that is averaged, so that a scanner's noise cancels out.
    private static let cell = 4
    /// The least difference, of 255, between the lightest and the darkest cell that counts as ink.
    private static let contrast = 24

    /// Whether RGB pixels show ink: after averaging 4 x 4 of them their brightness varies by a tenth or more.
    ///
    /// A full stop of 12 pt type covers several cells at 144 dpi, so it counts as ink; noise of 5 levels RMS, averaged over
    /// 16 pixels, stays within 12 of 255. Pages with a dark edge or a punch hole have ink: the model sees them.
    package static func isThere(in bytes: UnsafeBufferPointer<UInt8>, width: Int, height: Int) -> Bool {
        var lightest = 0
        var darkest = 255
        for top in stride(from: 0, to: height, by: cell) {
            let bottom = min(top + cell, height)
            for left in stride(from: 0, to: width, by: cell) {
                let right = min(left + cell, width)
                var sum = 0
                for y in top..<bottom {
                    for at in (y * width + left) * 3..<(y * width + right) * 3 { sum += Int(bytes[at]) }
                }
                let mean = sum / ((bottom - top) * (right - left) * 3)
                lightest = max(lightest, mean)
                darkest = min(darkest, mean)
                if lightest - darkest >= contrast { return true }
            }
        }
        return false
    }
}
