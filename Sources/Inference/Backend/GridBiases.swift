/// SAM's decomposed relative positions, as biases for some queries at a time (MODEL.md section 5).
struct GridBiases {
    /// `[2 * side - 1, head width]`, packed.
    let height: PackedWeight
    let width: PackedWeight
    /// Positions of a line.
    let side: Int

    /// Places of a line, so that lines begin at whole vectors of eight.
    static func padded(_ side: Int) -> Int { (side + 7) & ~7 }

    private var padded: Int { Self.padded(side) }

    private var stride: Int { height.panels * Kernels.panel }

    /// Floats of scratch memory that `grid` needs for a block of queries.
    var scratchCount: Int { CPUBackend.queryBlock * (side + padded + stride) + Kernels.productScratch }

    /// The biases `q . height` and `q . width` of the unscaled queries, for each line and each place of a line.
    ///
    /// Places that are no position get -infinity. They lie in `scratch`.
    func grid(
        _ queries: UnsafePointer<Float>, stride queryStride: Int, rows: Range<Int>,
        scratch: UnsafeMutablePointer<Float>, _ kernels: Kernels
    ) -> AttentionBlock.Grid {
        let lines = scratch
        let columns = lines + CPUBackend.queryBlock * side
        let products = columns + CPUBackend.queryBlock * padded
        let rest = products + CPUBackend.queryBlock * stride
        func multiply(_ table: PackedWeight) {
            kernels.product(
                .floats(queries, stride: queryStride), rows: rows.count, table, panels: 0..<table.panels,
                into: products, stride: stride, bias: nil, adding: false, scratch: rest)
        }
        // Row q - k + side - 1 of a table belongs to the offset q - k.
        multiply(height)
        for (place, row) in rows.enumerated() {
            let from = products + place * stride + row / side + side - 1
            for key in 0..<side { lines[place * side + key] = from[-key] }
        }
        multiply(width)
        for (place, row) in rows.enumerated() {
            let from = products + place * stride + row % side + side - 1
            for key in 0..<side { columns[place * padded + key] = from[-key] }
            for key in side..<padded { columns[place * padded + key] = -.infinity }
        }
        return AttentionBlock.Grid(
            side: padded, lineBias: lines, lineStride: side, columnBias: columns, columnStride: padded)
    }
}
