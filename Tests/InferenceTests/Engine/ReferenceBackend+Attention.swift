import Glibc
import Inference

/// Attention, and the caches it needs.
extension ReferenceBackend {
    func attention(_ qkv: ReferenceTensor, batches: Int, heads: Int) -> ReferenceTensor {
        let tokens = qkv.rows / batches
        let channels = qkv.columns / 3
        let width = channels / heads
        var out = ReferenceTensor(rows: qkv.rows, columns: channels) { _, _ in 0 }
        for batch in 0..<batches {
            for head in 0..<heads {
                let vectors = (0..<3).map { part in
                    (0..<tokens).map { token in
                        (0..<width).map { qkv[batch * tokens + token, part * channels + head * width + $0] }
                    }
                }
                for token in 0..<tokens {
                    let scores = vectors[1].map { dot(vectors[0][token], $0) / Double(width).squareRoot() }
                    let result = mix(softmax(scores), vectors[2])
                    for i in 0..<width {
                        out.values[(batch * tokens + token) * channels + head * width + i] = Float(result[i])
                    }
                }
            }
        }
        return out
    }

    func gridAttention(_ qkv: ReferenceTensor, _ grid: GridAttention<ReferenceTensor>) -> ReferenceTensor {
        let channels = qkv.columns / 3
        let width = channels / grid.heads
        let n = grid.window ?? grid.side
        var out = ReferenceTensor(rows: qkv.rows, columns: channels) { _, _ in 0 }
        for row in 0..<qkv.rows {
            let (batch, y, x) = (row / (grid.side * grid.side), row / grid.side % grid.side, row % grid.side)
            let (top, left) = (y / n * n, x / n * n)
            for head in 0..<grid.heads {
                func vector(_ part: Int, _ y: Int, _ x: Int) -> [Double] {
                    let outside = y >= grid.side || x >= grid.side
                    return (0..<width).map { i in
                        let place = part * channels + head * width + i
                        return outside ? grid.padding[0, place] : qkv[(batch * grid.side + y) * grid.side + x, place]
                    }
                }
                let query = vector(0, y, x)
                var scores: [Double] = []
                var values: [[Double]] = []
                for ky in top..<top + n {
                    for kx in left..<left + n {
                        let bias =
                            dot(query, grid.relativeHeight.row(y - ky + n - 1))
                            + dot(query, grid.relativeWidth.row(x - kx + n - 1))
                        scores.append(dot(query, vector(1, ky, kx)) / Double(width).squareRoot() + bias)
                        values.append(vector(2, ky, kx))
                    }
                }
                let result = mix(softmax(scores), values)
                for i in 0..<width { out.values[row * channels + head * width + i] = Float(result[i]) }
            }
        }
        return out
    }

    func makePool(layers: Int, keyValueHeads: Int, headWidth: Int, tokens: Int, context: Int) -> CachePool {
        CachePool(layers: layers, heads: keyValueHeads, room: tokens)
    }

    func makeCache(in pool: CachePool) -> Cache { Cache(pool) }

    func count(of cache: Cache) -> Int { cache.keys.last?[0].count ?? 0 }

    func reserve(_ tokens: Int, in cache: Cache) -> Bool {
        let more = max(0, tokens - cache.reserved)
        guard more <= cache.pool.room else { return false }
        cache.pool.room -= more
        cache.reserved += more
        return true
    }

    func contents(of cache: Cache, layer: Int) -> (keys: [Float], values: [Float]) {
        (cache.keys[layer].joined().joined().map { Float($0) }, cache.values[layer].joined().joined().map { Float($0) })
    }

    func causalAttention(
        _ qkv: ReferenceTensor, _ step: PlainStep<Cache>, _ attention: CausalAttention
    ) -> ReferenceTensor {
        let (heads, keyHeads, layer) = (attention.heads, attention.keyValueHeads, attention.layer)
        let width = qkv.columns / (heads + 2 * keyHeads)
        var out = ReferenceTensor(rows: qkv.rows, columns: heads * width) { _, _ in 0 }
        var row = 0
        for (count, cache) in zip(step.input.rows, step.input.caches) {
            for _ in 0..<count {
                let position = cache.keys[layer][0].count
                precondition(position < cache.reserved, "room for the tokens was reserved")
                let line = qkv.row(row)
                func vector(_ head: Int) -> [Double] { Array(line[head * width..<(head + 1) * width]) }
                for head in 0..<keyHeads {
                    cache.keys[layer][head].append(turned(vector(heads + head), position, attention.theta))
                    cache.values[layer][head].append(vector(heads + keyHeads + head))
                }
                for head in 0..<heads {
                    let query = turned(vector(head), position, attention.theta)
                    let scores = cache.keys[layer][head * keyHeads / heads].map {
                        dot(query, $0) / Double(width).squareRoot()
                    }
                    let result = mix(softmax(scores), cache.values[layer][head * keyHeads / heads])
                    for i in 0..<width { out.values[(row * heads + head) * width + i] = Float(result[i]) }
                }
                row += 1
            }
        }
        return out
    }

    /// Half-split RoPE: element i and the one half a head further are turned by `position * theta^(-i / half)`.
    private func turned(_ vector: [Double], _ position: Int, _ theta: Float) -> [Double] {
        let half = vector.count / 2
        return vector.indices.map { place in
            let i = place % half
            let angle = Double(position) * pow(Double(theta), -Double(i) / Double(half))
            let (real, imaginary) = (vector[i], vector[i + half])
            return place < half
                ? real * cos(angle) - imaginary * sin(angle) : imaginary * cos(angle) + real * sin(angle)
        }
    }
}
