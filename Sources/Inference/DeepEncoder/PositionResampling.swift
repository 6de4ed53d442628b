/// The three kinds of tables that depend on a view's side are resized by these matrices (MODEL.md section 5).
enum PositionResampling {
    /// `[target, source]`, row-major: Keys' cubic with a = -0.5, stretched by the scale when shrinking, half-pixel centres.
    static func cubic(from source: Int, to target: Int) -> [Float] {
        var matrix = Array(repeating: Float(0), count: target * source)
        let scale = Double(source) / Double(target)
        let stretch = max(scale, 1)
        let support = 2 * stretch
        for i in 0..<target {
            let centre = (Double(i) + 0.5) * scale
            let first = max(Int(centre - support + 0.5), 0)
            let last = min(Int(centre + support + 0.5), source)
            let taps = (first..<last).map { keys((Double($0) - centre + 0.5) / stretch) }
            let sum = taps.reduce(0, +)
            for (j, tap) in zip(first..<last, taps) { matrix[i * source + j] = Float(tap / sum) }
        }
        return matrix
    }

    /// `[target, source]`, row-major: linear between half-pixel centres, edges clamped, nothing averaged.
    static func linear(from source: Int, to target: Int) -> [Float] {
        var matrix = Array(repeating: Float(0), count: target * source)
        for i in 0..<target {
            let x = max((Double(i) + 0.5) * Double(source) / Double(target) - 0.5, 0)
            let low = min(Int(x), source - 1)
            let high = min(low + 1, source - 1)
            matrix[i * source + low] += Float(1 - (x - Double(low)))
            matrix[i * source + high] += Float(x - Double(low))
        }
        return matrix
    }

    /// Keys' cubic kernel with a = -0.5.
    private static func keys(_ x: Double) -> Double {
        let x = abs(x)
        if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
        if x < 2 { return (((x - 5) * x + 8) * x - 4) * -0.5 }
        return 0
    }
}

extension Backend {
    /// A `[side * side, c]` position grid as `[target * target, c]`.
    func resizeGrid(_ grid: Tensor, side: Int, to target: Int) -> Tensor {
        guard side != target else { return grid }
        let matrix = upload(PositionResampling.cubic(from: side, to: target), rows: target, columns: side)
        let width = grid.columns
        let lines = multiply(matrix, blocksOf: reshape(grid, rows: side, columns: side * width), batches: 1)
        return multiply(matrix, blocksOf: reshape(lines, rows: target * side, columns: width), batches: target)
    }

    /// A `[2 * s - 1, d]` table of relative positions for a grid of `side`.
    func resizeRelative(_ table: Tensor, side: Int) -> Tensor {
        let target = 2 * side - 1
        guard table.rows != target else { return table }
        let matrix = upload(PositionResampling.linear(from: table.rows, to: target), rows: target, columns: table.rows)
        return multiply(matrix, blocksOf: table, batches: 1)
    }
}
