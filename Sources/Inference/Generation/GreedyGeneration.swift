/// How to generate.
package struct GenerationOptions: Sendable, Equatable {
    /// The most tokens to generate; nil means as many as the context holds.
    package var maxNewTokens: Int?
    /// What may not be repeated.
    package var rule: NgramRule?

    package init(maxNewTokens: Int? = nil, rule: NgramRule? = nil) {
        self.maxNewTokens = maxNewTokens
        self.rule = rule
    }
}

/// What was generated, and how long it took.
package struct Generation: Sendable, Equatable {
    /// The end token included, where it was reached.
    package var tokens: [Int32] = []
    package var reachedEnd = false
    package var prefillSeconds = 0.0
    package var decodeSeconds = 0.0
}

extension DeepSeekOCR {
    /// Generates greedily after a prompt: the best token, the lowest id on ties (MODEL.md section 9).
    ///
    /// Prompt and output together stay within the model's context.
    /// - Parameters:
    ///   - prompt: ids, with an image token for each row of `images`.
    ///   - images: embeddings from `encodeImage`.
    ///   - options: when to stop, and what not to repeat.
    ///   - onScores: called before each choice with all scores, banned ones at minus infinity.
    ///   - isCancelled: asked between layers and between tokens.
    /// - Returns: The tokens and the times.
    /// - Throws: `badRequest` where the prompt is empty, too long or does not fit the images; `cancelled`.
    package func generate(
        prompt: [Int32], images: [B.Tensor] = [], options: GenerationOptions = GenerationOptions(),
        onScores: (([Float]) -> Void)? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> Generation {
        let context = configuration.decoder.maxPositions
        guard !prompt.isEmpty, prompt.count < context else {
            throw .badRequest(
                "The prompt has \(prompt.count) tokens; the model takes 1 to \(context - 1), image tokens included.")
        }
        let limit = min(options.maxNewTokens ?? context, context - prompt.count)
        var result = Generation()
        guard limit > 0 else { return result }
        let clock = ContinuousClock()
        var started = clock.now
        var cache = makeCache(capacity: prompt.count + limit)
        var embeddings = try embed(prompt, images: images)
        while true {
            let scores = try decode(embeddings, cache: &cache, isCancelled: isCancelled)
            let banned = options.rule.map { $0.banned($0.overPrompt ? prompt + result.tokens : result.tokens) } ?? []
            if let onScores {
                var values = backend.download(scores)
                for id in banned { values[Int(id)] = -.infinity }
                onScores(values)
            }
            let token = backend.argmax(scores, row: 0, banned: banned)
            if result.tokens.isEmpty {
                result.prefillSeconds = (clock.now - started) / .seconds(1)
                started = clock.now
            }
            result.tokens.append(token)
            result.reachedEnd = token == configuration.decoder.endToken
            if result.reachedEnd || result.tokens.count == limit { break }
            embeddings = try embed([token])
        }
        result.decodeSeconds = (clock.now - started) / .seconds(1)
        return result
    }
}
