private import CKernels
private import Synchronization

/// Memory for keys and values, in blocks of 64 tokens that sequences take as they grow and give back when they end.
///
/// A block holds all layers of its tokens: for each layer and head the keys as panels of 16 tokens, then the values as
/// panels of 16 elements (kernels.h).
package final class KeyValuePool: Sendable {
    /// Tokens of a block.
    package static let tokensOfBlock = 64

    /// The shape of what is kept.
    package struct Shape: Sendable, Equatable {
        package let layers: Int
        package let heads: Int
        package let width: Int

        package init(layers: Int, heads: Int, width: Int) {
            self.layers = layers
            self.heads = heads
            self.width = width
        }
    }

    let shape: Shape
    let type: ElementType
    /// How many blocks may be in use at once.
    package let capacity: Int

    private struct State {
        var used = 0
        /// Blocks that have memory, used or not.
        var made = 0
        var free: [KeyValueBlock] = []
    }

    /// So much memory is asked for at once: the system gives large pages only to large pieces, and with small ones the
    /// processor finds a block's memory at half the speed.
    private static let slabBytes = 32 << 20

    private let state = Mutex(Locked(State()))

    /// `@unchecked Sendable`: used only under the pool's lock.
    private struct Locked<Value>: @unchecked Sendable {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    init(_ shape: Shape, type: ElementType, capacity: Int) {
        self.shape = shape
        self.type = type
        self.capacity = capacity
    }

    /// Elements of the keys of one layer and head in a block.
    var keyCount: Int { Self.tokensOfBlock * shape.width }

    /// Elements of the values, whose width is filled up to whole panels.
    var valueCount: Int { Self.tokensOfBlock * ((shape.width + Kernels.panel - 1) / Kernels.panel * Kernels.panel) }

    /// Bytes of a block.
    package var blockBytes: Int { shape.layers * shape.heads * (keyCount + valueCount) * type.size }

    /// Blocks that `tokens` tokens need.
    package func blocks(for tokens: Int) -> Int { (tokens + Self.tokensOfBlock - 1) / Self.tokensOfBlock }

    /// Blocks that nobody uses.
    package var freeBlocks: Int { state.withLock { capacity - $0.value.used } }

    /// Takes so many blocks, or none and nil where there are too few.
    func take(_ count: Int) -> [KeyValueBlock]? {
        state.withLock { locked in
            guard locked.value.used + count <= capacity else { return nil }
            locked.value.used += count
            while locked.value.free.count < count { makeSlab(&locked.value) }
            defer { locked.value.free.removeLast(count) }
            return locked.value.free.suffix(count).reversed()
        }
    }

    private func makeSlab(_ state: inout State) {
        let count = max(1, min(capacity - state.made, Self.slabBytes / blockBytes))
        let floats = (blockBytes + 63) / 64 * 16
        let slab = FloatBuffer(count: count * floats)
        state.free += (0..<count).reversed().map { KeyValueBlock(slab: slab, offset: $0 * floats) }
        state.made += count
    }

    func put(_ blocks: [KeyValueBlock]) {
        state.withLock { locked in
            locked.value.used -= blocks.count
            locked.value.free += blocks
        }
    }
}

/// A block's part of the memory that several share.
struct KeyValueBlock {
    private let slab: FloatBuffer
    private let offset: Int

    init(slab: FloatBuffer, offset: Int) {
        self.slab = slab
        self.offset = offset
    }

    func withMutable<R>(_ body: (UnsafeMutablePointer<Float>) -> R) -> R { slab.withMutable { body($0 + offset) } }
}

/// The keys and values of one sequence.
///
/// `@unchecked Sendable`: a sequence belongs to one thread at a time.
package final class KeyValueCache: @unchecked Sendable {
    let pool: KeyValuePool
    private var blocks: [KeyValueBlock] = []
    /// Tokens held, for each layer.
    private(set) var counts: [Int]

    init(_ pool: KeyValuePool) {
        self.pool = pool
        counts = Array(repeating: 0, count: pool.shape.layers)
    }

    deinit { pool.put(blocks) }

    /// Tokens that all layers hold.
    package var count: Int { counts.last ?? 0 }

    /// Makes room for so many tokens in all; false where the pool has too few blocks left.
    package func reserve(_ tokens: Int) -> Bool {
        let missing = pool.blocks(for: tokens) - blocks.count
        guard missing > 0 else { return true }
        guard let more = pool.take(missing) else { return false }
        blocks += more
        return true
    }

    /// Takes the keys and values of another sequence, again and again until there are `tokens` of them.
    ///
    /// What a step costs depends on how many tokens a sequence has and not on what they are: for measurements.
    /// - Returns: false where the pool has too few blocks left.
    package func fill(from other: KeyValueCache, tokens: Int) -> Bool {
        let whole = other.count / KeyValuePool.tokensOfBlock
        guard whole > 0, reserve(tokens) else { return false }
        for (place, block) in blocks.enumerated() {
            block.withMutable { to in
                other.blocks[place % whole].withMutable { to.update(from: $0, count: (pool.blockBytes + 3) / 4) }
            }
        }
        counts = Array(repeating: tokens, count: counts.count)
        return true
    }

    /// Notes that a layer holds more tokens, whose keys and values `put` wrote.
    func advance(_ tokens: Int, layer: Int) { counts[layer] += tokens }

    /// Writes the keys and values `[heads * width]` of one token.
    func put(_ keys: UnsafePointer<Float>, _ values: UnsafePointer<Float>, token: Int, layer: Int) {
        let (shape, type) = (pool.shape, quire_type(pool.type == .float32 ? QUIRE_F32.rawValue : QUIRE_BF16.rawValue))
        let slot = token % KeyValuePool.tokensOfBlock
        for head in 0..<shape.heads {
            withHead(block: token / KeyValuePool.tokensOfBlock, layer: layer, head: head) { keyPanels, valuePanels in
                quire_put_key(keys + head * shape.width, shape.width, keyPanels, type, slot)
                quire_put_value(
                    values + head * shape.width, shape.width, valuePanels, type, KeyValuePool.tokensOfBlock, slot)
            }
        }
    }

    /// Lends a head's panels in one block.
    func withHead<R>(
        block: Int, layer: Int, head: Int,
        _ body: (_ keys: UnsafeMutableRawPointer, _ values: UnsafeMutableRawPointer) -> R
    ) -> R {
        let size = (pool.keyCount + pool.valueCount) * pool.type.size
        precondition(block < blocks.count, "room for the tokens was reserved")
        return blocks[block].withMutable { base in
            let keys = UnsafeMutableRawPointer(base) + (layer * pool.shape.heads + head) * size
            return body(keys, keys + pool.keyCount * pool.type.size)
        }
    }

    /// A copy of a layer's keys and values, each `[heads, tokens, width]`.
    func contents(layer: Int) -> (keys: [Float], values: [Float]) {
        let (shape, panel) = (pool.shape, Kernels.panel)
        var result: (keys: [Float], values: [Float]) = ([], [])
        func element(_ base: UnsafeMutableRawPointer, _ place: Int) -> Float {
            switch pool.type {
            case .float32: base.load(fromByteOffset: place * 4, as: Float.self)
            default: Float(bitPattern: UInt32(base.load(fromByteOffset: place * 2, as: UInt16.self)) << 16)
            }
        }
        for head in 0..<shape.heads {
            for token in 0..<counts[layer] {
                let slot = token % KeyValuePool.tokensOfBlock
                withHead(block: token / KeyValuePool.tokensOfBlock, layer: layer, head: head) { keys, values in
                    for i in 0..<shape.width {
                        result.keys.append(
                            element(keys, slot / panel * shape.width * panel + i * panel + slot % panel))
                        result.values.append(
                            element(values, i / panel * KeyValuePool.tokensOfBlock * panel + slot * panel + i % panel))
                    }
                }
            }
        }
        return result
    }
}
