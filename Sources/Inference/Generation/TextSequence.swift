/// A prompt and the tokens that were generated after it.
///
/// A class, since a batch changes it in place; it belongs to one thread at a time.
package final class TextSequence<B: Backend> {
    package let prompt: [Int32]
    package let options: GenerationOptions
    /// The most tokens that fit the context, or that were asked for.
    let limit: Int
    /// Asked between steps; a sequence that says yes is left out of the next one.
    let isCancelled: () -> Bool
    private let images: [B.Tensor]
    private let endToken: Int32
    package private(set) var generation = Generation()
    /// Prompt and generated tokens.
    private(set) var history: [Int32]
    var cache: B.Cache

    /// A sequence before its first step.
    ///
    /// - Throws: `badRequest` where the prompt is empty or too long.
    package init(
        prompt: [Int32], images: [B.Tensor], options: GenerationOptions, configuration: ModelConfiguration.Decoder,
        cache: B.Cache, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) {
        let context = configuration.maxPositions
        guard !prompt.isEmpty, prompt.count < context else {
            throw .badRequest(
                "The prompt has \(prompt.count) tokens; the model takes 1 to \(context - 1), image tokens included.")
        }
        self.prompt = prompt
        self.images = images
        self.options = options
        self.cache = cache
        self.isCancelled = isCancelled
        limit = min(options.maxNewTokens ?? context, context - prompt.count)
        endToken = configuration.endToken
        history = prompt
    }

    /// Whether no token is left to generate.
    package var isFinished: Bool { generation.reachedEnd || generation.tokens.count >= limit }

    /// What the decoder has not seen yet: the prompt at first, one token after that.
    ///
    /// A sequence whose cache was taken away begins again, with what it generated.
    func pending(on model: DeepSeekOCR<B>) throws(InferenceError) -> (count: Int, embeddings: B.Tensor) {
        let seen = model.backend.count(of: cache)
        guard seen == 0 else { return (1, try model.embed([history[history.count - 1]])) }
        let beginning = try model.embed(prompt, images: images)
        guard !generation.tokens.isEmpty else { return (history.count, beginning) }
        // An image token that was generated stands for itself, as it does in the step after it.
        let rest = try model.embed(generation.tokens)
        let rows = model.backend.gatherRows((0..<Int32(history.count)).map { $0 }, from: [beginning, rest])
        return (history.count, rows)
    }

    /// How many tokens the cache holds after the next step.
    var tokensAfterStep: Int { history.count }

    /// What must not come next.
    var banned: [Int32] {
        guard let rule = options.rule else { return [] }
        return Array(rule.banned(rule.overPrompt ? history : generation.tokens))
    }

    /// Takes the next token, and its share of the time that the step took.
    func append(_ token: Int32, seconds: Double) {
        if generation.tokens.isEmpty {
            generation.prefillSeconds += seconds
        } else {
            generation.decodeSeconds += seconds
        }
        generation.tokens.append(token)
        history.append(token)
        generation.reachedEnd = token == endToken
    }
}
