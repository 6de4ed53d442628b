/// The mixture-of-experts decoder: embeddings to scores (MODEL.md section 8).
struct MoEDecoder<B: Backend> {
    private let configuration: ModelConfiguration.Decoder
    private let backend: B
    private let embedTokens: B.Table
    private let layers: [DecoderLayer<B>]
    private let norm: B.Tensor
    private let head: B.Weight
    private let firstSparseLayer: Int?

    /// Takes the decoder's weights from the whole checkpoint, whose names begin with `model.` except `lm_head`.
    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.Decoder) throws(InferenceError) {
        self.configuration = configuration
        backend = loader.backend
        let model = loader.below("model")
        embedTokens = try model.rows("embed_tokens.weight")
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

    /// The step's ids' rows of the table.
    func embed(_ step: B.Step) -> B.Tensor { backend.embed(step, table: embedTokens) }

    /// Memory for the keys and values of sequences of together at most `tokens` tokens.
    func makePool(tokens: Int) -> B.CachePool {
        backend.makePool(
            layers: configuration.layers, keyValueHeads: configuration.keyValueHeads,
            headWidth: configuration.headWidth, tokens: tokens, context: configuration.maxPositions)
    }

    /// A step's `[tokens, hidden]` embeddings through all layers.
    ///
    /// - Parameters:
    ///   - embeddings: the new tokens.
    ///   - step: whose tokens they are.
    ///   - kept: the rows that the head is to see; nil keeps all.
    ///   - traced: whose keys and values a trace collects.
    ///   - run: where activations are collected, and whether to go on.
    /// - Returns: What the head takes.
    /// - Throws: `cancelled`.
    func advance(
        _ embeddings: B.Tensor, _ step: B.Step, keeping kept: [Int32]?, traced: B.Cache? = nil, _ run: EncoderRun
    ) throws(InferenceError) -> B.Tensor {
        var x = embeddings
        for (number, layer) in layers.enumerated() {
            try run.check()
            layer.apply(
                to: &x, step, on: backend, run, isFirstSparse: number == firstSparseLayer)
            run.record("decoder.layer\(number)", [x.rows, x.columns]) { backend.download(x) }
        }
        if run.trace != nil, let traced { record(traced, run) }
        if let kept { x = backend.gatherRows(kept, from: [x]) }
        return backend.rmsNorm(x, weight: norm, epsilon: Float(configuration.normEpsilon))
    }

    /// Scores `[rows, vocabulary]` of what `advance` returned.
    func scores(_ x: B.Tensor) -> B.Tensor { backend.scores(x, head) }

    /// The best token for each row of what `advance` returned.
    func choose(_ x: B.Tensor, banned: [[Int32]]) -> [Int32] { backend.choose(x, head, banned: banned) }

    /// Chooses the next tokens of a step's sequences.
    func choose(_ x: B.Tensor, for step: B.Step) { backend.choose(x, head, for: step) }

    private func record(_ cache: B.Cache, _ run: EncoderRun) {
        let shape = [configuration.keyValueHeads, backend.count(of: cache), configuration.headWidth]
        let (keys, values) = backend.contents(of: cache, layer: 0)
        run.record("cache.layer0.k", shape) { keys }
        run.record("cache.layer0.v", shape) { values }
    }
}
