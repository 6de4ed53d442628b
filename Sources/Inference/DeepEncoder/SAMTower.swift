/// The SAM-B tower and its 16x compressor: pixels to `[positions, channels]` (MODEL.md section 5).
struct SAMTower<B: Backend> {
    private let configuration: ModelConfiguration.SAM
    private let backend: B
    private let patchEmbedding: Linear<B>
    /// The position table, `[tableSide * tableSide, width]`.
    private let positions: B.Tensor
    private let blocks: [SAMBlock<B>]
    private let neckNarrow: B.Weight
    private let neckNorm1: LayerNorm<B>
    private let neckConvolution: B.Weight
    private let neckNorm2: LayerNorm<B>
    private let net2: B.Weight
    private let net3: B.Weight
    private let resized = SideCache<B.Tensor>()

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.SAM) throws(InferenceError) {
        self.configuration = configuration
        backend = loader.backend
        patchEmbedding = try loader.linear("patch_embed.proj")
        positions = try loader.table("pos_embed")
        var blocks: [SAMBlock<B>] = []
        for layer in 0..<configuration.layers {
            blocks.append(try SAMBlock(loader.below("blocks.\(layer)"), configuration, layer: layer))
        }
        self.blocks = blocks
        neckNarrow = try loader.matrix("neck.0.weight")
        neckNorm1 = try loader.norm("neck.1", epsilon: 1e-6)
        neckConvolution = try loader.matrix("neck.2.weight")
        neckNorm2 = try loader.norm("neck.3", epsilon: 1e-6)
        net2 = try loader.matrix("net_2.weight")
        net3 = try loader.matrix("net_3.weight")
    }

    /// Views of one side to `[views * n * n, channels]`, n being the side / 64.
    func encode(_ views: [PreparedImage.View], side: Int, _ run: EncoderRun) throws(InferenceError) -> B.Tensor {
        let (batches, grid) = (views.count, side / configuration.patchSize)
        var x = patchEmbedding.apply(backend.patches(of: views, patch: configuration.patchSize), on: backend)
        let table = try resized.value(for: grid, on: backend) {
            backend.resizeGrid(positions, side: configuration.tableSide, to: grid)
        }
        backend.add(table, to: &x)
        for (layer, block) in blocks.enumerated() {
            try run.check()
            try block.apply(to: &x, batches: batches, side: grid, on: backend)
            run.record("sam.block\(layer)", [batches, grid, grid, configuration.width]) { backend.download(x) }
        }
        x = neckNorm1.apply(backend.linear(x, neckNarrow, bias: nil), on: backend)
        x = backend.convolve3x3(x, neckConvolution, batches: batches, side: grid, stride: 1)
        x = neckNorm2.apply(x, on: backend)
        run.recordChannelsFirst("sam.neck", batches: batches, side: grid, channels: x.columns) { backend.download(x) }
        x = backend.convolve3x3(x, net2, batches: batches, side: grid, stride: 2)
        x = backend.convolve3x3(x, net3, batches: batches, side: grid / 2, stride: 2)
        run.recordChannelsFirst("sam.out", batches: batches, side: grid / 4, channels: x.columns) {
            backend.download(x)
        }
        return x
    }
}

/// One block: `x += attention(norm1(x)); x += lin2(gelu(lin1(norm2(x))))`.
private struct SAMBlock<B: Backend> {
    /// nil attends globally.
    let window: Int?
    let heads: Int
    let norm1: LayerNorm<B>
    let qkv: Linear<B>
    let projection: Linear<B>
    let relativeHeight: B.Tensor
    let relativeWidth: B.Tensor
    let norm2: LayerNorm<B>
    let lin1: Linear<B>
    let lin2: Linear<B>
    private let resized = SideCache<(height: B.Tensor, width: B.Tensor)>()

    init(_ loader: WeightLoader<B>, _ configuration: ModelConfiguration.SAM, layer: Int) throws(InferenceError) {
        window = configuration.globalAttentionIndexes.contains(layer) ? nil : configuration.windowSize
        heads = configuration.heads
        norm1 = try loader.norm("norm1", epsilon: 1e-6)
        qkv = try loader.linear("attn.qkv")
        projection = try loader.linear("attn.proj")
        relativeHeight = try loader.table("attn.rel_pos_h")
        relativeWidth = try loader.table("attn.rel_pos_w")
        norm2 = try loader.norm("norm2", epsilon: 1e-6)
        lin1 = try loader.linear("mlp.lin1")
        lin2 = try loader.linear("mlp.lin2")
    }

    func apply(to x: inout B.Tensor, batches: Int, side: Int, on backend: B) throws(InferenceError) {
        let tables = try resized.value(for: window ?? side, on: backend) {
            (
                height: backend.resizeRelative(relativeHeight, side: window ?? side),
                width: backend.resizeRelative(relativeWidth, side: window ?? side)
            )
        }
        // Windows are padded after the norm; a padded position's q, k and v are therefore the bias of qkv.
        let attended = backend.gridAttention(
            qkv.apply(norm1.apply(x, on: backend), on: backend),
            GridAttention(
                batches: batches, side: side, heads: heads, window: window, padding: qkv.bias,
                relativeHeight: tables.height, relativeWidth: tables.width))
        projection.add(attended, to: &x, on: backend)
        let hidden = lin1.apply(norm2.apply(x, on: backend), then: .gelu, on: backend)
        lin2.add(hidden, to: &x, on: backend)
    }
}
