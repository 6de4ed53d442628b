/// How samples of 16 bits become 8: by their high byte, unless the data fill only a small part of the range, as those of
/// scanners of 10, 12 or 14 bits do.
struct SampleRange: Sendable, Equatable {
    private let low: Int
    private let high: Int
    /// Nil where the range is stretched.
    private let shift: Int?

    static let full = SampleRange(shift: 8)

    /// By what the file says of its samples.
    init?(statedLeast: Int, most: Int) {
        guard statedLeast >= 0, most > statedLeast else { return nil }
        self.init(low: statedLeast, high: most)
    }

    private init(shift: Int) { (low, high, self.shift) = (0, 0xFFFF, shift) }

    private init(low: Int, high: Int) { (self.low, self.high, shift) = (low, high, nil) }

    /// `least` and `most` are those of the data, or what the file states (MinSampleValue, MaxSampleValue).
    init(least: Int, most: Int) {
        guard most > 0 else {
            self = .full
            return
        }
        // The unit is the number of bits that a scanner may have: noise of a few levels is not made a picture of.
        let bits = [8, 10, 12, 14].first { most < 1 << $0 } ?? 16
        let shift = most < 64 ? 8 : bits - 8
        let scale = 1 << (shift + 8)
        // Less than an eighth of the range would not be seen; near white that is paper and its noise.
        if most - least < scale / 8, most - least >= 64, most < scale * 3 / 4 {
            self.init(low: least, high: most)
        } else {
            self.init(shift: shift)
        }
    }

    func byte(_ sample: UInt16) -> UInt8 {
        if let shift { return UInt8(min(255, Int(sample) >> shift)) }
        return UInt8(max(0, min(255, ((Int(sample) - low) * 255 + (high - low) / 2) / (high - low))))
    }
}
