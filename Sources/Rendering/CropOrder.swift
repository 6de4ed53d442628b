/// The head of what `quire-render jpeg` reads: the image's size, the quality and the boxes; RGB bytes follow.
///
/// Little-endian 32-bit integers: magic, width, height, quality, number of boxes, then x1 y1 x2 y2 of each box.
package struct CropOrder: Sendable, Equatable {
    package var width: Int
    package var height: Int
    /// 1 to 100.
    package var quality: Int
    package var boxes: [PixelBox]

    private static let magic: Int32 = 0x5152_4A50
    private static let fixedWords = 5

    package init(width: Int, height: Int, quality: Int, boxes: [PixelBox]) {
        self.width = width
        self.height = height
        self.quality = quality
        self.boxes = boxes
    }

    /// Bytes before the pixels.
    package var byteCount: Int { (Self.fixedWords + 4 * boxes.count) * 4 }

    /// The head; coordinates beyond 32 bits are brought to the nearest that fits.
    package var bytes: [UInt8] {
        let coordinates = boxes.flatMap { [$0.x1, $0.y1, $0.x2, $0.y2] }
        let words = [Int(Self.magic), width, height, quality, boxes.count] + coordinates
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.count * 4)
        for word in words {
            withUnsafeBytes(of: Int32(clamping: word).littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }

    /// Reads a head and checks that exactly the image's pixels follow it; nil otherwise.
    package init?(_ input: UnsafeRawBufferPointer) {
        func word(_ index: Int) -> Int {
            Int(Int32(littleEndian: input.loadUnaligned(fromByteOffset: index * 4, as: Int32.self)))
        }
        guard input.count >= Self.fixedWords * 4, word(0) == Int(Self.magic) else { return nil }
        let (width, height, quality, count) = (word(1), word(2), word(3), word(4))
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        guard width > 0, height > 0, (1...100).contains(quality), count >= 0, !overflow, pixels < 1 << 40,
            input.count == (Self.fixedWords + 4 * count) * 4 + pixels * 3
        else { return nil }
        self.width = width
        self.height = height
        self.quality = quality
        boxes = (0..<count).map { index in
            let start = Self.fixedWords + 4 * index
            return PixelBox(x1: word(start), y1: word(start + 1), x2: word(start + 2), y2: word(start + 3))
        }
    }
}
