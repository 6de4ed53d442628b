import Glibc
import Inference

/// A matrix in an array.
struct ReferenceTensor: BackendTensor {
    var rows: Int
    var columns: Int
    var values: [Float]

    init(rows: Int, columns: Int, _ value: (_ row: Int, _ column: Int) -> Double) {
        self.rows = rows
        self.columns = columns
        values = (0..<rows * columns).map { Float(value($0 / columns, $0 % columns)) }
    }

    subscript(row: Int, column: Int) -> Double { Double(values[row * columns + column]) }

    func row(_ row: Int) -> [Double] { (0..<columns).map { self[row, $0] } }
}

/// Every operation in plain loops from its definition in MODEL.md, in double precision inside an operation.
struct ReferenceBackend: Backend {
    struct Routing {
        var indices: [Int32] = []
        var weights: [Float] = []
    }

    struct Cache {
        /// For each layer and head the tokens' vectors.
        var keys: [[[[Double]]]]
        var values: [[[[Double]]]]
    }

    func weight(_ tensor: Checkpoint.Tensor) -> ReferenceTensor {
        let rows = tensor.shape.first ?? 1
        return upload(tensor.floats(), rows: rows, columns: tensor.count / rows)
    }

    func upload(_ values: [Float], rows: Int, columns: Int) -> ReferenceTensor {
        ReferenceTensor(rows: rows, columns: columns) { Double(values[$0 * columns + $1]) }
    }

    func download(_ tensor: ReferenceTensor) -> [Float] { tensor.values }

    func patches(of views: [PreparedImage.View], patch: Int) -> ReferenceTensor {
        let side = views[0].side
        let grid = side / patch
        return ReferenceTensor(rows: views.count * grid * grid, columns: 3 * patch * patch) { row, column in
            let (channel, dy, dx) = (column / (patch * patch), column / patch % patch, column % patch)
            let (y, x) = (row / grid % grid * patch + dy, row % grid * patch + dx)
            return (Double(views[row / (grid * grid)].bytes[(y * side + x) * 3 + channel]) / 255 - 0.5) / 0.5
        }
    }

    func embed(_ ids: [Int32], table: ReferenceTensor) -> ReferenceTensor {
        ReferenceTensor(rows: ids.count, columns: table.columns) { table[Int(ids[$0]), $1] }
    }

    func gatherRows(_ indices: [Int32], from sources: [ReferenceTensor]) -> ReferenceTensor {
        let all = sources.flatMap { source in (0..<source.rows).map { source.row($0) } }
        return ReferenceTensor(rows: indices.count, columns: sources[0].columns) { all[Int(indices[$0])][$1] }
    }

    func joinColumns(_ left: ReferenceTensor, _ right: ReferenceTensor) -> ReferenceTensor {
        ReferenceTensor(rows: left.rows, columns: left.columns + right.columns) {
            $1 < left.columns ? left[$0, $1] : right[$0, $1 - left.columns]
        }
    }

    func multiply(_ matrix: ReferenceTensor, blocksOf tensor: ReferenceTensor, batches: Int) -> ReferenceTensor {
        ReferenceTensor(rows: batches * matrix.rows, columns: tensor.columns) { row, column in
            let first = row / matrix.rows * matrix.columns
            return (0..<matrix.columns).reduce(0) { $0 + matrix[row % matrix.rows, $1] * tensor[first + $1, column] }
        }
    }

    func reshape(_ tensor: ReferenceTensor, rows: Int, columns: Int) -> ReferenceTensor {
        upload(tensor.values, rows: rows, columns: columns)
    }

    func linear(_ x: ReferenceTensor, _ weight: ReferenceTensor, bias: ReferenceTensor?) -> ReferenceTensor {
        ReferenceTensor(rows: x.rows, columns: weight.rows) { row, out in
            dot(x.row(row), weight.row(out)) + (bias?[0, out] ?? 0)
        }
    }

    func addLinear(
        _ x: ReferenceTensor, _ weight: ReferenceTensor, bias: ReferenceTensor?, to sum: inout ReferenceTensor
    ) {
        add(linear(x, weight, bias: bias), to: &sum)
    }

    func add(_ tensor: ReferenceTensor, to sum: inout ReferenceTensor) {
        let old = sum
        sum = ReferenceTensor(rows: old.rows, columns: old.columns) { old[$0, $1] + tensor[$0 % tensor.rows, $1] }
    }

    func layerNorm(
        _ x: ReferenceTensor, weight: ReferenceTensor, bias: ReferenceTensor, epsilon: Float
    ) -> ReferenceTensor {
        ReferenceTensor(rows: x.rows, columns: x.columns) { row, column in
            let line = x.row(row)
            let mean = line.reduce(0, +) / Double(line.count)
            let variance = line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(line.count)
            return (line[column] - mean) / (variance + Double(epsilon)).squareRoot() * weight[0, column]
                + bias[0, column]
        }
    }

    func rmsNorm(_ x: ReferenceTensor, weight: ReferenceTensor, epsilon: Float) -> ReferenceTensor {
        ReferenceTensor(rows: x.rows, columns: x.columns) { row, column in
            let line = x.row(row)
            return line[column] / (dot(line, line) / Double(line.count) + Double(epsilon)).squareRoot()
                * weight[0, column]
        }
    }

    func gelu(_ x: inout ReferenceTensor) { apply(to: &x) { $0 / 2 * (1 + erf($0 / 2.squareRoot())) } }

    func quickGELU(_ x: inout ReferenceTensor) { apply(to: &x) { $0 / (1 + exp(-1.702 * $0)) } }

    func siluMultiply(_ gate: inout ReferenceTensor, by up: ReferenceTensor) {
        let old = gate
        gate = ReferenceTensor(rows: old.rows, columns: old.columns) {
            old[$0, $1] / (1 + exp(-old[$0, $1])) * up[$0, $1]
        }
    }

    func convolve3x3(
        _ x: ReferenceTensor, _ weight: ReferenceTensor, batches: Int, side: Int, stride: Int
    ) -> ReferenceTensor {
        let target = (side - 1) / stride + 1
        return ReferenceTensor(rows: batches * target * target, columns: weight.rows) { row, out in
            let batch = row / (target * target)
            var sum = 0.0
            for dy in 0..<3 {
                for dx in 0..<3 {
                    let (y, at) = (row / target % target * stride + dy - 1, row % target * stride + dx - 1)
                    guard (0..<side).contains(y), (0..<side).contains(at) else { continue }
                    for channel in 0..<x.columns {
                        sum += x[(batch * side + y) * side + at, channel] * weight[out, (channel * 3 + dy) * 3 + dx]
                    }
                }
            }
            return sum
        }
    }

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

    func rotate(_ x: inout ReferenceTensor, heads: Int, start: Int, theta: Float) {
        let old = x
        let width = old.columns / heads
        let half = width / 2
        x = ReferenceTensor(rows: old.rows, columns: old.columns) { row, column in
            let i = column % width
            let angle = Double(start + row) * pow(Double(theta), -Double(i % half) / Double(half))
            let (real, imaginary) =
                i < half ? (old[row, column], old[row, column + half]) : (old[row, column - half], old[row, column])
            return i < half ? real * cos(angle) - imaginary * sin(angle) : imaginary * cos(angle) + real * sin(angle)
        }
    }

    func makeCache(layers: Int, keyValueHeads: Int, headWidth: Int, capacity: Int) -> Cache {
        let empty = Array(repeating: Array(repeating: [[Double]](), count: keyValueHeads), count: layers)
        return Cache(keys: empty, values: empty)
    }

    func count(of cache: Cache, layer: Int) -> Int { cache.keys[layer][0].count }

    func contents(of cache: Cache, layer: Int) -> (keys: [Float], values: [Float]) {
        (cache.keys[layer].joined().joined().map { Float($0) }, cache.values[layer].joined().joined().map { Float($0) })
    }

    func causalAttention(
        query: ReferenceTensor, key: ReferenceTensor, value: ReferenceTensor, cache: inout Cache, layer: Int, heads: Int
    ) -> ReferenceTensor {
        let width = query.columns / heads
        let keyHeads = key.columns / width
        let start = count(of: cache, layer: layer)
        for row in 0..<key.rows {
            for head in 0..<keyHeads {
                let own = head * width..<(head + 1) * width
                cache.keys[layer][head].append(Array(key.row(row)[own]))
                cache.values[layer][head].append(Array(value.row(row)[own]))
            }
        }
        var out = ReferenceTensor(rows: query.rows, columns: query.columns) { _, _ in 0 }
        for row in 0..<query.rows {
            for head in 0..<heads {
                let vector = Array(query.row(row)[head * width..<(head + 1) * width])
                let keys = cache.keys[layer][head * keyHeads / heads].prefix(start + row + 1)
                let scores = keys.map { dot(vector, $0) / Double(width).squareRoot() }
                let result = mix(
                    softmax(scores), Array(cache.values[layer][head * keyHeads / heads].prefix(scores.count)))
                for i in 0..<width { out.values[row * query.columns + head * width + i] = Float(result[i]) }
            }
        }
        return out
    }

    func route(_ x: ReferenceTensor, gate: ReferenceTensor, count: Int, normalised: Bool, scale: Float) -> Routing {
        var routing = Routing()
        for row in 0..<x.rows {
            let chances = softmax((0..<gate.rows).map { dot(x.row(row), gate.row($0)) })
            let best = chances.indices.sorted { (-chances[$0], $0) < (-chances[$1], $1) }.prefix(count)
            let total = normalised ? best.reduce(0) { $0 + chances[$1] } : 1
            routing.indices += best.map { Int32($0) }
            routing.weights += best.map { Float(chances[$0] / total) * scale }
        }
        return routing
    }

    func contents(of routing: Routing) -> (indices: [Int32], weights: [Float]) { (routing.indices, routing.weights) }

    func addExperts(
        _ x: ReferenceTensor, _ routing: Routing, _ experts: [GatedMLP<ReferenceTensor>], to sum: inout ReferenceTensor
    ) {
        let count = routing.indices.count / x.rows
        for slot in routing.indices.indices {
            let row = slot / count
            let expert = experts[Int(routing.indices[slot])]
            let input = gatherRows([Int32(row)], from: [x])
            var hidden = linear(input, expert.gate, bias: nil)
            siluMultiply(&hidden, by: linear(input, expert.up, bias: nil))
            let result = linear(hidden, expert.down, bias: nil)
            for column in 0..<x.columns {
                sum.values[row * x.columns + column] += routing.weights[slot] * result.values[column]
            }
        }
    }

    func argmax(_ scores: ReferenceTensor, row: Int, banned: Set<Int32>) -> Int32 {
        let allowed = (0..<Int32(scores.columns)).filter { !banned.contains($0) }
        let best = allowed.map { scores[row, Int($0)] }.max()
        return allowed.first { scores[row, Int($0)] == best } ?? 0
    }

    private func apply(to x: inout ReferenceTensor, _ function: (Double) -> Double) {
        x.values = x.values.map { Float(function(Double($0))) }
    }

    private func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    private func softmax(_ scores: [Double]) -> [Double] {
        let most = scores.max() ?? 0
        let powers = scores.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    private func mix(_ weights: [Double], _ vectors: [[Double]]) -> [Double] {
        var result = Array(repeating: 0.0, count: vectors[0].count)
        for (weight, vector) in zip(weights, vectors) {
            for i in result.indices { result[i] += weight * vector[i] }
        }
        return result
    }
}
