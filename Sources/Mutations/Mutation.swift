/// One change to a file, drawn from a seed: the same number always makes the same file.
package struct Mutation: Sendable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        case flipped, zeroed, cut, swapped, inserted
    }

    /// Counted from 0; decides about the kind of change and its places.
    package let number: Int
    package let kind: Kind

    package init(number: Int) {
        self.number = number
        kind = Kind.allCases[number % Kind.allCases.count]
    }

    package var description: String { "\(kind.rawValue) \(number)" }

    /// The changed file.
    package func applied(to bytes: [UInt8], seed: UInt64 = 15) -> [UInt8] {
        guard bytes.count > 8 else { return bytes }
        var random = Generator(state: seed &* 0x9E37_79B9 &+ UInt64(number))
        var changed = bytes
        func place() -> Int { Int.random(in: 0..<bytes.count, using: &random) }
        /// A run of up to a part of the file, 4,000 bytes at most.
        func run() -> Range<Int> {
            let start = place()
            let most = min(4000, max(4, bytes.count / 20))
            return start..<min(bytes.count, start + Int.random(in: 1...most, using: &random))
        }
        switch kind {
        case .flipped:
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                changed[place()] ^= UInt8.random(in: 1...255, using: &random)
            }
        case .zeroed:
            for index in run() { changed[index] = 0 }
        case .cut:
            changed.removeLast(bytes.count - Int(Double(bytes.count) * Double.random(in: 0.05...0.99, using: &random)))
        case .swapped:
            let (one, other) = (run(), run())
            for (left, right) in zip(one, other) { changed.swapAt(left, right) }
        case .inserted:
            let count = Int.random(in: 1...200, using: &random)
            changed.insert(contentsOf: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }, at: place())
        }
        return changed
    }

    /// SplitMix64.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
