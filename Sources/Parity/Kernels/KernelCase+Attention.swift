import Glibc
import Inference

/// Attention of every kind.
extension KernelCase {
    static var attentions: [KernelCase] {
        var cases: [KernelCase] = []
        for (width, tokens) in [(16, 5), (16, 130), (24, 70), (32, 67), (64, 65)] {
            cases.append(block(width: width, tokens: tokens))
        }
        cases += [
            grid(width: 16, side: 5, window: 3), grid(width: 16, side: 9, window: nil),
            grid(width: 24, side: 9, window: 8), grid(width: 32, side: 5, window: nil),
            grid(width: 64, side: 12, window: nil), grid(width: 64, side: 15, window: 14),
        ]
        for (width, heads, keyHeads) in [(16, 4, 4), (32, 2, 2), (64, 2, 1), (128, 2, 2)] {
            cases.append(prompts(width: width, heads: heads, keyHeads: keyHeads))
            cases.append(decoding(width: width, heads: heads, keyHeads: keyHeads))
        }
        return cases
    }

    /// softmax(scores) times values, for one query; scores of minus infinity are left out.
    private static func mixed(_ scores: [Double], _ values: [[Double]]) -> [Double] {
        let most = scores.max() ?? 0
        let powers = scores.map { exp($0 - most) }
        let sum = powers.reduce(0, +)
        var result = Array(repeating: 0.0, count: values.first?.count ?? 0)
        for (power, value) in zip(powers, values) {
            for i in result.indices { result[i] += power / sum * value[i] }
        }
        return result
    }

    private static func dot(_ a: [Double], _ b: [Double]) -> Double {
        var sum = 0.0
        for i in a.indices { sum += a[i] * b[i] }
        return sum
    }

    private static func flashShared(_ width: Int) -> Int { 5 * 64 * max(8, width / 8) * 16 }

    private static func block(width: Int, tokens: Int) -> KernelCase {
        KernelCase("attend_block_\(width), \(tokens) tokens", limit: 0.01) { (bench) throws(InferenceError) in
            let (batches, heads) = (2, 2)
            let channels = heads * width
            let values = bench.numbers(batches * tokens * 3 * channels, size: 2)
            let x = try bench.narrow(values)
            let y = try bench.results(bytes: batches * tokens * channels * 2)
            let scale = 1 / Double(width).squareRoot()
            try bench.launch(
                "attend_block_\(width)", grid: ((tokens + 63) / 64, heads, batches), threads: 128,
                shared: flashShared(width),
                [x.argument, y.argument, .int(tokens), .int(heads), .float(Float(scale))])
            var wanted = Array(repeating: 0.0, count: batches * tokens * channels)
            for batch in 0..<batches {
                for head in 0..<heads {
                    let parts = (0..<3).map { part in
                        (0..<tokens).map { token -> [Double] in
                            let start = (batch * tokens + token) * 3 * channels + part * channels + head * width
                            return values[start..<start + width].map { Double($0) }
                        }
                    }
                    for token in 0..<tokens {
                        let line = mixed(parts[1].map { dot(parts[0][token], $0) * scale }, parts[2])
                        let start = (batch * tokens + token) * channels + head * width
                        wanted.replaceSubrange(start..<start + width, with: line)
                    }
                }
            }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }

    private static func grid(width: Int, side: Int, window: Int?) -> KernelCase {
        let name = "attend_grid_\(width), side \(side)\(window.map { ", windows of \($0)" } ?? "")"
        return KernelCase(name, limit: 0.01) { (bench) throws(InferenceError) in
            let (batches, heads, n) = (2, 2, window ?? side)
            let channels = heads * width
            let values = bench.numbers(batches * side * side * 3 * channels)
            let padding = bench.numbers(3 * channels)
            let (heights, widths) = (bench.numbers((2 * n - 1) * width), bench.numbers((2 * n - 1) * width))
            let (x, pad) = (try bench.narrow(values), try bench.narrow(padding))
            let (h, w) = (try bench.narrow(heights), try bench.narrow(widths))
            let y = try bench.results(bytes: batches * side * side * channels * 2)
            let scale = 1 / Double(width).squareRoot()
            let windows = (side + n - 1) / n
            let biasStride = (2 * n + 31) / 32 * 32 + 8
            try bench.launch(
                "attend_grid_\(width)", grid: ((n * n + 63) / 64, heads, batches * windows * windows), threads: 128,
                shared: flashShared(width) + 64 * biasStride * 4,
                [
                    x.argument, pad.argument, h.argument, w.argument, y.argument, .int(side), .int(n), .int(heads),
                    .int(biasStride), .float(Float(scale)),
                ])
            func vector(_ part: Int, _ head: Int, _ batch: Int, _ py: Int, _ px: Int) -> [Double] {
                let place = part * channels + head * width
                guard py < side, px < side else { return padding[place..<place + width].map { Double($0) } }
                let start = ((batch * side + py) * side + px) * 3 * channels + place
                return values[start..<start + width].map { Double($0) }
            }
            func row(_ table: [Float], _ offset: Int) -> [Double] {
                table[(offset + n - 1) * width..<(offset + n) * width].map { Double($0) }
            }
            let (lines, columns) = (
                (1 - n..<n).map { row(heights, $0) }, (1 - n..<n).map { row(widths, $0) }
            )
            var wanted: [Double] = []
            for place in 0..<batches * side * side {
                let (batch, py, px) = (place / (side * side), place / side % side, place % side)
                let (top, left) = (py / n * n, px / n * n)
                for head in 0..<heads {
                    let query = vector(0, head, batch, py, px)
                    let byLine = lines.map { dot(query, $0) }
                    let byColumn = columns.map { dot(query, $0) }
                    var (scores, parts): ([Double], [[Double]]) = ([], [])
                    for ky in top..<top + n {
                        for kx in left..<left + n {
                            scores.append(
                                dot(query, vector(1, head, batch, ky, kx)) * scale + byLine[py - ky + n - 1]
                                    + byColumn[px - kx + n - 1])
                            parts.append(vector(2, head, batch, ky, kx))
                        }
                    }
                    wanted += mixed(scores, parts)
                }
            }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }

    /// Keys and values in pages, and what attention to them gives.
    private struct Pages {
        let heads, keyHeads, width, pagesPerSequence: Int
        let lengths: [Int]
        let pages: [Int]
        let keys, values: [Float]

        init(_ bench: KernelBench, lengths: [Int], heads: Int, keyHeads: Int, width: Int) {
            self.lengths = lengths
            (self.heads, self.keyHeads, self.width) = (heads, keyHeads, width)
            pagesPerSequence = ((lengths.max() ?? 0) + 31) / 32
            // Pages of sequences lie among one another.
            let count = lengths.count * pagesPerSequence
            pages = (0..<count).map { ($0 * 5 + 3) % count }
            keys = bench.numbers(count * keyHeads * 32 * width)
            values = bench.numbers(count * keyHeads * 32 * width)
        }

        var scale: Double { 1 / Double(width).squareRoot() }

        private func row(_ source: [Float], _ sequence: Int, _ position: Int, _ head: Int) -> [Double] {
            let page = pages[sequence * pagesPerSequence + position / 32]
            let start = ((page * keyHeads + head) * 32 + position % 32) * width
            return source[start..<start + width].map { Double($0) }
        }

        /// A query's result where it sees the first `seen` tokens.
        func attend(_ query: [Double], sequence: Int, head: Int, seen: Int) -> [Double] {
            let own = head * keyHeads / heads
            return mixed(
                (0..<seen).map { dot(query, row(keys, sequence, $0, own)) * scale },
                (0..<seen).map { row(values, sequence, $0, own) })
        }
    }

    private static func prompts(width: Int, heads: Int, keyHeads: Int) -> KernelCase {
        KernelCase("attend_prompt_\(width), \(heads)/\(keyHeads) heads", limit: 0.01) {
            (bench) throws(InferenceError) in
            // A whole prompt, the rest of one, and a single token, as in a step that mixes both.
            let pages = Pages(bench, lengths: [70, 100, 33], heads: heads, keyHeads: keyHeads, width: width)
            let rows = [70, 20, 1]
            let starts = [0, 70, 90, 91]
            let columns = (heads + 2 * keyHeads) * width
            let queries = bench.numbers(91 * columns, size: 2)
            let (x, k, v) = (try bench.narrow(queries), try bench.narrow(pages.keys), try bench.narrow(pages.values))
            let list = try bench.integers(pages.pages)
            let (first, lengths) = (try bench.integers(starts), try bench.integers(pages.lengths))
            let y = try bench.results(bytes: 91 * heads * width * 2)
            try bench.launch(
                "attend_prompt_\(width)", grid: (2, heads, 3), threads: 128, shared: flashShared(width),
                [
                    x.argument, k.argument, v.argument, list.argument, .int(pages.pagesPerSequence), first.argument,
                    lengths.argument, y.argument, .int(heads), .int(keyHeads), .float(Float(pages.scale)),
                ])
            var wanted: [Double] = []
            for (sequence, count) in rows.enumerated() {
                for i in 0..<count {
                    for head in 0..<heads {
                        let start = (starts[sequence] + i) * columns + head * width
                        wanted += pages.attend(
                            queries[start..<start + width].map { Double($0) }, sequence: sequence, head: head,
                            seen: pages.lengths[sequence] - count + i + 1)
                    }
                }
            }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }

    private static func decoding(width: Int, heads: Int, keyHeads: Int) -> KernelCase {
        KernelCase("decode_attention_\(width), \(heads)/\(keyHeads) heads", limit: rounding) {
            (bench) throws(InferenceError) in
            let pages = Pages(bench, lengths: [1, 32, 33, 200], heads: heads, keyHeads: keyHeads, width: width)
            let columns = (heads + 2 * keyHeads) * width
            let queries = bench.numbers(4 * columns, size: 2)
            let (x, k, v) = (try bench.narrow(queries), try bench.narrow(pages.keys), try bench.narrow(pages.values))
            let (list, lengths) = (try bench.integers(pages.pages), try bench.integers(pages.lengths))
            let y = try bench.results(bytes: 4 * heads * width * 2)
            try bench.launch(
                "decode_attention_\(width)", grid: (heads, 4, 1), threads: 128,
                [
                    x.argument, k.argument, v.argument, list.argument, .int(pages.pagesPerSequence),
                    lengths.argument, y.argument, .int(heads), .int(keyHeads), .float(Float(pages.scale)),
                ])
            var wanted: [Double] = []
            for sequence in 0..<4 {
                for head in 0..<heads {
                    let start = sequence * columns + head * width
                    wanted += pages.attend(
                        queries[start..<start + width].map { Double($0) }, sequence: sequence, head: head,
                        seen: pages.lengths[sequence])
                }
            }
            return KernelBench.error(try bench.readNarrow(y, wanted.count), wanted)
        }
    }
}
