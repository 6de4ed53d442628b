/// How far recognised text is from the truth: the least number of characters to insert, delete or replace.
///
/// White space counts as single spaces, and the `#` marks of headings do not count.
package struct CharacterErrorRate: Sendable, Hashable {
    package var edits: Int
    /// Characters (Unicode scalars) of the truth.
    package var characters: Int

    package init(edits: Int = 0, characters: Int = 0) {
        self.edits = edits
        self.characters = characters
    }

    /// Compares one page.
    package init(truth: String, text: String) {
        let (truth, text) = (Self.folded(truth), Self.folded(text))
        self.init(edits: Self.distance(truth, text), characters: truth.count)
    }

    /// Compares page by page; a page that one side lacks counts as empty.
    package init(truth: [String], pages: [String]) {
        self.init()
        for index in 0..<max(truth.count, pages.count) {
            self += CharacterErrorRate(
                truth: index < truth.count ? truth[index] : "", text: index < pages.count ? pages[index] : "")
        }
    }

    /// Edits for each character of the truth; nil where the truth is empty.
    package var rate: Double? { characters > 0 ? Double(edits) / Double(characters) : nil }

    package static func += (left: inout CharacterErrorRate, right: CharacterErrorRate) {
        left.edits += right.edits
        left.characters += right.characters
    }

    /// What is compared: one line without the `#` marks that lines begin with.
    package static func folded(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        var isLineStart = true
        var needsSpace = false
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace {
                needsSpace = !result.isEmpty
                if scalar == "\n" || scalar == "\r" { isLineStart = true }
            } else if isLineStart, scalar == "#" {
                continue
            } else {
                isLineStart = false
                if needsSpace { result.append(" ") }
                needsSpace = false
                result.append(scalar)
            }
        }
        return result
    }

    /// The Levenshtein distance, in one row of memory.
    package static func distance(_ one: [Unicode.Scalar], _ other: [Unicode.Scalar]) -> Int {
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
        for (index, scalar) in long.enumerated() {
            var diagonal = index
            row[0] = index + 1
            for column in columns.indices {
                let replaced = diagonal + (columns[column] == scalar ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, min(diagonal, row[column]) + 1)
            }
        }
        return row[columns.count]
    }
}
