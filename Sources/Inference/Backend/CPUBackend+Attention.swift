private import CKernels

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
        return attention(qkv, batches: batches, shape, biases: nil, padding: nil) { batch, token in
            batch * tokens + token
        }
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
        // Without windows there is one as large as the grid.
        let across = (grid.side + side - 1) / side
        return attention(
            qkv, batches: grid.batches * across * across, shape, biases: biases, padding: grid.padding
        ) { window, token in
            let place = window % (across * across)
            let (y, x) = (place / across * side + token / side, place % across * side + token % side)
            guard y < grid.side, x < grid.side else { return nil }
            return (window / (across * across) * grid.side + y) * grid.side + x
        }
    }

    /// Attention in each of `batches` windows of `shape.tokens` tokens.
    ///
    /// `row` tells where in `qkv` a window's token stands; nil for one outside the image, which is attended to as `padding`.
    private func attention(
        _ qkv: CPUTensor, batches: Int, _ shape: HeadShape, biases: GridBiases?, padding: CPUTensor?,
        row: (_ batch: Int, _ token: Int) -> Int?
    ) -> CPUTensor {
        let (tokens, width) = (shape.tokens, shape.width)
        let blocks = (tokens + Self.queryBlock - 1) / Self.queryBlock
        let packed = FloatBuffer(count: batches * shape.heads * shape.packedCount)
        let outside = padding ?? qkv
        return CPUTensor(rows: qkv.rows, columns: shape.channels) { out in
            qkv.read { qkv in
                outside.read { outside in
                    packed.withMutable { packed in
                        pool.run(batches * shape.heads) { task, _ in
                            let (batch, column) = (task / shape.heads, task % shape.heads * width)
                            shape.pack(to: packed + task * shape.packedCount) { token in
                                (row(batch, token).map { qkv + $0 * 3 * shape.channels } ?? outside) + column
                            }
                        }
                        let queryCount = Self.queryBlock * width
                        let scratchCount = queryCount + shape.stateCount + (biases?.scratchCount ?? 0)
                        pool.run(batches * shape.heads * blocks, scratch: scratchCount) { task, scratch in
                            let head = task / blocks
                            let (batch, column) = (head / shape.heads, head % shape.heads * width)
                            let first = task % blocks * Self.queryBlock
                            let own = first..<min(tokens, first + Self.queryBlock)
                            for (place, token) in own.enumerated() {
                                let from = row(batch, token).map { qkv + $0 * 3 * shape.channels } ?? outside
                                (scratch + place * width).update(from: from + column, count: width)
                            }
                            let state = AttentionBlock.State(
                                rows: own.count, width: width, memory: scratch + queryCount)
                            attend(
                                scratch, rows: own.count, shape, packed: packed + head * shape.packedCount,
                                grid: biases?.grid(
                                    scratch, stride: width, rows: own,
                                    scratch: scratch + queryCount + shape.stateCount, kernels),
                                state: state)
                            for (place, token) in own.enumerated() {
                                guard let target = row(batch, token) else { continue }
                                state.store(row: place, width: width, to: out + target * shape.channels + column)
                            }
                        }
                    }
                }
            }
        }
    }

    /// Attention from some queries of one head, `[rows, width]`, to all its keys.
    private func attend(
        _ queries: UnsafePointer<Float>, rows: Int, _ shape: HeadShape, packed: UnsafePointer<Float>,
        grid: AttentionBlock.Grid?, state: AttentionBlock.State
    ) {
        let step = shape.keyStep
        for first in stride(from: 0, to: shape.keyCount, by: step) {
            var own = grid
            if let grid {
                own = AttentionBlock.Grid(
                    side: grid.side, lineBias: grid.lineBias + first / grid.side, lineStride: grid.lineStride,
                    columnBias: grid.columnBias, columnStride: grid.columnStride)
            }
            kernels.attend(
                AttentionBlock(
                    queries: queries, queryStride: shape.width, rows: rows, width: shape.width,
                    scale: 1 / Float(shape.width).squareRoot(), keyCount: min(step, shape.keyCount - first),
                    keys: packed + first * shape.width,
                    values: packed + shape.keyCount * shape.width + first * Kernels.panel,
                    valueStep: shape.keyCount * Kernels.panel, type: .float32, seen: shape.slots - first, grid: own,
                    state: state))
        }
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
    var tokens: Int { lines * side }
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
    /// Lays out the keys and values of a head; `queries` tells where a token's query stands.
    func pack(to: UnsafeMutablePointer<Float>, queries: (_ token: Int) -> UnsafePointer<Float>) {
        let values = to + keyCount * width
        to.update(repeating: 0, count: packedCount)
        for line in 0..<lines {
            for place in 0..<side {
                let from = queries(line * side + place) + channels
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

    /// Writes a query's weighted mean of the values.
    func store(row: Int, width: Int, to: UnsafeMutablePointer<Float>) {
        let inverse = 1 / sum[row]
        for i in 0..<width { to[i] = out[row * outStride + i] * inverse }
    }
}
