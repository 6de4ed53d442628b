private import Glibc

/// The attentions of the towers.
extension CUDABackend {
    /// Queries of a block, and keys that it looks at together (flash_attention.cuh).
    static let attentionTile = 64

    /// Queries, and two stages of keys and values, a tile each; narrow heads lie in rows of 64 elements.
    static func attentionBytes(width: Int) -> Int { 5 * attentionTile * max(width, 64) * 2 }

    /// How wide heads may be (attention.cuh, decode_attention.cuh).
    private static let towerHeads: Set = [16, 24, 32, 64]
    private static let decoderHeads: Set = [16, 32, 64, 128]

    package func check(_ configuration: ModelConfiguration) throws(InferenceError) {
        for (part, width, known) in [
            ("SAM", configuration.sam.headWidth, Self.towerHeads),
            ("CLIP", configuration.clip.width / configuration.clip.heads, Self.towerHeads),
            ("the decoder", configuration.decoder.headWidth, Self.decoderHeads),
        ] where !known.contains(width) {
            let widths = known.sorted().map { "\($0)" }.joined(separator: ", ")
            throw .noDevice(reason: "the heads of \(part) are \(width) wide, and the GPU's kernels know \(widths)")
        }
    }

    package func attention(_ qkv: CUDATensor, batches: Int, heads: Int) -> CUDATensor {
        let channels = qkv.columns / 3
        let (width, tokens) = (channels / heads, qkv.rows / batches)
        let qkv = narrowed(qkv)
        let out = matrix(qkv.rows, channels)
        launch(
            "attend_block_\(width)",
            grid: ((tokens + Self.attentionTile - 1) / Self.attentionTile, heads, batches), threads: 128,
            shared: Self.attentionBytes(width: width),
            [qkv.argument, out.argument, .int(tokens), .int(heads), .float(1 / Float(width).squareRoot())])
        return out
    }

    package func gridAttention(_ qkv: CUDATensor, _ grid: GridAttention<CUDATensor>) -> CUDATensor {
        let channels = qkv.columns / 3
        let width = channels / grid.heads
        let n = grid.window ?? grid.side
        let windows = (grid.side + n - 1) / n
        // 8 more than a multiple of 32: neighbouring queries' biases lie in other banks.
        let biasStride = (2 * n - 8 + 31) / 32 * 32 + 8
        let (qkv, padding) = (narrowed(qkv), narrowed(grid.padding))
        let (heights, widths) = (narrowed(grid.relativeHeight), narrowed(grid.relativeWidth))
        let out = matrix(qkv.rows, channels)
        launch(
            "attend_grid_\(width)",
            grid: (
                (n * n + Self.attentionTile - 1) / Self.attentionTile, grid.heads, grid.batches * windows * windows
            ), threads: 128,
            shared: Self.attentionBytes(width: width) + Self.attentionTile * biasStride * 4,
            [
                qkv.argument, padding.argument, heights.argument, widths.argument, out.argument, .int(grid.side),
                .int(n), .int(grid.heads), .int(biasStride), .float(1 / Float(width).squareRoot()),
            ])
        return out
    }
}
