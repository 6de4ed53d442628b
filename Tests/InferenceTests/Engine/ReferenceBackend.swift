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
    typealias Moment = Void
    typealias Experts = [GatedMLP<ReferenceTensor>]
    typealias Step = PlainStep<Cache>

    struct Routing {
        var indices: [Int32] = []
        var weights: [Float] = []
    }

    /// How many tokens there is still room for.
    final class CachePool {
        let layers: Int
        let heads: Int
        var room: Int

        init(layers: Int, heads: Int, room: Int) {
            (self.layers, self.heads, self.room) = (layers, heads, room)
        }
    }

    final class Cache {
        let pool: CachePool
        /// For each layer and head the tokens' vectors.
        var keys: [[[[Double]]]]
        var values: [[[[Double]]]]
        var reserved = 0

        init(_ pool: CachePool) {
            self.pool = pool
            keys = Array(repeating: Array(repeating: [], count: pool.heads), count: pool.layers)
            values = keys
        }

        deinit { pool.room += reserved }
    }

    func weight(stacking tensors: [Checkpoint.Tensor], isExact: Bool) -> ReferenceTensor {
        let parts = tensors.map { table($0) }
        return upload(
            parts.flatMap(\.values), rows: parts.reduce(0) { $0 + $1.rows }, columns: parts.first?.columns ?? 0)
    }

    func weight(gate: Checkpoint.Tensor, up: Checkpoint.Tensor) -> ReferenceTensor {
        weight(stacking: [gate, up], isExact: false)
    }

    func table(_ tensor: Checkpoint.Tensor) -> ReferenceTensor {
        let rows = tensor.shape.first ?? 1
        return upload(tensor.floats(), rows: rows, columns: tensor.count / rows)
    }

    func finishWeights() {}

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

    func linear(
        _ x: ReferenceTensor, _ weight: ReferenceTensor, bias: ReferenceTensor?, then activation: Activation?
    ) -> ReferenceTensor {
        ReferenceTensor(rows: x.rows, columns: weight.rows) { row, out in
            let sum = dot(x.row(row), weight.row(out)) + (bias?[0, out] ?? 0)
            switch activation {
            case .gelu: return sum / 2 * (1 + erf(sum / 2.squareRoot()))
            case .quickGELU: return sum / (1 + exp(-1.702 * sum))
            case nil: return sum
            }
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

    func addGated(_ x: ReferenceTensor, _ mlp: GatedMLP<ReferenceTensor>, to sum: inout ReferenceTensor) {
        addLinear(gated(x, mlp.gateUp), mlp.down, bias: nil, to: &sum)
    }

    /// `silu(gate x) * up x`, the gate's outputs coming first.
    private func gated(_ x: ReferenceTensor, _ gateUp: ReferenceTensor) -> ReferenceTensor {
        let both = linear(x, gateUp, bias: nil)
        let inner = both.columns / 2
        return ReferenceTensor(rows: x.rows, columns: inner) { row, column in
            let gate = both[row, column]
            return gate / (1 + exp(-gate)) * both[row, inner + column]
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
        _ x: ReferenceTensor, _ routing: Routing, _ experts: [GatedMLP<ReferenceTensor>],
        shared: GatedMLP<ReferenceTensor>, to sum: inout ReferenceTensor
    ) {
        let count = routing.indices.count / x.rows
        for slot in routing.indices.indices {
            let row = slot / count
            let expert = experts[Int(routing.indices[slot])]
            let input = gatherRows([Int32(row)], from: [x])
            let result = linear(gated(input, expert.gateUp), expert.down, bias: nil)
            for column in 0..<x.columns {
                sum.values[row * x.columns + column] += routing.weights[slot] * result.values[column]
            }
        }
        addGated(x, shared, to: &sum)
    }

    func choose(_ x: ReferenceTensor, _ weight: ReferenceTensor, banned: [[Int32]]) -> [Int32] {
        let scores = linear(x, weight, bias: nil)
        return (0..<x.rows).map { row in
            let allowed = (0..<Int32(scores.columns)).filter { !banned[row].contains($0) }
            let best = allowed.map { scores[row, Int($0)] }.max()
            return allowed.first { scores[row, Int($0)] == best } ?? 0
        }
    }

    func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

    func softmax(_ scores: [Double]) -> [Double] {
        let most = scores.max() ?? 0
        let powers = scores.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    func mix(_ weights: [Double], _ vectors: [[Double]]) -> [Double] {
        var result = Array(repeating: 0.0, count: vectors[0].count)
        for (weight, vector) in zip(weights, vectors) {
            for i in result.indices { result[i] += weight * vector[i] }
        }
        return result
    }
}
