/// What to ask of a page.
package struct RecognitionRequest: Sendable, Equatable {
    package var mode: ResolutionMode
    /// With `<image>` where the page goes.
    package var prompt: String
    /// The most tokens to generate; nil means as many as the context holds.
    package var maxNewTokens: Int?
    /// Which repetitions are forbidden; nil forbids none.
    package var rule: NgramRule?

    package init(mode: ResolutionMode, prompt: String, maxNewTokens: Int? = nil, rule: NgramRule? = nil) {
        self.mode = mode
        self.prompt = prompt
        self.maxNewTokens = maxNewTokens
        self.rule = rule
    }
}

/// What the model answered about a page, and what it took.
package struct Recognition: Sendable, Equatable {
    /// The answer as it came, special tokens and the end's text included.
    package let rawText: String
    /// The generated ids, the end token included where it was reached.
    package let tokens: [Int32]
    /// How many tokens the prompt had, image tokens included.
    package let promptTokens: Int
    /// How many of them were image tokens.
    package let imageTokens: Int
    /// Whether the model ended by itself rather than at the limit.
    package let reachedEnd: Bool
    /// Preparing the views and running the DeepEncoder.
    package let encodeSeconds: Double
    /// Running the decoder over the prompt, the first token included.
    package let prefillSeconds: Double
    /// Generating the rest.
    package let decodeSeconds: Double
}
