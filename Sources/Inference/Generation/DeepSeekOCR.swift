/// The whole model on a backend: views and token ids in, scores and tokens out.
///
/// A value may be used from one thread at a time.
package struct DeepSeekOCR<B: Backend> {
    package let configuration: ModelConfiguration
    package let backend: B
    private let encoder: DeepEncoder<B>
    private let decoder: MoEDecoder<B>

    /// Takes the weights from a checkpoint that was compared with the configuration.
    ///
    /// - Throws: `badTensors` for a tensor that the checkpoint lacks, `noDevice` for a model without kernels.
    package init(checkpoint: Checkpoint, configuration: ModelConfiguration, backend: B) throws(InferenceError) {
        self.configuration = configuration
        self.backend = backend
        try backend.check(configuration)
        encoder = try DeepEncoder(WeightLoader(checkpoint, backend.besideSteps).below("model"), configuration)
        decoder = try MoEDecoder(WeightLoader(checkpoint, backend), configuration.decoder)
        backend.finishWeights()
        try backend.check()
    }

    /// Square views of one side to `[views * n * n, hidden]`, n being the side / 64, row by row.
    ///
    /// `prefix` is put in front of the trace's names.
    /// - Throws: `badRequest` for unequal or odd sides, `cancelled`.
    package func encodeViews(
        _ views: [PreparedImage.View], trace: ActivationTrace? = nil, prefix: String = "",
        isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        let embeddings = try encoder.encode(views, EncoderRun(trace: trace, prefix: prefix, isCancelled: isCancelled))
        backend.follow(backend.besideSteps.moment())
        try backend.check()
        return embeddings
    }

    /// A page to the `[tokenCount, hidden]` embeddings that replace its image tokens.
    ///
    /// The trace's names begin with `view.` and `tiles.`.
    /// - Throws: `badRequest` for odd sides, `cancelled`.
    package func encodeImage(
        _ image: PreparedImage, trace: ActivationTrace? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        let encoding = try beginEncoding([image], trace: trace, isCancelled: isCancelled)
        return try finish(encoding)[0]
    }

    /// Pages that are being encoded beside the decoder's steps.
    package struct Encoding {
        fileprivate let embeddings: [B.Tensor]
        fileprivate let end: B.Moment
    }

    /// Begins to encode pages, views of one size together.
    ///
    /// - Throws: `badRequest` for odd sides, `cancelled`.
    package func beginEncoding(
        _ images: [PreparedImage], trace: ActivationTrace? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> Encoding {
        // Memory that steps have done with may be written again.
        backend.besideSteps.follow(backend.moment())
        let embeddings = try encoder.encode(images, EncoderRun(trace: trace, isCancelled: isCancelled))
        try backend.check()
        return Encoding(embeddings: embeddings, end: backend.besideSteps.moment())
    }

    /// Whether steps need not wait for what was begun.
    package func isDone(_ encoding: Encoding) -> Bool { backend.besideSteps.hasCome(encoding.end) }

    /// The pages' embeddings, for steps to come.
    package func finish(_ encoding: Encoding) throws(InferenceError) -> [B.Tensor] {
        backend.follow(encoding.end)
        try backend.check()
        return encoding.embeddings
    }

    /// A prompt's `[ids, hidden]` embeddings; the images' rows replace the image tokens in order.
    ///
    /// - Throws: `badRequest` where ids are unknown or the numbers of image tokens and rows differ.
    package func embed(
        _ ids: [Int32], images: [B.Tensor] = [], trace: ActivationTrace? = nil
    ) throws(InferenceError) -> B.Tensor {
        try check(ids, images: images)
        var embeddings = decoder.embed(ids)
        if !images.isEmpty {
            var image = Int32(ids.count)
            let order = ids.enumerated().map { place, id in
                guard id == configuration.imageToken else { return Int32(place) }
                image += 1
                return image - 1
            }
            embeddings = backend.gatherRows(order, from: [embeddings] + images)
        }
        trace?.record("embeddings", shape: [ids.count, embeddings.columns], values: backend.download(embeddings))
        return embeddings
    }

    /// Throws `badRequest` where ids are unknown or the numbers of image tokens and rows differ.
    private func check(_ ids: [Int32], images: [B.Tensor]) throws(InferenceError) {
        if let id = ids.first(where: { $0 < 0 || Int($0) >= configuration.decoder.vocabularySize }) {
            throw .badRequest("The model has no token \(id).")
        }
        let places = ids.count { $0 == configuration.imageToken }
        let rows = images.reduce(0) { $0 + $1.rows }
        guard images.isEmpty || places == rows else {
            throw .badRequest("The prompt has \(places) image tokens for \(rows) image embeddings.")
        }
    }

    /// Memory for sequences of together at most `tokens` tokens.
    package func makePool(tokens: Int) -> B.CachePool { decoder.makePool(tokens: tokens) }

    /// The next tokens of some sequences, whose new tokens go through the decoder.
    ///
    /// - Parameters:
    ///   - parts: sequences and how many tokens more of each are looked at, in whose caches there is room for them.
    ///   - onScores: called before the choice with the first sequence's scores, banned ones at minus infinity.
    ///   - isCancelled: asked between layers.
    /// - Returns: A token for each sequence, of use where nothing is left to look at.
    /// - Throws: `badRequest` where images do not fit a prompt; `cancelled`, after which the caches are of no use.
    func next(
        _ parts: [(sequence: TextSequence<B>, count: Int)], onScores: (([Float]) -> Void)? = nil,
        isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> [Int32] {
        var ids: [Int32] = []
        var order: [Int32] = []
        var images: [B.Tensor] = []
        for part in parts {
            let sequence = part.sequence
            let first = backend.count(of: sequence.cache)
            if first == 0 { try check(sequence.prompt, images: sequence.images) }
            ids += sequence.history[first..<first + part.count]
        }
        var imageRows = Int32(ids.count)
        for part in parts {
            let sequence = part.sequence
            let first = backend.count(of: sequence.cache)
            guard first < sequence.prompt.count, !sequence.images.isEmpty else {
                order += (0..<Int32(part.count)).map { Int32(order.count) + $0 }
                continue
            }
            var image = imageRows + Int32(sequence.prompt[..<first].count { $0 == configuration.imageToken })
            for place in first..<first + part.count {
                // An image token that was generated stands for itself, as it does in the step after it.
                let isImage = place < sequence.prompt.count && sequence.prompt[place] == configuration.imageToken
                order.append(isImage ? image : Int32(order.count))
                image += isImage ? 1 : 0
            }
            images += sequence.images
            imageRows += Int32(sequence.images.reduce(0) { $0 + $1.rows })
        }
        let input = StepInput(
            rows: parts.map(\.count), caches: parts.map(\.sequence.cache), ids: ids, bans: parts.map(\.sequence.ban))
        let step = backend.makeStep(input)
        let run = EncoderRun(trace: nil, isCancelled: isCancelled)
        let isPlain = ids.count == parts.count
        func hidden() throws(InferenceError) -> B.Tensor {
            var x = decoder.embed(step)
            if !images.isEmpty { x = backend.gatherRows(order, from: [x] + images) }
            return try decoder.advance(x, step, keeping: isPlain ? nil : input.lastRows, run)
        }
        if let onScores {
            let x = try hidden()
            var values = backend.download(scores(x))
            for id in parts[0].sequence.ban?.tokens ?? [] { values[Int(id)] = -.infinity }
            onScores(values)
            decoder.choose(x, for: step)
        } else {
            try backend.perform(step) { () throws(InferenceError) in decoder.choose(try hidden(), for: step) }
        }
        let tokens = backend.tokens(of: step)
        try backend.check()
        return tokens
    }

    /// Runs the decoder over new tokens of some sequences, whose keys and values are appended to their caches.
    ///
    /// - Parameters:
    ///   - embeddings: the sequences' new tokens one after another.
    ///   - rows: how many belong to each of `caches`, in which room for them was reserved.
    ///   - caches: the sequences' keys and values.
    ///   - trace: where activations are collected.
    ///   - allRows: returns every row and not only each sequence's last one.
    ///   - isCancelled: asked between layers.
    /// - Returns: What `scores` and `choose` take.
    /// - Throws: `cancelled`, after which the caches are of no use.
    package func advance(
        _ embeddings: B.Tensor, rows: [Int], caches: [B.Cache], trace: ActivationTrace? = nil, allRows: Bool = false,
        isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        let input = StepInput(rows: rows, caches: caches)
        let keepsAll = allRows || embeddings.rows == rows.count
        let hidden = try decoder.advance(
            embeddings, backend.makeStep(input), keeping: keepsAll ? nil : input.lastRows, traced: caches.first,
            EncoderRun(trace: trace, isCancelled: isCancelled))
        try backend.check()
        return hidden
    }

    /// Scores `[rows, vocabulary]` of what `advance` returned.
    package func scores(_ x: B.Tensor, trace: ActivationTrace? = nil, allRows: Bool = false) -> B.Tensor {
        let scores = decoder.scores(x)
        if let trace {
            let shape = allRows ? [scores.rows, scores.columns] : [scores.columns]
            trace.record(allRows ? "logits" : "logits.last", shape: shape, values: backend.download(scores))
        }
        return scores
    }

    /// The best token for each row of what `advance` returned, the lowest id on ties, those of `banned` left out.
    package func choose(_ x: B.Tensor, banned: [[Int32]]) -> [Int32] { decoder.choose(x, banned: banned) }
}
