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
    /// - Throws: `badTensors` for a tensor that the checkpoint lacks.
    package init(checkpoint: Checkpoint, configuration: ModelConfiguration, backend: B) throws(InferenceError) {
        self.configuration = configuration
        self.backend = backend
        let loader = WeightLoader(checkpoint, backend)
        encoder = try DeepEncoder(loader.below("model"), configuration)
        decoder = try MoEDecoder(loader, configuration.decoder)
        backend.finishWeights()
    }

    /// Square views of one side to `[views * n * n, hidden]`, n being the side / 64, row by row.
    ///
    /// `prefix` is put in front of the trace's names.
    /// - Throws: `badRequest` for unequal or odd sides, `cancelled`.
    package func encodeViews(
        _ views: [PreparedImage.View], trace: ActivationTrace? = nil, prefix: String = "",
        isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        try encoder.encode(views, EncoderRun(trace: trace, prefix: prefix, isCancelled: isCancelled))
    }

    /// A page to the `[tokenCount, hidden]` embeddings that replace its image tokens.
    ///
    /// The trace's names begin with `view.` and `tiles.`.
    /// - Throws: `badRequest` for odd sides, `cancelled`.
    package func encodeImage(
        _ image: PreparedImage, trace: ActivationTrace? = nil, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        try encoder.encode(image, EncoderRun(trace: trace, isCancelled: isCancelled))
    }

    /// A prompt's `[ids, hidden]` embeddings; the images' rows replace the image tokens in order.
    ///
    /// - Throws: `badRequest` where ids are unknown or the numbers of image tokens and rows differ.
    package func embed(
        _ ids: [Int32], images: [B.Tensor] = [], trace: ActivationTrace? = nil
    ) throws(InferenceError) -> B.Tensor {
        if let id = ids.first(where: { $0 < 0 || Int($0) >= configuration.decoder.vocabularySize }) {
            throw .badRequest("The model has no token \(id).")
        }
        let places = ids.count { $0 == configuration.imageToken }
        let rows = images.reduce(0) { $0 + $1.rows }
        guard images.isEmpty || places == rows else {
            throw .badRequest("The prompt has \(places) image tokens for \(rows) image embeddings.")
        }
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

    /// Memory for sequences of together at most `tokens` tokens.
    package func makePool(tokens: Int) -> B.CachePool { decoder.makePool(tokens: tokens) }

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
        try decoder.advance(
            embeddings, rows: rows, caches: caches, allRows: allRows,
            EncoderRun(trace: trace, isCancelled: isCancelled))
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
