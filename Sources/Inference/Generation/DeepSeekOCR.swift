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

    /// Room for the keys and values of a sequence of at most `capacity` tokens.
    package func makeCache(capacity: Int) -> B.Cache { decoder.makeCache(capacity: capacity) }

    /// Runs the decoder over new tokens, whose keys and values are appended to the cache.
    ///
    /// - Returns: Scores `[tokens, vocabulary]`, or `[1, vocabulary]` of the last token.
    /// - Throws: `cancelled`.
    package func decode(
        _ embeddings: B.Tensor, cache: inout B.Cache, trace: ActivationTrace? = nil, allScores: Bool = false,
        isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> B.Tensor {
        try decoder.decode(
            embeddings, cache: &cache, allScores: allScores, EncoderRun(trace: trace, isCancelled: isCancelled))
    }
}
