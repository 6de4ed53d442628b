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
        self.init(edits: EditDistance.between(truth, text), characters: truth.count)
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

    /// The pages of a truth file, which form feeds separate.
    package static func pages(ofTruth text: String) -> [String] {
        text.split(separator: "\u{C}", omittingEmptySubsequences: false).map(String.init)
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
}
