/// The CLIP-L tower over SAM's output in the place of patch embeddings (MODEL.md section 6).
struct CLIPTower<B: Backend> {
    private static var epsilon: Float { 1e-5 }

    private let configuration: ModelConfiguration.CLIP
    private let backend: B
    /// What stands in front of a view, `[1, width]`.
    private let classEmbedding: B.Tensor
    /// `[1 + tableSide * tableSide, width]`, the class first.
    private let positions: B.Tensor
    private let preNorm: LayerNorm<B>
    private let layers: [CLIPLayer<B>]
    private let resized = SideCache<B.Tensor>()

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.CLIP) throws(InferenceError) {
        self.configuration = configuration
        backend = loader.backend
        classEmbedding = try loader.table("embeddings.class_embedding")
        positions = try loader.table("embeddings.position_embedding.weight")
        preNorm = try loader.norm("pre_layrnorm", epsilon: Self.epsilon)
        var layers: [CLIPLayer<B>] = []
        for layer in 0..<configuration.layers {
            layers.append(
                try CLIPLayer(
                    loader.below("transformer.layers.\(layer)"), heads: configuration.heads, epsilon: Self.epsilon))
        }
        self.layers = layers
    }

    /// SAM's `[views * n * n, width]` to `[views * (1 + n * n), width]`, the class first in each view.
    func encode(_ features: B.Tensor, views: Int, side: Int, _ run: EncoderRun) throws(InferenceError) -> B.Tensor {
        let places = side * side
        let shape = [views, 1 + places, configuration.width]
        var rows: [Int32] = []
        for view in 0..<views {
            rows.append(0)
            rows += (0..<places).map { Int32(1 + view * places + $0) }
        }
        var x = backend.gatherRows(rows, from: [classEmbedding, features])
        backend.add(try resized.value(for: side, on: backend) { table(side: side) }, to: &x)
        run.record("clip.embeddings", shape) { backend.download(x) }
        x = preNorm.apply(x, on: backend)
        for (number, layer) in layers.enumerated() {
            try run.check()
            layer.apply(to: &x, views: views, on: backend)
            run.record("clip.layer\(number)", shape) { backend.download(x) }
        }
        run.record("clip.out", shape) { backend.download(x) }
        return x
    }

    /// The position table for a grid; its first row, the class's, is never resized.
    private func table(side: Int) -> B.Tensor {
        let own = configuration.tableSide
        let grid = backend.gatherRows((1...Int32(own * own)).map { $0 }, from: [positions])
        let resized = backend.resizeGrid(grid, side: own, to: side)
        let rows = [0] + (0..<Int32(side * side)).map { $0 + Int32(positions.rows) }
        return backend.gatherRows(rows, from: [positions, resized])
    }
}

/// One layer: `x += out_proj(attention(layer_norm1(x))); x += fc2(quickGELU(fc1(layer_norm2(x))))`.
private struct CLIPLayer<B: Backend> {
    let heads: Int
    let norm1: LayerNorm<B>
    let qkv: Linear<B>
    let projection: Linear<B>
    let norm2: LayerNorm<B>
    let fc1: Linear<B>
    let fc2: Linear<B>

    init(_ loader: WeightLoader<B>, heads: Int, epsilon: Float) throws(InferenceError) {
        self.heads = heads
        norm1 = try loader.norm("layer_norm1", epsilon: epsilon)
        qkv = try loader.linear("self_attn.qkv_proj")
        projection = try loader.linear("self_attn.out_proj")
        norm2 = try loader.norm("layer_norm2", epsilon: epsilon)
        fc1 = try loader.linear("mlp.fc1")
        fc2 = try loader.linear("mlp.fc2")
    }

    func apply(to x: inout B.Tensor, views: Int, on backend: B) {
        let packed = qkv.apply(norm1.apply(x, on: backend), on: backend)
        projection.add(backend.attention(packed, batches: views, heads: heads), to: &x, on: backend)
        let hidden = fc1.apply(norm2.apply(x, on: backend), then: .quickGELU, on: backend)
        fc2.add(hidden, to: &x, on: backend)
    }
}
