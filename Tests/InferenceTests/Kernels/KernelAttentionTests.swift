import CKernels
import Glibc
import Inference
import Testing

/// Attention in blocks, of every instruction set: against the plain definition, and against itself cut otherwise.
@Suite struct KernelAttentionTests {
    private static let levels = CPUBackendTests.levels
    private static let types = [QUIRE_F32, QUIRE_BF16].map(\.rawValue)

    @Test(arguments: levels, types)
    func `queries attend to the keys that they see`(level: Kernels.Level, type: UInt32) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 41)
        for width in [1, 5, 16, 20, 33, 64, 128] {
            for (rows, keys) in [(1, 16), (5, 48), (6, 64), (13, 256), (48, 64)] {
                // All, none, some, one more a row from none on, one more a row up to all and beyond.
                for (seen, step) in [
                    (keys, 0), (0, 0), (-7, 0), (keys - 5, 0), (-3, 1), (keys - 2, 1), (1, 1),
                ] {
                    let bench = AttentionBench(
                        quire_type(type), rows: rows, width: width, keys: keys, seen: seen, step: step,
                        random: &random)
                    let (found, wanted) = (bench.run(kernels, block: keys), bench.plain())
                    let error = largestError(found, wanted)
                    #expect(
                        error <= 3e-6,
                        "\(rows) rows, width \(width), \(keys) keys, seen \(seen) + \(step) a row: \(error)")
                }
            }
        }
    }

    @Test(arguments: levels, types)
    func `blocks of keys give what one block gives`(level: Kernels.Level, type: UInt32) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 42)
        for (rows, width, seen, step) in [
            (1, 16, 256, 0), (7, 20, 250, 0), (13, 64, 100, 1), (48, 33, 1, 1),
        ] {
            let bench = AttentionBench(
                quire_type(type), rows: rows, width: width, keys: 256, seen: seen, step: step,
                random: &random)
            let whole = bench.run(kernels, block: 256)
            #expect(largestError(whole, bench.plain()) <= 3e-6)
            for block in [16, 64, 128] {
                #expect(largestError(bench.run(kernels, block: block), whole) <= 2e-6)
            }
        }
    }

    @Test(arguments: levels, types)
    func `a query gives the same to the last bit among any others`(level: Kernels.Level, type: UInt32) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 43)
        for width in [20, 64] {
            let bench = AttentionBench(
                quire_type(type), rows: 48, width: width, keys: 256, seen: 150, step: 1, random: &random)
            let all = bench.run(kernels, block: 64)
            for row in [0, 1, 5, 11, 12, 30, 47] {
                #expect(
                    bench.run(kernels, block: 64, only: row) == Array(all[row * width..<(row + 1) * width]))
            }
        }
    }

    @Test(arguments: levels, [1, 3, 7, 8, 9, 15, 16, 17, 40])
    func `biases belong to the lines and places of a grid of any side`(
        level: Kernels.Level, side: Int
    ) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 44)
        for (rows, lines) in [(1, 1), (6, 3), (13, side)] {
            let seen = lines * side
            for type in Self.types {
                var bench = AttentionBench(
                    quire_type(type), rows: rows, width: 20, keys: (seen + 15) / 16 * 16, seen: seen, step: 0,
                    random: &random)
                bench.setGrid(side: side, random: &random)
                #expect(largestError(bench.run(kernels, block: bench.keys), bench.plain()) <= 3e-6)
            }
        }
    }

    @Test(arguments: levels)
    func `places with a bias of minus infinity count for nothing`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 45)
        for side in [7, 16, 24] {
            var bench = AttentionBench(
                QUIRE_F32, rows: 9, width: 20, keys: (5 * side + 15) / 16 * 16, seen: 5 * side, step: 0,
                random: &random)
            bench.setGrid(side: side, random: &random)
            for row in 0..<9 {
                for place in (side - 3)..<side { bench.columnBias[row * side + place] = -.infinity }
            }
            #expect(largestError(bench.run(kernels, block: bench.keys), bench.plain()) <= 3e-6)
        }
    }

    @Test(arguments: levels)
    func `scores of any size neither overflow nor vanish`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 46)
        for scale: Float in [1e-3, 30, 1000] {
            var bench = AttentionBench(
                QUIRE_F32, rows: 7, width: 16, keys: 256, seen: 250, step: 1, random: &random)
            bench.scale *= scale
            for block in [64, 256] {
                // A score's own rounding, about 1e-7 of its size, becomes the weights' error.
                #expect(
                    largestError(bench.run(kernels, block: block), bench.plain()) <= 3e-6 * max(1, scale))
            }
        }
    }
}

/// Random queries, keys and values; what is not seen by any query is NaN, as fresh memory may be.
struct AttentionBench {
    let type: quire_type
    let rows: Int
    let width: Int
    let keys: Int
    let seen: Int
    let step: Int
    var scale: Float
    private let queries: [Float]
    private var plainKeys: [[Float]]
    private var plainValues: [[Float]]
    private(set) var side = 0
    private var lineBias: [Float] = []
    var columnBias: [Float] = []

    private var paddedWidth: Int { (width + 15) / 16 * 16 }
    private var size: Int { type == QUIRE_F32 ? 4 : 2 }

    init(
        _ type: quire_type, rows: Int, width: Int, keys: Int, seen: Int, step: Int,
        random: inout FixedRandom
    ) {
        (self.type, self.rows, self.width, self.keys, self.seen, self.step) = (
            type, rows, width, keys, seen, step
        )
        scale = 1 / Float(width).squareRoot()
        queries = random.floats(rows * width, times: 3)
        plainKeys = (0..<keys).map { _ in random.floats(width, times: 2) }
        plainValues = (0..<keys).map { _ in random.floats(width) }
        guard type == QUIRE_BF16 else { return }
        func rounded(_ value: Float) -> Float { Float(bitPattern: value.bitPattern & 0xFFFF_0000) }
        plainKeys = plainKeys.map { $0.map(rounded) }
        plainValues = plainValues.map { $0.map(rounded) }
    }

    mutating func setGrid(side: Int, random: inout FixedRandom) {
        self.side = side
        lineBias = random.floats(rows * (keys / side + 1), times: 2)
        columnBias = random.floats(rows * side, times: 2)
    }

    private func limit(_ row: Int) -> Int { min(keys, max(0, seen + row * step)) }

    /// From the definition, in double precision: `[rows, width]`.
    func plain() -> [Float] {
        (0..<rows).flatMap { row -> [Float] in
            let query = queries[row * width..<(row + 1) * width]
            let scores = (0..<limit(row)).map { key -> Double in
                let product = zip(query, plainKeys[key]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                guard side > 0 else { return product * Double(scale) }
                return product * Double(scale) + Double(lineBias[row * (keys / side + 1) + key / side])
                    + Double(columnBias[row * side + key % side])
            }
            guard let most = scores.max() else { return Array(repeating: 0, count: width) }
            let weights = scores.map { exp($0 - most) }
            let sum = weights.reduce(0, +)
            return (0..<width).map { i in
                Float(zip(weights, plainValues).reduce(0.0) { $0 + $1.0 / sum * Double($1.1[i]) })
            }
        }
    }

    /// In blocks of keys, each in panels of its own, for all rows or one; rows that see nothing give 0.
    func run(_ kernels: quire_kernels, block: Int, only row: Int? = nil) -> [Float] {
        let count = row == nil ? rows : 1
        let start = row.map { seen + $0 * step } ?? seen
        let furthest = row.map(limit) ?? (0..<rows).map(limit).max() ?? 0
        var most = Array(repeating: -Float.infinity, count: count)
        var sum = Array(repeating: Float(0), count: count)
        var out = Array(repeating: Float(0), count: count * paddedWidth)
        for first in stride(from: 0, to: keys, by: block) {
            let panels = panels(first..<min(keys, first + block), furthest: furthest)
            var scores = Array(repeating: Float.nan, count: count * block)
            let size = min(block, keys - first)
            let lines = side == 0 ? 0 : keys / side + 1
            panels.keys.withUnsafeBytes { k in
                panels.values.withUnsafeBytes { v in
                    queries.withUnsafeBufferPointer { q in
                        lineBias.withUnsafeBufferPointer { lineBias in
                            columnBias.withUnsafeBufferPointer { columnBias in
                                guard let k = k.baseAddress, let v = v.baseAddress, let q = q.baseAddress else {
                                    return
                                }
                                attend(
                                    kernels, (q + (row ?? 0) * width, k, v), keys: size, count: count,
                                    seen: start - first, lineBias.baseAddress, lines, columnBias.baseAddress,
                                    &most, &sum, &out, &scores)
                            }
                        }
                    }
                }
            }
        }
        return (0..<count * width).map { place in
            let (row, i) = (place / width, place % width)
            return sum[row] == 0 ? out[row * paddedWidth + i] : out[row * paddedWidth + i] / sum[row]
        }
    }

    private func attend(
        _ kernels: quire_kernels,
        _ from: (q: UnsafePointer<Float>, k: UnsafeRawPointer, v: UnsafeRawPointer),
        keys: Int, count: Int, seen: Int, _ lineBias: UnsafePointer<Float>?, _ lines: Int,
        _ columnBias: UnsafePointer<Float>?, _ most: UnsafeMutablePointer<Float>,
        _ sum: UnsafeMutablePointer<Float>,
        _ out: UnsafeMutablePointer<Float>, _ scores: UnsafeMutablePointer<Float>
    ) {
        var job = quire_attention(
            q: from.q, ldq: width, rows: count, width: width, scale: scale, keys: keys, k: from.k,
            v: from.v,
            v_step: keys * 16, seen: seen, seen_step: step, side: side,
            line_bias: side > 0 ? lineBias : nil,
            ld_line: lines, column_bias: side > 0 ? columnBias : nil, ld_column: side, most: most,
            sum: sum, out: out,
            ldo: paddedWidth, scores: scores)
        if type == QUIRE_F32 { kernels.attend_f32(&job) } else { kernels.attend_bf16(&job) }
    }

    /// Some keys and values in panels.
    private func panels(_ own: Range<Int>, furthest: Int) -> (keys: [UInt8], values: [UInt8]) {
        // All bits set are NaN in both types.
        var keys = Array(repeating: UInt8(0xFF), count: own.count * width * size)
        var values = Array(repeating: UInt8(0xFF), count: own.count * paddedWidth * size)
        keys.withUnsafeMutableBytes { keys in
            values.withUnsafeMutableBytes { values in
                guard let keys = keys.baseAddress, let values = values.baseAddress else { return }
                for key in own where key < furthest {
                    quire_put_key(plainKeys[key], width, keys, type, key - own.lowerBound)
                    quire_put_value(plainValues[key], width, values, type, own.count, key - own.lowerBound)
                }
            }
        }
        return (keys, values)
    }
}
