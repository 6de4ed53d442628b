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
    /// The prompt's images' embeddings.
    let images: [B.Tensor]
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

    /// How many tokens the cache holds before the next choice: one whose cache was taken away begins again, with what it
    /// generated.
    var tokensToSee: Int { history.count }

    /// What must not come next.
    var ban: NgramBan? {
        guard let rule = options.rule else { return nil }
        return rule.ban(after: rule.overPrompt ? history : generation.tokens)
    }

    /// Takes the next token, if there is one yet, and its share of the time that the step took.
    func append(_ token: Int32?, seconds: Double) {
        if generation.tokens.isEmpty {
            generation.prefillSeconds += seconds
        } else {
            generation.decodeSeconds += seconds
        }
        guard let token else { return }
        generation.tokens.append(token)
        history.append(token)
        generation.reachedEnd = token == endToken
    }
}
