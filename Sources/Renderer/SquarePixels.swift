import Rendering

/// How much a picture grows along or down so that its pixels become square, such as those of faxes of 204 x 98 dpi.
struct SquarePixels: Sendable, Equatable {
    /// One of them is 1.
    let along: Double
    let down: Double
    /// Of the page with square pixels; nil where unknown.
    let dpi: Double?

    /// What the page has more pixels by.
    var enlargement: Double { along * down }
    var isNeeded: Bool { along != 1 || down != 1 }

    /// Differences up to 2 % are rounding; those beyond 5 times are no resolutions.
    init(x: Double?, y: Double?) {
        dpi = if let x, let y { max(x, y) } else { x ?? y }
        guard let x, let y, x > 0, y > 0, max(x, y) / min(x, y) > 1.02, max(x, y) / min(x, y) <= 5 else {
            (along, down) = (1, 1)
            return
        }
        along = max(1, y / x)
        down = max(1, x / y)
    }

    /// The picture enlarged on its coarser axis, by linear interpolation between the centres of pixels.
    func apply(_ image: consuming PixelBuffer, limits: RenderLimits) throws(RenderError) -> PixelBuffer {
        guard isNeeded else { return image }
        let (width, height) = (image.width, image.height)
        // Rounding must not lift the page above the limit that it was reduced to.
        let wide =
            along > 1
            ? min(Int((Double(width) * along).rounded()), max(width, limits.maxPixels / height)) : width
        let tall =
            down > 1
            ? min(Int((Double(height) * down).rounded()), max(height, limits.maxPixels / width)) : height
        let square = try PixelBuffer(width: wide, height: tall, dpi: image.dpi, limits: limits)
        if down > 1 {
            for y in 0..<tall {
                let (first, second, share) = Self.place(y, of: tall, in: height)
                let (above, below, target) = (image.row(first), image.row(second), square.row(y))
                for index in 0..<width * 3 { target[index] = Self.mean(above[index], below[index], share) }
            }
        } else {
            for x in 0..<wide {
                let (first, second, share) = Self.place(x, of: wide, in: width)
                for y in 0..<height {
                    let (source, target) = (image.row(y), square.row(y) + x * 3)
                    for channel in 0..<3 {
                        target[channel] = Self.mean(
                            source[first * 3 + channel], source[second * 3 + channel], share)
                    }
                }
            }
        }
        return square
    }

    /// The two old pixels that a new one lies between, and the second one's share in 256ths.
    private static func place(_ index: Int, of new: Int, in old: Int) -> (first: Int, second: Int, share: Int) {
        let centre = max(0, (Double(index) + 0.5) * Double(old) / Double(new) - 0.5)
        let first = min(Int(centre), old - 1)
        return (first, min(first + 1, old - 1), Int((centre - Double(first)) * 256))
    }

    private static func mean(_ first: UInt8, _ second: UInt8, _ share: Int) -> UInt8 {
        UInt8((Int(first) * (256 - share) + Int(second) * share + 128) >> 8)
    }
}
