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

/// What was generated, and how long it took: of each step that it shared with others, its part of the rows.
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
        let tokens = min(context, prompt.count + min(options.maxNewTokens ?? context, context))
        var batch = SequenceBatch(self, pool: makePool(tokens: tokens))
        let sequence = try TextSequence<B>(
            prompt: prompt, images: images, options: options, configuration: configuration.decoder,
            cache: batch.makeCache(), isCancelled: isCancelled)
        guard !sequence.isFinished else { return sequence.generation }
        batch.join(sequence)
        while batch.count > 0 { _ = try batch.step(onScores: onScores) }
        guard sequence.isFinished else { throw .cancelled }
        return sequence.generation
    }
}
