import Rendering

/// What a picture with transparent parts is laid on.
enum Ground: UInt8, Sendable {
    case black = 0
    case white = 255

    /// Lays a row of RGBA pixels, not multiplied by their alpha, on the ground; whether one of them is not opaque.
    func cover(_ rgba: UnsafePointer<UInt8>, to rgb: UnsafeMutablePointer<UInt8>, count: Int) -> Bool {
        var isTransparent = false
        for x in 0..<count {
            let alpha = Int(rgba[x * 4 + 3])
            if alpha < 255 { isTransparent = true }
            let under = Int(rawValue) * (255 - alpha) + 127
            for channel in 0..<3 { rgb[x * 3 + channel] = UInt8((Int(rgba[x * 4 + channel]) * alpha + under) / 255) }
        }
        return isTransparent
    }

    /// The page on white; where nothing shows on that, as with white writing, on black, and noted.
    ///
    /// `draw` returns the page, and sets its second argument where a pixel is not opaque.
    static func page(
        _ notes: PageNotes, draw: (Ground, inout Bool) throws(RenderError) -> PixelBuffer
    ) throws(RenderError) -> PixelBuffer {
        var isTransparent = false
        let image = try draw(.white, &isTransparent)
        let isDamaged = notes.list.contains { $0.code == .pictureDamaged }
        guard isTransparent, !isDamaged, !hasInk(image) else { return image }
        let other = try draw(.black, &isTransparent)
        guard hasInk(other) else { return image }
        notes.add(
            .transparentGround,
            "The picture is light on a transparent ground and nothing of it shows on white: it is shown on black.")
        return other
    }

    private static func hasInk(_ image: borrowing PixelBuffer) -> Bool {
        PageInk.isThere(
            in: UnsafeBufferPointer(start: image.bytes, count: image.byteCount), width: image.width,
            height: image.height)
    }
}
