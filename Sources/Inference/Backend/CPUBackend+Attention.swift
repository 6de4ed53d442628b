private import CKernels
private import Glibc

extension CPUBackend {
    /// Queries that are attended from at a time, and about how many keys to: their scores stay in a core's cache.
    ///
    /// Measured with 4096 keys on Zen 3: 24 to 192 queries and 64 to 512 keys differ by a third, these are the best.
    static let queryBlock = 48
    private static let keyBlock = 256

    package func attention(_ qkv: CPUTensor, batches: Int, heads: Int) -> CPUTensor {
        let tokens = qkv.rows / batches
        let shape = HeadShape(heads: heads, channels: qkv.columns / 3, lines: 1, side: tokens, paddedSide: nil)
        precondition(tokens * batches == qkv.rows && shape.channels * 3 == qkv.columns, "qkv divides into heads")
        return attention(qkv, batches: batches, shape, biases: nil)
    }

    package func gridAttention(_ qkv: CPUTensor, _ grid: GridAttention<CPUTensor>) -> CPUTensor {
        let channels = qkv.columns / 3
        let side = grid.window ?? grid.side
        let shape = HeadShape(
            heads: grid.heads, channels: channels, lines: side, side: side, paddedSide: GridBiases.padded(side))
        precondition(qkv.rows == grid.batches * grid.side * grid.side, "qkv has a row for each position")
        for table in [grid.relativeHeight, grid.relativeWidth] {
            precondition(table.rows == 2 * side - 1 && table.columns == shape.width, "tables fit")
        }
        let biases = GridBiases(
            height: PackedWeight(grid.relativeHeight), width: PackedWeight(grid.relativeWidth), side: side)
        guard let window = grid.window else { return attention(qkv, batches: grid.batches, shape, biases: biases) }
        // Windows become batches of their own; positions outside the grid are attended to and then dropped.
        let across = (grid.side + window - 1) / window
        let padded = grid.padding.read { padding in
            CPUTensor(rows: grid.batches * across * across * window * window, columns: qkv.columns) { to in
                qkv.read { from in
                    forEachLine(grid, window: window, across: across) { line, target, count in
                        let out = to + target * qkv.columns
                        if let line { memcpy(out, from + line * qkv.columns, count * qkv.columns * 4) }
                        for place in (line == nil ? 0 : count)..<window {
                            memcpy(out + place * qkv.columns, padding, qkv.columns * 4)
                        }
                    }
                }
            }
        }
        let attended = attention(padded, batches: grid.batches * across * across, shape, biases: biases)
        return CPUTensor(rows: qkv.rows, columns: channels) { to in
            attended.read { from in
                forEachLine(grid, window: window, across: across) { line, source, count in
                    guard let line else { return }
                    memcpy(to + line * channels, from + source * channels, count * channels * 4)
                }
            }
        }
    }

    /// For each line of each window: its first row in the grid, nil outside; its first row among the windows; how many
    /// of its positions lie in the grid.
    private func forEachLine(
        _ grid: GridAttention<CPUTensor>, window: Int, across: Int,
        _ body: (_ line: Int?, _ target: Int, _ count: Int) -> Void
    ) {
        pool.run(grid.batches * across * across) { place, _ in
            let (top, left) = (place / across % across * window, place % across * window)
            let image = place / (across * across) * grid.side * grid.side
            for y in 0..<window {
                let isInside = top + y < grid.side
                body(
                    isInside ? image + (top + y) * grid.side + left : nil, (place * window + y) * window,
                    min(window, grid.side - left))
            }
        }
    }

    /// Attention in each of `batches` equal blocks of rows.
    private func attention(_ qkv: CPUTensor, batches: Int, _ shape: HeadShape, biases: GridBiases?) -> CPUTensor {
        let tokens = qkv.rows / batches
        let blocks = (tokens + Self.queryBlock - 1) / Self.queryBlock
        let packed = FloatBuffer(count: batches * shape.heads * shape.packedCount)
        return CPUTensor(rows: qkv.rows, columns: shape.channels) { out in
            qkv.read { qkv in
                packed.withMutable { packed in
                    pool.run(batches * shape.heads) { task, _ in
                        let first = task / shape.heads * tokens
                        shape.pack(
                            qkv + first * 3 * shape.channels + task % shape.heads * shape.width,
                            to: packed + task * shape.packedCount)
                    }
                    let scratchCount = shape.stateCount + (biases?.scratchCount ?? 0)
                    pool.run(batches * shape.heads * blocks, scratch: scratchCount) { task, scratch in
                        let head = task / blocks
                        let rows =
                            task % blocks * Self.queryBlock..<min(tokens, (task % blocks + 1) * Self.queryBlock)
                        let first = head / shape.heads * tokens + rows.lowerBound
                        let column = head % shape.heads * shape.width
                        let query = qkv + first * 3 * shape.channels + column
                        attend(
                            query, rows: rows.count, shape, packed: packed + head * shape.packedCount,
                            grid: biases?.grid(
                                query, stride: 3 * shape.channels, rows: rows, scratch: scratch + shape.stateCount,
                                kernels), scratch: scratch,
                            out: out + first * shape.channels + column)
                    }
                }
            }
        }
    }

    /// Attention from some queries of one head to all its keys.
    private func attend(
        _ query: UnsafePointer<Float>, rows: Int, _ shape: HeadShape, packed: UnsafePointer<Float>,
        grid: AttentionBlock.Grid?, scratch: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>
    ) {
        let state = AttentionBlock.State(rows: rows, width: shape.width, memory: scratch)
        let step = shape.keyStep
        for first in stride(from: 0, to: shape.keyCount, by: step) {
            let count = min(step, shape.keyCount - first)
            var own = grid
            if let grid {
                own = AttentionBlock.Grid(
                    side: grid.side, lineBias: grid.lineBias + first / grid.side, lineStride: grid.lineStride,
                    columnBias: grid.columnBias, columnStride: grid.columnStride)
            }
            kernels.attend(
                AttentionBlock(
                    queries: query, queryStride: 3 * shape.channels, rows: rows, width: shape.width,
                    scale: 1 / Float(shape.width).squareRoot(), keyCount: count, keys: packed + first * shape.width,
                    values: packed + shape.keyCount * shape.width + first * Kernels.panel,
                    valueStep: shape.keyCount * Kernels.panel, type: .float32, seen: shape.slots - first, grid: own,
                    state: state))
        }
        state.store(rows: rows, width: shape.width, to: out, stride: shape.channels)
    }
}

/// How the keys of one head are laid out for attention: as lines, each filled up to whole vectors where there are biases.
private struct HeadShape {
    let heads: Int
    let channels: Int
    /// Lines of `side` keys.
    let lines: Int
    let side: Int
    /// Places of a line; what no key fills gets a bias of -infinity.
    let paddedSide: Int?

    var width: Int { channels / heads }
    /// Places that are seen.
    var slots: Int { lines * (paddedSide ?? side) }
    var keyCount: Int { (slots + Kernels.panel - 1) / Kernels.panel * Kernels.panel }
    /// Width in whole panels.
    var panelWidth: Int { (width + Kernels.panel - 1) / Kernels.panel * Kernels.panel }
    /// Floats of the keys and values of one head.
    var packedCount: Int { keyCount * (width + panelWidth) }
    /// Keys of a block: whole lines, and whole panels.
    var keyStep: Int {
        guard let paddedSide else { return 256 }
        // Two lines of an odd number of vectors make whole panels.
        let unit = paddedSide % Kernels.panel == 0 ? paddedSide : 2 * paddedSide
        return max(1, 256 / unit) * unit
    }
    /// Floats of the running state and the scores of a block.
    var stateCount: Int { AttentionBlock.State.count(rows: CPUBackend.queryBlock, width: width, keys: keyStep) }
    /// Lays out the keys and values of a head, whose queries begin at `queries`.
    func pack(_ queries: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>) {
        let values = to + keyCount * width
        to.update(repeating: 0, count: packedCount)
        for line in 0..<lines {
            for place in 0..<side {
                let from = queries + (line * side + place) * 3 * channels + channels
                let slot = line * (paddedSide ?? side) + place
                quire_put_key(from, width, to, QUIRE_F32, slot)
                quire_put_value(from + channels, width, values, QUIRE_F32, keyCount, slot)
            }
        }
    }
}

extension AttentionBlock.State {
    /// Floats that a state needs, scores of a block of keys included.
    static func count(rows: Int, width: Int, keys: Int) -> Int {
        rows * (2 + (width + Kernels.panel - 1) / Kernels.panel * Kernels.panel + keys)
    }

    /// The state before the first block of keys.
    init(rows: Int, width: Int, memory: UnsafeMutablePointer<Float>) {
        outStride = (width + Kernels.panel - 1) / Kernels.panel * Kernels.panel
        out = memory
        most = memory + rows * outStride
        sum = most + rows
        scores = sum + rows
        out.update(repeating: 0, count: rows * outStride)
        most.update(repeating: -.infinity, count: rows)
        sum.update(repeating: 0, count: rows)
    }

    /// Writes the weighted means of the values.
    func store(rows: Int, width: Int, to: UnsafeMutablePointer<Float>, stride: Int) {
        for row in 0..<rows {
            let inverse = 1 / sum[row]
            for i in 0..<width { to[row * stride + i] = out[row * outStride + i] * inverse }
        }
    }
}
