package import Inference

/// What is measured with: a page as a scanner gives it, and a prompt as the model wants it.
package enum SamplePage {
    /// Dark lines on white: an A4 page at 150 dpi.
    package static func image() -> RGBImage {
        let (width, height) = (1240, 1754)
        var bytes = [UInt8](repeating: 255, count: width * height * 3)
        for y in 100..<(height - 100) where y % 30 < 12 {
            for x in 100..<(width - 100) where (x * 31 + y / 30 * 17) % 23 < 13 {
                let start = (y * width + x) * 3
                for channel in start..<(start + 3) { bytes[channel] = 30 }
            }
        }
        return RGBImage(width: width, height: height, bytes: bytes)
    }

    /// BOS, the page's image tokens, ten words.
    package static func prompt(for image: PreparedImage, _ configuration: ModelConfiguration) -> [Int32] {
        let vocabulary = Int32(configuration.decoder.vocabularySize)
        let words = (1...10).map { Int32($0 * 7) % vocabulary }.filter { $0 != configuration.imageToken }
        return [configuration.decoder.beginToken]
            + [Int32](repeating: configuration.imageToken, count: image.tokenCount) + words
    }
}
