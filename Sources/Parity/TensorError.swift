private import Glibc

/// The largest error of a comparison, relative to the largest value of the tensor in which it occurs.
struct TensorError {
    /// What two correct float32 implementations stay far below (they agree to about 5e-6).
    static let tolerance = 5e-5

    private(set) var largest = 0.0
    /// The tensor with the largest error.
    private(set) var name = ""

    var isTolerable: Bool { largest <= Self.tolerance }

    var description: String { "largest error \(Self.scientific(largest))\(name.isEmpty ? "" : " (\(name))")" }

    /// Takes two tensors of one size into account.
    ///
    /// Infinite values must be the same ones; anything that is not a
    /// number is an infinite error.
    mutating func add(_ name: String, _ values: some Collection<Float>, expected: some Collection<Float>) {
        var scale = 0.0
        var gap = 0.0
        for (value, wanted) in zip(values, expected) {
            if wanted.isFinite { scale = max(scale, Double(abs(wanted))) }
            if value == wanted { continue }
            let difference = abs(Double(value) - Double(wanted))
            gap = difference.isNaN ? .infinity : max(gap, difference)
        }
        let error = gap == 0 ? 0 : gap / scale
        if self.name.isEmpty || error > largest {
            largest = error
            self.name = name
        }
    }

    /// One digit after the point, such as `3.1e-06`.
    static func scientific(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        guard value > 0 else { return "0" }
        var exponent = Int(floor(log10(value)))
        var digits = Int((value / pow(10, Double(exponent)) * 10).rounded())
        if digits >= 100 {
            exponent += 1
            digits = 10
        }
        let power = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
        return "\(digits / 10).\(digits % 10)e\(exponent < 0 ? "-" : "+")\(power)"
    }
}
