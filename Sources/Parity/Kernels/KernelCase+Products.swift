import Glibc
import Inference

/// Dense products and convolutions.
extension KernelCase {
    /// The tiles of rows that products are made for, each with its threads and bytes of shared memory.
    static let tiles: [(rows: Int, threads: Int)] = [(16, 128), (32, 128), (64, 128), (128, 256)]

    static func tileShared(_ rows: Int) -> Int { 3 * (rows + 128) * 128 }

    static var products: [KernelCase] {
        var cases: [KernelCase] = []
        for (rows, threads) in tiles {
            // Odd sizes: rows that fill no tile, inputs that fill no slice, outputs that fill no tile.
            for (m, k, n) in [(1, 8, 8), (rows + 3, 72, 136), (rows, 200, 128)] {
                cases.append(product(tile: rows, threads: threads, rows: m, inputs: k, outputs: n, mode: 0))
            }
            cases.append(product(tile: rows, threads: threads, rows: 7, inputs: 144, outputs: 48, mode: 2))
            cases.append(product(tile: rows, threads: threads, rows: 9, inputs: 64, outputs: 80, mode: 5))
        }
        for mode in [1, 3, 4] {
            cases.append(product(tile: 16, threads: 128, rows: 5, inputs: 40, outputs: 24, mode: mode))
        }
        for (tile, side, stride) in [(32, 5, 1), (32, 6, 2), (128, 9, 2)] {
            cases.append(convolution(tile: tile, batches: 2, side: side, stride: stride, channels: 24, outputs: 40))
        }
        return cases
    }

    /// x w^T of numbers in rows, in f64.
    static func multiplied(_ x: [Float], _ w: [Float], rows: Int, inputs: Int, outputs: Int) -> [Double] {
        var result: [Double] = []
        result.reserveCapacity(rows * outputs)
        for row in 0..<rows {
            for output in 0..<outputs {
                var sum = 0.0
                for i in 0..<inputs { sum += Double(x[row * inputs + i]) * Double(w[output * inputs + i]) }
                result.append(sum)
            }
        }
        return result
    }

    /// Gates and ups as kernels take them: eight of the one, eight of the other.
    static func interleaved(_ gateUp: [Float], inputs: Int) -> [Float] {
        let inner = gateUp.count / inputs / 2
        var result: [Float] = []
        result.reserveCapacity(gateUp.count)
        for first in stride(from: 0, to: inner, by: 8) {
            for part in [0, inner] {
                result += gateUp[(part + first) * inputs..<(part + first + 8) * inputs]
            }
        }
        return result
    }

    /// silu(gate) * up for rows of gates and ups, gates first.
    static func gated(_ both: [Double], inner: Int) -> [Double] {
        (0..<both.count / 2).map { i in
            let gate = both[i / inner * 2 * inner + i % inner]
            return gate / (1 + exp(-gate)) * both[i / inner * 2 * inner + inner + i % inner]
        }
    }

    private static func product(
        tile: Int, threads: Int, rows: Int, inputs: Int, outputs: Int, mode: Int
    ) -> KernelCase {
        let names = ["", " to f32", " added", " with GELU", " with quick-GELU", " gated"]
        return KernelCase("product_\(tile) \(rows) x \(inputs) x \(outputs)\(names[mode])", limit: rounding) {
            (bench) throws(InferenceError) in
            let (x, w) = (bench.numbers(rows * inputs), bench.numbers(outputs * inputs))
            let bias = bench.numbers(outputs)
            let before = bench.numbers(rows * outputs)
            let isGated = mode == 5
            let isWide = mode == 1 || mode == 2
            let stored = isGated ? interleaved(w, inputs: inputs) : w
            let (a, b, c) = (try bench.narrow(x), try bench.narrow(stored), try bench.wide(bias))
            let width = isGated ? outputs / 2 : outputs
            let y = isWide ? try bench.wide(before) : try bench.results(bytes: rows * width * 2)
            try bench.launch(
                "product_\(tile)", grid: ((outputs + 127) / 128, (rows + tile - 1) / tile, 1), threads: threads,
                shared: tileShared(tile),
                [
                    a.argument, b.argument, .address(isGated ? 0 : c.address), y.argument, .int(rows), .int(inputs),
                    .int(outputs), .int(width), .int(mode),
                ])
            let plain = multiplied(x, w, rows: rows, inputs: inputs, outputs: outputs)
            let found = isWide ? try y.read(Float.self, rows * width) : try bench.readNarrow(y, rows * width)
            guard !isGated else { return KernelBench.error(found, gated(plain, inner: width)) }
            let wanted = plain.indices.map { i in
                let sum = plain[i] + Double(bias[i % outputs])
                switch mode {
                case 2: return sum + Double(before[i])
                case 3: return sum / 2 * (1 + erf(sum / 2.squareRoot()))
                case 4: return sum / (1 + exp(-1.702 * sum))
                default: return sum
                }
            }
            // What stays f32 is right to f32's precision.
            return KernelBench.error(found, wanted) * (isWide ? 1e3 : 1)
        }
    }

    private static func convolution(
        tile: Int, batches: Int, side: Int, stride: Int, channels: Int, outputs: Int
    ) -> KernelCase {
        KernelCase("convolve_\(tile) \(side) x \(side), stride \(stride)", limit: rounding) {
            (bench) throws(InferenceError) in
            let target = (side - 1) / stride + 1
            let rows = batches * target * target
            let x = bench.numbers(batches * side * side * channels)
            let w = bench.numbers(outputs * 9 * channels)
            let (a, b) = (try bench.narrow(x), try bench.narrow(w))
            let y = try bench.results(bytes: rows * outputs * 2)
            try bench.launch(
                "convolve_\(tile)", grid: (1, (rows + tile - 1) / tile, 1), threads: tile == 128 ? 256 : 128,
                shared: tileShared(tile),
                [
                    a.argument, b.argument, y.argument, .int(batches), .int(side), .int(stride), .int(channels),
                    .int(outputs),
                ])
            var wanted: [Double] = []
            for row in 0..<rows {
                let (batch, top, left) = (row / (target * target), row / target % target, row % target)
                for output in 0..<outputs {
                    var sum = 0.0
                    for tap in 0..<9 {
                        let (py, px) = (top * stride + tap / 3 - 1, left * stride + tap % 3 - 1)
                        guard (0..<side).contains(py), (0..<side).contains(px) else { continue }
                        for c in 0..<channels {
                            sum +=
                                Double(x[((batch * side + py) * side + px) * channels + c])
                                * Double(w[(output * 9 + tap) * channels + c])
                        }
                    }
                    wanted.append(sum)
                }
            }
            return KernelBench.error(try bench.readNarrow(y, rows * outputs), wanted)
        }
    }
}
