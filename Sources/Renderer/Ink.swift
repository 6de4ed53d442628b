/// Printing inks to light, as Pillow converts CMYK to RGB: `clip(255 - K - round(C * (255 - K) / 255))`.
enum Ink {
    /// Converts `count` pixels of C, M, Y, K (255 is full ink) to RGB triples.
    static func convert(_ inks: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>, count: Int) {
        for pixel in 0..<count {
            let paper = 255 - Int(inks[pixel * 4 + 3])
            for channel in 0..<3 {
                let product = Int(inks[pixel * 4 + channel]) * paper + 128
                target[pixel * 3 + channel] = UInt8(clamping: paper - ((product >> 8) + product) >> 8)
            }
        }
    }
}
