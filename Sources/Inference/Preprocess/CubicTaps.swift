/// The antialiased bicubic filter of image resizing and of position tables (MODEL.md section 3).
///
/// Keys' kernel with a = -0.5, stretched by the scale when shrinking: the taps of Pillow's BICUBIC and of torch's
/// antialiased bicubic interpolation. They are computed one output at a time, so a long axis costs no memory.
package struct CubicTaps: Sendable {
    /// Length of the axis before.
    package let source: Int
    /// Length of the axis after.
    package let target: Int

    private let scale: Double
    private let stretch: Double

    package init(source: Int, target: Int) {
        precondition(source > 0 && target > 0, "an axis has at least one position")
        self.source = source
        self.target = target
        scale = Double(source) / Double(target)
        stretch = max(scale, 1)
    }

    /// The source positions that output `index` is made of.
    package func range(at index: Int) -> Range<Int> {
        let centre = (Double(index) + 0.5) * scale
        let support = 2 * stretch
        return max(Int(centre - support + 0.5), 0)..<min(Int(centre + support + 0.5), source)
    }

    /// The weights of `range(at:)`, summing to 1.
    package func weights(at index: Int) -> [Double] {
        let centre = (Double(index) + 0.5) * scale
        let shrink = 1 / stretch
        let weights = range(at: index).map { Self.kernel((Double($0) - centre + 0.5) * shrink) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    private static func kernel(_ position: Double) -> Double {
        let x = abs(position)
        if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
        if x < 2 { return (((x - 5) * x + 8) * x - 4) * -0.5 }
        return 0
    }
}
