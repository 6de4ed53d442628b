/// A set of numbers that lie close together, a bit for each.
struct NumberSet {
    private var groups: [Int64: UInt64] = [:]

    /// Returns false where the number is in the set already.
    mutating func insert(_ number: Int64) -> Bool {
        let bit: UInt64 = 1 << UInt64(number & 63)
        let group = groups[number >> 6, default: 0]
        groups[number >> 6] = group | bit
        return group & bit == 0
    }
}
