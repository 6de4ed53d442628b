private import Glibc

/// The attentions of the towers.
extension CUDABackend {
    /// Queries of a block, and keys that it looks at together (flash_attention.cuh).
    static let attentionTile = 64

    /// Queries, and two stages of keys and values, a tile each; narrow heads lie in rows of 64 elements.
    static func attentionBytes(width: Int) -> Int { 5 * attentionTile * max(width, 64) * 2 }

    static func checkHead(_ width: Int) { precondition([16, 64, 128].contains(width), "heads are 16, 64 or 128 wide") }

    package func attention(_ qkv: CUDATensor, batches: Int, heads: Int) -> CUDATensor {
        let channels = qkv.columns / 3
        let (width, tokens) = (channels / heads, qkv.rows / batches)
        Self.checkHead(width)
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
        Self.checkHead(width)
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
