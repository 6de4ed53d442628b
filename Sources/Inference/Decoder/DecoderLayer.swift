/// `x += o(attention(rms(x))); x += mlp(rms(x))`, the MLP being dense or experts.
struct DecoderLayer<B: Backend> {
    private let configuration: ModelConfiguration.Decoder
    private let layer: Int
    private let inputNorm: B.Tensor
    private let qProj: B.Weight
    private let kProj: B.Weight
    private let vProj: B.Weight
    private let oProj: B.Weight
    private let postAttentionNorm: B.Tensor
    private let mlp: MLP

    private enum MLP {
        case dense(GatedMLP<B.Weight>)
        case sparse(gate: B.Weight, routedExperts: [GatedMLP<B.Weight>], sharedExperts: GatedMLP<B.Weight>)
    }

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.Decoder, layer: Int) throws(InferenceError) {
        self.configuration = configuration
        self.layer = layer
        inputNorm = try loader.table("input_layernorm.weight")
        qProj = try loader.matrix("self_attn.q_proj.weight")
        kProj = try loader.matrix("self_attn.k_proj.weight")
        vProj = try loader.matrix("self_attn.v_proj.weight")
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
            gate: try loader.matrix("mlp.gate.weight"), routedExperts: experts,
            sharedExperts: try loader.gatedMLP("mlp.shared_experts"))
    }

    func apply(to x: inout B.Tensor, cache: inout B.Cache, on backend: B, _ run: EncoderRun, isFirstSparse: Bool) {
        let epsilon = Float(configuration.normEpsilon)
        let theta = Float(configuration.ropeTheta)
        let start = backend.count(of: cache, layer: layer)
        let normed = backend.rmsNorm(x, weight: inputNorm, epsilon: epsilon)
        var query = backend.linear(normed, qProj, bias: nil)
        var key = backend.linear(normed, kProj, bias: nil)
        let value = backend.linear(normed, vProj, bias: nil)
        backend.rotate(&query, heads: configuration.heads, start: start, theta: theta)
        backend.rotate(&key, heads: configuration.keyValueHeads, start: start, theta: theta)
        let attended = backend.causalAttention(
            query: query, key: key, value: value, cache: &cache, layer: layer, heads: configuration.heads)
        backend.addLinear(attended, oProj, bias: nil, to: &x)

        let input = backend.rmsNorm(x, weight: postAttentionNorm, epsilon: epsilon)
        switch mlp {
        case .dense(let mlp): add(mlp, of: input, to: &x, on: backend)
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
            backend.addExperts(input, routing, routedExperts, to: &x)
            add(sharedExperts, of: input, to: &x, on: backend)
        }
    }

    private func add(_ mlp: GatedMLP<B.Weight>, of input: B.Tensor, to x: inout B.Tensor, on backend: B) {
        var hidden = backend.linear(input, mlp.gate, bias: nil)
        backend.siluMultiply(&hidden, by: backend.linear(input, mlp.up, bias: nil))
        backend.addLinear(hidden, mlp.down, bias: nil, to: &x)
    }
}
