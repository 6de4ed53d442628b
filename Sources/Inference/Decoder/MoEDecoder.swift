/// The mixture-of-experts decoder: embeddings to scores (MODEL.md section 8).
struct MoEDecoder<B: Backend> {
    private let configuration: ModelConfiguration.Decoder
    private let backend: B
    private let embedTokens: B.Weight
    private let layers: [DecoderLayer<B>]
    private let norm: B.Tensor
    private let head: B.Weight
    private let firstSparseLayer: Int?

    /// Takes the decoder's weights from the whole checkpoint, whose names begin with `model.` except `lm_head`.
    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.Decoder) throws(InferenceError) {
        self.configuration = configuration
        backend = loader.backend
        let model = loader.below("model")
        embedTokens = try model.matrix("embed_tokens.weight")
        var layers: [DecoderLayer<B>] = []
        for layer in 0..<configuration.layers {
            layers.append(try DecoderLayer(model.below("layers.\(layer)"), configuration, layer: layer))
        }
        self.layers = layers
        norm = try model.table("norm.weight")
        head = try loader.matrix("lm_head.weight")
        firstSparseLayer = (0..<configuration.layers).first { configuration.isSparse(layer: $0) }
    }

    /// The ids' rows of the table, `[ids, hidden]`.
    func embed(_ ids: [Int32]) -> B.Tensor { backend.embed(ids, table: embedTokens) }

    func makeCache(capacity: Int) -> B.Cache {
        backend.makeCache(
            layers: configuration.layers, keyValueHeads: configuration.keyValueHeads,
            headWidth: configuration.headWidth, capacity: capacity)
    }

    /// New tokens' `[tokens, hidden]` embeddings to scores `[tokens, vocabulary]`, or those of the last token only.
    func decode(
        _ embeddings: B.Tensor, cache: inout B.Cache, allScores: Bool, _ run: EncoderRun
    ) throws(InferenceError) -> B.Tensor {
        var x = embeddings
        for (number, layer) in layers.enumerated() {
            try run.check()
            layer.apply(to: &x, cache: &cache, on: backend, run, isFirstSparse: number == firstSparseLayer)
            run.record("decoder.layer\(number)", [x.rows, x.columns]) { backend.download(x) }
        }
        if run.trace != nil { record(cache, run) }
        if !allScores, x.rows > 1 { x = backend.gatherRows([Int32(x.rows - 1)], from: [x]) }
        x = backend.rmsNorm(x, weight: norm, epsilon: Float(configuration.normEpsilon))
        let scores = backend.linear(x, head, bias: nil)
        if allScores {
            run.record("logits", [scores.rows, scores.columns]) { backend.download(scores) }
        } else {
            run.record("logits.last", [scores.columns]) { backend.download(scores) }
        }
        return scores
    }

    private func record(_ cache: B.Cache, _ run: EncoderRun) {
        let shape = [configuration.keyValueHeads, backend.count(of: cache, layer: 0), configuration.headWidth]
        let (keys, values) = backend.contents(of: cache, layer: 0)
        run.record("cache.layer0.k", shape) { keys }
        run.record("cache.layer0.v", shape) { values }
    }
}
