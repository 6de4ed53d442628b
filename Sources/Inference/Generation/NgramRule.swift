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
