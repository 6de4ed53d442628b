/// The Levenshtein distance: the least number of elements to insert, delete or replace.
package enum EditDistance {
    /// The distance between two rows of elements, in one row of memory.
    package static func between<Element: Equatable>(_ one: [Element], _ other: [Element]) -> Int {
        var (long, short) = one.count >= other.count ? (one[...], other[...]) : (other[...], one[...])
        while let first = long.first, first == short.first {
            long.removeFirst()
            short.removeFirst()
        }
        while let last = long.last, last == short.last {
            long.removeLast()
            short.removeLast()
        }
        if short.isEmpty { return long.count }
        let columns = Array(short)
        var row = Array(0...columns.count)
        for (index, element) in long.enumerated() {
            var diagonal = index
            row[0] = index + 1
            for column in columns.indices {
                let replaced = diagonal + (columns[column] == element ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, min(diagonal, row[column]) + 1)
            }
        }
        return row[columns.count]
    }
}
