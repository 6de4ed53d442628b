internal import TestSupport

/// How many pages each document of a run has: from 1 to 97, drawn by a seed.
enum DocumentSizes {
    static func draw(pages: Int, seed: UInt64) -> [Int] {
        var generator = SeededGenerator(seed: seed)
        var counts: [Int] = []
        var left = pages
        while left > 0 {
            let count = min(left, Int.random(in: 1...97, using: &generator))
            counts.append(count)
            left -= count
        }
        return counts
    }
}
