extension CPUBackend {
    /// Panels whose scores a task looks at together: they stay in the cache.
    private static let panelsAtOnce = 16

    /// Product, ban and argmax in one pass over the weights: scores are never written to memory as a whole.
    package func choose(_ x: CPUTensor, _ weight: PackedWeight, banned: [[Int32]]) -> [Int32] {
        precondition(banned.count == x.rows && x.columns == weight.inputs, "every row has its ban")
        let (rows, panels) = (x.rows, weight.panels)
        let slice = max(Self.panelsAtOnce, (panels + 16 * pool.threads - 1) / (16 * pool.threads))
        let slices = (panels + slice - 1) / slice
        var best = Array(repeating: Score(id: 0, value: -.infinity, isFound: false), count: slices * rows)
        best.withUnsafeMutableBufferPointer { best in
            // Each task writes its own slice's scores only.
            nonisolated(unsafe) let best = best
            withRows(of: x, for: weight) { input in
                let scratchCount = Kernels.productScratch + rows * Self.panelsAtOnce * Kernels.panel
                pool.run(slices, scratch: scratchCount) { task, scratch in
                    let own = task * slice..<min(panels, (task + 1) * slice)
                    for first in stride(from: own.lowerBound, to: own.upperBound, by: Self.panelsAtOnce) {
                        look(
                            input, rows: rows, weight,
                            panels: first..<min(own.upperBound, first + Self.panelsAtOnce), banned: banned,
                            best: UnsafeMutableBufferPointer(rebasing: best[task * rows..<(task + 1) * rows]),
                            scratch: scratch)
                    }
                }
            }
        }
        return (0..<rows).map { row in
            var found = best[row]
            for slice in 1..<max(1, slices) { found.meet(best[slice * rows + row]) }
            return found.id
        }
    }

    private func look(
        _ x: InputRows, rows: Int, _ weight: PackedWeight, panels: Range<Int>, banned: [[Int32]],
        best: UnsafeMutableBufferPointer<Score>, scratch: UnsafeMutablePointer<Float>
    ) {
        let first = panels.lowerBound * Kernels.panel
        let count = min(weight.outputs, panels.upperBound * Kernels.panel) - first
        let scores = scratch + Kernels.productScratch
        kernels.product(
            x.from(0), rows: rows, weight, panels: panels, into: scores, stride: count, bias: nil, adding: false,
            scratch: scratch)
        for row in 0..<rows {
            let line = scores + row * count
            let ban = banned[row].filter { Int($0) >= first && Int($0) < first + count }
            for column in 0..<count {
                let value = line[column]
                if best[row].isFound, !(value > best[row].value) { continue }
                if !ban.isEmpty, ban.contains(Int32(first + column)) { continue }
                best[row] = Score(id: Int32(first + column), value: value, isFound: true)
            }
        }
    }
}

/// The best output of a row so far.
private struct Score {
    var id: Int32
    var value: Float
    var isFound: Bool

    /// Takes a better one with a higher id.
    mutating func meet(_ other: Score) {
        guard other.isFound, !isFound || other.value > value else { return }
        self = other
    }
}
