/// The keys and values of one sequence: for each layer `[heads, capacity, width]` twice, in f32.
///
/// Memory is reserved for the whole capacity and becomes real only as tokens arrive.
package struct KeyValueCache {
    let heads: Int
    let width: Int
    let capacity: Int
    /// Tokens held, for each layer.
    private(set) var counts: [Int]
    private let keys: FloatBuffer
    private let values: FloatBuffer

    init(layers: Int, heads: Int, width: Int, capacity: Int) {
        self.heads = heads
        self.width = width
        self.capacity = capacity
        counts = Array(repeating: 0, count: layers)
        keys = FloatBuffer(count: layers * heads * capacity * width)
        values = FloatBuffer(count: layers * heads * capacity * width)
    }

    /// Lends a head's keys and values.
    func withHead<R>(
        layer: Int, head: Int, _ body: (_ keys: UnsafePointer<Float>, _ values: UnsafePointer<Float>) -> R
    ) -> R {
        let offset = (layer * heads + head) * capacity * width
        return keys.withMutable { keys in
            values.withMutable { values in body(UnsafePointer(keys + offset), UnsafePointer(values + offset)) }
        }
    }

    /// Appends `[tokens, heads * width]` keys and values.
    mutating func append(_ key: CPUTensor, _ value: CPUTensor, layer: Int) {
        let count = counts[layer]
        precondition(count + key.rows <= capacity, "the cache has room for the tokens that it was planned for")
        for (tensor, buffer) in [(key, keys), (value, values)] {
            tensor.read { from in
                buffer.withMutable { to in
                    for row in 0..<tensor.rows {
                        for head in 0..<heads {
                            let place = ((layer * heads + head) * capacity + count + row) * width
                            (to + place).update(from: from + (row * heads + head) * width, count: width)
                        }
                    }
                }
            }
        }
        counts[layer] = count + key.rows
    }

    /// A copy of a layer's keys and values, each `[heads, tokens, width]`.
    func contents(layer: Int) -> (keys: [Float], values: [Float]) {
        var result: (keys: [Float], values: [Float]) = ([], [])
        for head in 0..<heads {
            withHead(layer: layer, head: head) { key, value in
                let count = counts[layer] * width
                result.keys += UnsafeBufferPointer(start: key, count: count)
                result.values += UnsafeBufferPointer(start: value, count: count)
            }
        }
        return result
    }
}
