/// Forbids any token that would complete an n-gram already seen (MODEL.md section 9).
package struct NgramRule: Sendable, Equatable {
    /// The n of the n-gram; below 2 nothing is ever banned.
    package var size: Int
    /// How many of the last tokens an n-gram may start in; nil looks at all.
    package var window: Int?
    /// Ids that are never banned.
    package var exempt: Set<Int32>
    /// Whether the prompt's tokens count too (Hugging Face's rule).
    package var overPrompt: Bool

    package init(size: Int, window: Int?, exempt: Set<Int32> = [], overPrompt: Bool = false) {
        self.size = size
        self.window = window
        self.exempt = exempt
        self.overPrompt = overPrompt
    }
}

extension NgramRule {
    /// The windowed rule for single images: 30-grams that start in the last 90 tokens.
    package static func image(exempt: Set<Int32>) -> NgramRule { NgramRule(size: 30, window: 90, exempt: exempt) }

    /// The windowed rule for pages of a PDF: 20-grams that start in the last 50 tokens.
    package static func pdf(exempt: Set<Int32>) -> NgramRule { NgramRule(size: 20, window: 50, exempt: exempt) }

    /// Hugging Face's `no_repeat_ngram_size`: prompt and output together, no window, nothing exempt.
    package static let huggingFace = NgramRule(size: 20, window: nil, overPrompt: true)

    /// The ids that may not come next after `tokens`: what was generated so far, with `overPrompt` after the prompt.
    package func banned(_ tokens: [Int32]) -> Set<Int32> { ban(after: tokens)?.tokens ?? [] }

    /// What follows from `tokens`; nil where they are too few for anything to be banned.
    package func ban(after tokens: [Int32]) -> NgramBan? {
        guard size >= 2, tokens.count >= size else { return nil }
        let first = window.map { max(0, tokens.count - max($0, 0)) } ?? 0
        guard first <= tokens.count - size else { return nil }
        return NgramBan(history: Array(tokens[first...]), size: size, exempt: exempt)
    }
}

/// The n-gram rule for one choice: what no token may complete, and where that is looked for.
package struct NgramBan: Sendable, Equatable {
    /// The tokens in which n-grams begin, up to the last one; at least `size`.
    package let history: [Int32]
    package let size: Int
    package let exempt: Set<Int32>

    /// The banned ids.
    var tokens: Set<Int32> {
        let last = history.count - size
        let tail = history[(last + 1)...]
        var banned: Set<Int32> = []
        for start in 0...last where history[start..<(start + size - 1)].elementsEqual(tail) {
            banned.insert(history[start + size - 1])
        }
        return banned.subtracting(exempt)
    }
}
