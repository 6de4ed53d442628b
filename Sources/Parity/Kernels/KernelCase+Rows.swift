import Glibc
import Inference

/// Norms, sums, and RoPE with the write to pages.
extension KernelCase {
    static var rows: [KernelCase] {
        let sizes = [(1, 8), (3, 64), (5, 1280), (2, 1000)]
        var cases: [KernelCase] = []
        for (rows, columns) in sizes {
            for isWide in [false, true] {
                cases.append(rmsNorm(rows: rows, columns: columns, isWide: isWide))
                cases.append(layerNorm(rows: rows, columns: columns, isWide: isWide))
            }
        }
        cases += [addition, conversion]
        cases += [rope(heads: 2, keyHeads: 2, width: 16), rope(heads: 4, keyHeads: 2, width: 128)]
        return cases
    }

    private static func rmsNorm(rows: Int, columns: Int, isWide: Bool) -> KernelCase {
        norm("rms_norm", rows: rows, columns: columns, isWide: isWide, shift: 0) { line, weight, _ in
            let root = (line.reduce(0) { $0 + $1 * $1 } / Double(columns) + 1e-6).squareRoot()
            return zip(line, weight).map { $0 / root * $1 }
        }
    }

    private static func layerNorm(rows: Int, columns: Int, isWide: Bool) -> KernelCase {
        norm("layer_norm", rows: rows, columns: columns, isWide: isWide, shift: 9) { line, weight, bias in
            let mean = line.reduce(0, +) / Double(columns)
            let root = (line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns) + 1e-6).squareRoot()
            return line.indices.map { (line[$0] - mean) / root * weight[$0] + bias[$0] }
        }
    }

    /// A norm of rows about `shift`; only a LayerNorm takes the bias.
    private static func norm(
        _ name: String, rows: Int, columns: Int, isWide: Bool, shift: Float,
        _ wanted: @escaping @Sendable (_ line: [Double], _ weight: [Double], _ bias: [Double]) -> [Double]
    ) -> KernelCase {
        let kernel = "\(name)_\(isWide ? "f32" : "bf16")"
        return KernelCase("\(kernel) \(rows) x \(columns)", limit: rounding) { (bench) throws(InferenceError) in
            let values = bench.numbers(rows * columns, size: 4).map { BFloat.rounded($0 + shift) }
            let (weight, bias) = (bench.numbers(columns), bench.numbers(columns))
            let x = isWide ? try bench.wide(values) : try bench.narrow(values)
            let (w, b) = (try bench.wide(weight), try bench.wide(bias))
            let y = try bench.results(bytes: rows * columns * 2)
            try bench.launch(
                kernel, grid: (rows, 1, 1), threads: 96, shared: columns * 4,
                [x.argument, w.argument] + (name == "layer_norm" ? [b.argument] : [])
                    + [y.argument, .int(columns), .float(1e-6)])
            let lines = (0..<rows).flatMap { row in
                wanted(
                    values[row * columns..<(row + 1) * columns].map { Double($0) }, weight.map { Double($0) },
                    bias.map { Double($0) })
            }
            return KernelBench.error(try bench.readNarrow(y, rows * columns), lines)
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

    private static var conversion: KernelCase {
        KernelCase("narrow and widen", limit: exact) { (bench) throws(InferenceError) in
            let values = (0..<2056).map { _ in Float(bench.next()) / 1_000_003 - 2000 }
            let (x, narrow) = (try bench.wide(values), try bench.results(bytes: values.count * 2))
            let wide = try bench.results(bytes: values.count * 4)
            try bench.launch(
                "narrow", grid: (2, 1, 1), threads: 256, [x.argument, narrow.argument, .long(values.count)])
            try bench.launch(
                "widen", grid: (2, 1, 1), threads: 256, [narrow.argument, wide.argument, .long(values.count)])
            return KernelBench.error(
                try wide.read(Float.self, values.count), values.map { Double(BFloat.rounded($0)) })
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
