import Glibc
import Inference

/// Norms, activations, and RoPE with the write to pages.
extension KernelCase {
    static var rows: [KernelCase] {
        let sizes = [(1, 8), (3, 64), (5, 1280), (2, 1000)]
        var cases: [KernelCase] = []
        for (rows, columns) in sizes {
            for hasDelta in [false, true] {
                cases.append(rmsNorm(rows: rows, columns: columns, hasDelta: hasDelta))
                cases.append(layerNorm(rows: rows, columns: columns, hasDelta: hasDelta))
            }
        }
        cases += [elementwise("gelu") { $0 / 2 * (1 + erf($0 / 2.squareRoot())) }]
        cases += [elementwise("quick_gelu") { $0 / (1 + exp(-1.702 * $0)) }]
        cases += [siluMultiply(rows: 3, inner: 40), siluMultiply(rows: 1, inner: 896), addition]
        cases += [rope(heads: 2, keyHeads: 2, width: 16), rope(heads: 4, keyHeads: 2, width: 128)]
        return cases
    }

    private static func rmsNorm(rows: Int, columns: Int, hasDelta: Bool) -> KernelCase {
        KernelCase("rms_norm \(rows) x \(columns)\(hasDelta ? " with a residual" : "")", limit: rounding) {
            (bench) throws(InferenceError) in
            let values = bench.numbers(rows * columns, size: 4)
            let delta = bench.numbers(rows * columns)
            let weight = bench.numbers(columns)
            let x = try bench.wide(values)
            let more = try bench.narrow(delta)
            let (w, y) = (try bench.wide(weight), try bench.results(bytes: rows * columns * 2))
            try bench.launch(
                "rms_norm_f32", grid: (rows, 1, 1), threads: 64, shared: columns * 4,
                [
                    x.argument, .address(hasDelta ? more.address : 0), w.argument, y.argument, .int(columns),
                    .float(1e-6),
                ])
            var wanted: [Double] = []
            var sums: [Double] = []
            for row in 0..<rows {
                let line = (0..<columns).map {
                    Double(values[row * columns + $0]) + (hasDelta ? Double(delta[row * columns + $0]) : 0)
                }
                let root = (line.reduce(0) { $0 + $1 * $1 } / Double(columns) + 1e-6).squareRoot()
                wanted += zip(line, weight).map { $0 / root * Double($1) }
                sums += line
            }
            let kept = KernelBench.error(try x.read(Float.self, rows * columns), sums)
            return max(KernelBench.error(try bench.readNarrow(y, rows * columns), wanted), kept * 1e4)
        }
    }

    private static func layerNorm(rows: Int, columns: Int, hasDelta: Bool) -> KernelCase {
        KernelCase("layer_norm \(rows) x \(columns)\(hasDelta ? " with a residual" : "")", limit: rounding) {
            (bench) throws(InferenceError) in
            let values = bench.numbers(rows * columns, size: 4).map { BFloat.rounded($0 + 9) }
            let delta = bench.numbers(rows * columns)
            let (weight, shift) = (bench.numbers(columns), bench.numbers(columns))
            let x = try bench.wide(values)
            let more = try bench.narrow(delta)
            let (w, b) = (try bench.wide(weight), try bench.wide(shift))
            let y = try bench.results(bytes: rows * columns * 2)
            try bench.launch(
                "layer_norm_f32", grid: (rows, 1, 1), threads: 96, shared: columns * 4,
                [
                    x.argument, .address(hasDelta ? more.address : 0), w.argument, b.argument, y.argument,
                    .int(columns), .float(1e-6),
                ])
            var wanted: [Double] = []
            for row in 0..<rows {
                let line = (0..<columns).map {
                    Double(values[row * columns + $0]) + (hasDelta ? Double(delta[row * columns + $0]) : 0)
                }
                let mean = line.reduce(0, +) / Double(columns)
                let root = (line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns) + 1e-6).squareRoot()
                wanted += line.indices.map { (line[$0] - mean) / root * Double(weight[$0]) + Double(shift[$0]) }
            }
            return KernelBench.error(try bench.readNarrow(y, rows * columns), wanted)
        }
    }

    private static func elementwise(_ name: String, _ function: @escaping @Sendable (Double) -> Double) -> KernelCase {
        KernelCase(name, limit: rounding) { (bench) throws(InferenceError) in
            let values = bench.numbers(2056, size: 6)
            let x = try bench.narrow(values)
            try bench.launch(name, grid: (2, 1, 1), threads: 256, [x.argument, .long(values.count)])
            return KernelBench.error(try bench.readNarrow(x, values.count), values.map { function(Double($0)) })
        }
    }

    private static func siluMultiply(rows: Int, inner: Int) -> KernelCase {
        KernelCase("silu_multiply \(rows) x \(inner)", limit: rounding) { (bench) throws(InferenceError) in
            let values = bench.numbers(rows * 2 * inner, size: 5)
            let (x, y) = (try bench.narrow(values), try bench.results(bytes: rows * inner * 2))
            let count = rows * inner
            try bench.launch(
                "silu_multiply", grid: ((count + 2047) / 2048, 1, 1), threads: 256,
                [x.argument, y.argument, .int(inner), .long(count)])
            let wanted = (0..<count).map { i in
                let place = i / inner * 2 * inner + i % inner
                let gate = Double(values[place])
                return gate / (1 + exp(-gate)) * Double(values[place + inner])
            }
            return KernelBench.error(try bench.readNarrow(y, count), wanted)
        }
    }

    private static var addition: KernelCase {
        KernelCase("add_f32 again and again", limit: exact) { (bench) throws(InferenceError) in
            let (sum, more) = (bench.wholeNumbers(6 * 40), bench.wholeNumbers(2 * 40))
            let (a, b) = (try bench.wide(sum), try bench.wide(more))
            try bench.launch(
                "add_f32", grid: (1, 1, 1), threads: 64, [a.argument, b.argument, .long(80), .long(240)])
            return KernelBench.error(
                try a.read(Float.self, 240), sum.indices.map { Double(sum[$0]) + Double(more[$0 % 80]) })
        }
    }

    private static func rope(heads: Int, keyHeads: Int, width: Int) -> KernelCase {
        KernelCase("rope_write \(heads)/\(keyHeads) heads of \(width)", limit: rounding) {
            (bench) throws(InferenceError) in
            // Two sequences; one goes on within a page, the other over a page's end. Pages lie in any order.
            let positions = [5, 6, 31, 32, 33]
            let sequences = [0, 0, 1, 1, 1]
            let pages = [3, 0, 2, 1]
            let (rows, columns, half) = (positions.count, (heads + 2 * keyHeads) * width, width / 2)
            let values = bench.numbers(rows * columns)
            func angle(_ position: Int, _ i: Int) -> Double {
                Double(position) * pow(10000, -Double(i) / Double(half))
            }
            let angles = (0..<40).flatMap { position in
                (0..<half).map { Float(cos(angle(position, $0))) } + (0..<half).map { Float(sin(angle(position, $0))) }
            }
            let x = try bench.narrow(values)
            let size = 4 * keyHeads * 32 * width
            let (keys, kept) = (try bench.results(bytes: size * 2), try bench.results(bytes: size * 2))
            let (table, places) = (try bench.wide(angles), try bench.integers(positions))
            let (owners, list) = (try bench.integers(sequences), try bench.integers(pages))
            try bench.launch(
                "rope_write", grid: (rows, 1, 1), threads: 64,
                [
                    x.argument, table.argument, places.argument, owners.argument, list.argument, .int(2),
                    keys.argument, kept.argument, .int(heads), .int(keyHeads), .int(width),
                ])
            let line = try bench.readNarrow(x, rows * columns)
            let (k, v) = (try bench.readNarrow(keys, size), try bench.readNarrow(kept, size))
            var (found, wanted): ([Float], [Double]) = ([], [])
            for row in 0..<rows {
                let page = pages[sequences[row] * 2 + positions[row] / 32]
                for head in 0..<heads + 2 * keyHeads {
                    for i in 0..<width {
                        let start = row * columns + head * width
                        let (a, b) = (Double(values[start + i % half]), Double(values[start + i % half + half]))
                        let turn = angle(positions[row], i % half)
                        let turned = i < half ? a * cos(turn) - b * sin(turn) : b * cos(turn) + a * sin(turn)
                        let place = { (head: Int) in
                            ((page * keyHeads + head) * 32 + positions[row] % 32) * width + i
                        }
                        if head < heads {
                            found.append(line[start + i])
                        } else if head < heads + keyHeads {
                            found.append(k[place(head - heads)])
                        } else {
                            found.append(v[place(head - heads - keyHeads)])
                        }
                        wanted.append(head < heads + keyHeads ? turned : Double(values[start + i]))
                    }
                }
            }
            return KernelBench.error(found, wanted)
        }
    }
}
