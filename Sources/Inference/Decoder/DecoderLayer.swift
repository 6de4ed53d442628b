/// `x += o(attention(rms(x))); x += mlp(rms(x))`, the MLP being dense or experts.
struct DecoderLayer<B: Backend> {
    private let configuration: ModelConfiguration.Decoder
    private let layer: Int
    private let inputNorm: B.Tensor
    /// `q_proj`, `k_proj` and `v_proj` as one.
    private let qkvProj: B.Weight
    private let oProj: B.Weight
    private let postAttentionNorm: B.Tensor
    private let mlp: MLP

    private enum MLP {
        case dense(GatedMLP<B.Weight>)
        case sparse(gate: B.Weight, routedExperts: B.Experts, sharedExperts: GatedMLP<B.Weight>)
    }

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.Decoder, layer: Int) throws(InferenceError) {
        self.configuration = configuration
        self.layer = layer
        inputNorm = try loader.table("input_layernorm.weight")
        qkvProj = try loader.stack("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")
        oProj = try loader.matrix("self_attn.o_proj.weight")
        postAttentionNorm = try loader.table("post_attention_layernorm.weight")
        guard configuration.isSparse(layer: layer) else {
            mlp = .dense(try loader.gatedMLP("mlp"))
            return
        }
        var experts: [GatedMLP<B.Weight>] = []
        for expert in 0..<configuration.routedExperts {
            experts.append(try loader.gatedMLP("mlp.experts.\(expert)"))
        }
        mlp = .sparse(
            gate: try loader.matrix("mlp.gate.weight", isExact: true), routedExperts: loader.backend.experts(experts),
            sharedExperts: try loader.gatedMLP("mlp.shared_experts"))
    }

    /// Applies the layer to a step's tokens.
    func apply(to x: inout B.Tensor, _ step: B.Step, on backend: B, _ run: EncoderRun, isFirstSparse: Bool) {
        let epsilon = Float(configuration.normEpsilon)
        let normed = backend.rmsNorm(x, weight: inputNorm, epsilon: epsilon)
        let attended = backend.causalAttention(
            backend.linear(normed, qkvProj, bias: nil), step,
            CausalAttention(
                layer: layer, heads: configuration.heads, keyValueHeads: configuration.keyValueHeads,
                theta: Float(configuration.ropeTheta)))
        backend.addLinear(attended, oProj, bias: nil, to: &x)

        let input = backend.rmsNorm(x, weight: postAttentionNorm, epsilon: epsilon)
        switch mlp {
        case .dense(let mlp): backend.addGated(input, mlp, to: &x)
        case .sparse(let gate, let routedExperts, let sharedExperts):
            let routing = backend.route(
                input, gate: gate, count: configuration.expertsPerToken,
                normalised: configuration.normalisesExpertWeights, scale: Float(configuration.routedScale))
            if isFirstSparse, run.trace != nil {
                let (indices, weights) = backend.contents(of: routing)
                let shape = [input.rows, configuration.expertsPerToken]
                run.record("router.index", shape) { indices.map(Float.init) }
                run.record("router.weight", shape) { weights }
            }
            backend.addExperts(input, routing, routedExperts, shared: sharedExperts, to: &x)
        }
    }
}
