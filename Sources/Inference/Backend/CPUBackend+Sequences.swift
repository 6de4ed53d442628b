private import Glibc

/// The decoder's attention over keys and values in blocks.
extension CPUBackend {
    package func makePool(layers: Int, keyValueHeads: Int, headWidth: Int, tokens: Int, context: Int) -> KeyValuePool {
        KeyValuePool(
            KeyValuePool.Shape(layers: layers, heads: keyValueHeads, width: headWidth),
            type: precision == .float32 ? .float32 : .bfloat16,
            capacity: max(1, (tokens + KeyValuePool.tokensOfBlock - 1) / KeyValuePool.tokensOfBlock))
    }

    package func makeCache(in pool: KeyValuePool) -> KeyValueCache { KeyValueCache(pool) }

    package func count(of cache: KeyValueCache) -> Int { cache.count }

    package func reserve(_ tokens: Int, in cache: KeyValueCache) -> Bool { cache.reserve(tokens) }

    package func contents(of cache: KeyValueCache, layer: Int) -> (keys: [Float], values: [Float]) {
        cache.contents(layer: layer)
    }

    package func causalAttention(
        _ qkv: CPUTensor, _ step: PlainStep<KeyValueCache>, _ attention: CausalAttention
    ) -> CPUTensor {
        let (rows, caches) = (step.input.rows, step.input.caches)
        let (heads, layer) = (attention.heads, attention.layer)
        let width = qkv.columns / (heads + 2 * attention.keyValueHeads)
        precondition(rows.reduce(0, +) == qkv.rows, "every row belongs to a sequence")
        precondition(
            caches.allSatisfy { $0.pool.shape.width == width && $0.pool.shape.heads == attention.keyValueHeads },
            "keys fit the caches")
        let group = heads / attention.keyValueHeads
        let places = SequencePlaces(rows: rows, starts: caches.map { $0.counts[layer] }, block: Self.queryBlock)
        var qkv = qkv
        qkv.write { turn($0, places, caches, attention, width: width) }
        for (cache, count) in zip(caches, rows) { cache.advance(count, layer: layer) }

        let scratchCount = AttentionBlock.State.count(
            rows: Self.queryBlock, width: width, keys: KeyValuePool.tokensOfBlock)
        return CPUTensor(rows: qkv.rows, columns: heads * width) { out in
            qkv.read { qkv in
                pool.run(heads * places.blocks.count, scratch: scratchCount) { task, scratch in
                    let (head, place) = (task % heads, places.blocks[task / heads])
                    let state = AttentionBlock.State(rows: place.rows.count, width: width, memory: scratch)
                    let cache = caches[place.sequence]
                    let last = place.position + place.rows.count
                    for first in stride(from: 0, to: last, by: KeyValuePool.tokensOfBlock) {
                        cache.withHead(block: first / KeyValuePool.tokensOfBlock, layer: layer, head: head / group) {
                            kernels.attend(
                                AttentionBlock(
                                    queries: qkv + place.rows.lowerBound * columns(attention, width) + head * width,
                                    queryStride: columns(attention, width), rows: place.rows.count, width: width,
                                    scale: 1 / Float(width).squareRoot(), keyCount: KeyValuePool.tokensOfBlock,
                                    keys: $0,
                                    values: $1, valueStep: KeyValuePool.tokensOfBlock * Kernels.panel,
                                    type: cache.pool.type, seen: place.position + 1 - first, seenStep: 1, grid: nil,
                                    state: state))
                        }
                    }
                    for (offset, row) in place.rows.enumerated() {
                        state.store(row: offset, width: width, to: out + (row * heads + head) * width)
                    }
                }
            }
        }
    }

    private func columns(_ attention: CausalAttention, _ width: Int) -> Int {
        (attention.heads + 2 * attention.keyValueHeads) * width
    }

    /// Turns queries and keys by their positions' angles and appends keys and values to the caches.
    private func turn(
        _ qkv: UnsafeMutablePointer<Float>, _ places: SequencePlaces, _ caches: [KeyValueCache],
        _ attention: CausalAttention, width: Int
    ) {
        let half = width / 2
        precondition(half * 2 == width, "heads have an even width")
        let columns = columns(attention, width)
        let turned = attention.heads + attention.keyValueHeads
        pool.run(places.blocks.count, scratch: 3 * half) { task, scratch in
            let place = places.blocks[task]
            let (cosines, sines) = (scratch + half, scratch + 2 * half)
            for i in 0..<half { scratch[i] = 1 / powf(attention.theta, Float(i) / Float(half)) }
            for (offset, row) in place.rows.enumerated() {
                let position = place.position + offset
                for i in 0..<half {
                    let angle = Float(position) * scratch[i]
                    cosines[i] = cosf(angle)
                    sines[i] = sinf(angle)
                }
                let line = qkv + row * columns
                for head in 0..<turned {
                    let a = line + head * width
                    let b = a + half
                    for i in 0..<half {
                        let (real, imaginary) = (a[i], b[i])
                        a[i] = real * cosines[i] - imaginary * sines[i]
                        b[i] = imaginary * cosines[i] + real * sines[i]
                    }
                }
                let keys = line + attention.heads * width
                caches[place.sequence].put(
                    keys, keys + attention.keyValueHeads * width, token: position, layer: attention.layer)
            }
        }
    }
}

/// The rows of some sequences, cut into blocks of queries.
private struct SequencePlaces {
    struct Block {
        let sequence: Int
        let rows: Range<Int>
        /// The position of the first row in its sequence.
        let position: Int
    }

    private(set) var blocks: [Block] = []

    init(rows: [Int], starts: [Int], block: Int) {
        var first = 0
        for (sequence, count) in rows.enumerated() {
            for offset in stride(from: 0, to: count, by: block) {
                blocks.append(
                    Block(
                        sequence: sequence, rows: first + offset..<first + min(count, offset + block),
                        position: starts[sequence] + offset))
            }
            first += count
        }
    }
}
