extension CPUBackend {
    /// Below so many multiplications waking threads costs more than it saves.
    private static let smallWork = 1 << 17

    package func linear(
        _ x: CPUTensor, _ weight: PackedWeight, bias: CPUTensor?, then activation: Activation?
    ) -> CPUTensor {
        let outputs = weight.packedOutputs
        return CPUTensor(rows: x.rows, columns: outputs) { y in
            multiply(x, weight, into: y, stride: outputs, bias: bias, adding: false)
            guard let activation else { return }
            pool.split(x.rows * outputs, least: 16384) { part, _ in
                switch activation {
                case .gelu: kernels.gelu(y + part.lowerBound, part.count)
                case .quickGELU: kernels.quickGELU(y + part.lowerBound, part.count)
                }
            }
        }
    }

    package func addLinear(_ x: CPUTensor, _ weight: PackedWeight, bias: CPUTensor?, to sum: inout CPUTensor) {
        precondition(sum.columns == weight.outputs, "the sum has a column for each output")
        precondition(x.rows == sum.rows, "x and the sum have equally many rows")
        sum.write { multiply(x, weight, into: $0, stride: weight.outputs, bias: bias, adding: true) }
    }

    private func multiply(
        _ x: CPUTensor, _ weight: PackedWeight, into y: UnsafeMutablePointer<Float>, stride: Int, bias: CPUTensor?,
        adding: Bool
    ) {
        precondition(x.columns == weight.inputs, "x has a column for each input")
        let rows = x.rows
        withRows(of: x, for: weight) { x in
            borrow(bias) { bias in
                // Tasks are blocks of rows and, where these are too few, slices of the outputs.
                let blocks = (rows + Kernels.block - 1) / Kernels.block
                let isSmall = rows * weight.inputs * weight.outputs < Self.smallWork
                let wanted = isSmall || pool.threads == 1 ? 1 : (4 * pool.threads + blocks - 1) / blocks
                let slice = max(1, (weight.panels + wanted - 1) / wanted)
                let slices = (weight.panels + slice - 1) / slice
                pool.run(blocks * slices, scratch: Kernels.productScratch) { task, scratch in
                    let first = task / slices * Kernels.block
                    let panels = task % slices * slice..<min(weight.panels, (task % slices + 1) * slice)
                    let offset = panels.lowerBound * Kernels.panel
                    kernels.product(
                        x.from(first), rows: min(Kernels.block, rows - first), weight, panels: panels,
                        into: y + first * stride + offset, stride: stride, bias: bias.map { $0 + offset },
                        adding: adding, scratch: scratch)
                }
            }
        }
    }

    /// Lends rows as a weight wants them: floats, or quantised for int8.
    func withRows(of x: CPUTensor, for weight: PackedWeight, _ body: (InputRows) -> Void) {
        guard weight.format == .int8 else {
            return x.read { body(InputRows(rows: .floats($0, stride: x.columns), width: x.columns)) }
        }
        let width = (x.columns + 1) / 2 * 2
        // Two int16 numbers lie in the place of a float.
        FloatBuffer(count: x.rows * width / 2 + x.rows).withMutable { buffer in
            let scales = buffer + x.rows * width / 2
            let numbers = UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Int16.self)
            x.read { from in
                pool.split(x.rows, least: 1 + 65536 / x.columns) { part, _ in
                    for row in part {
                        scales[row] = kernels.quantise(
                            from + row * x.columns, x.columns, to: numbers + row * width,
                            limit: weight.quantisationLimit)
                    }
                }
            }
            body(InputRows(rows: .quantised(numbers, scales: scales), width: width))
        }
    }

    /// Lends a tensor's elements, or nil.
    private func borrow(_ tensor: CPUTensor?, _ body: (UnsafePointer<Float>?) -> Void) {
        guard let tensor else { return body(nil) }
        tensor.read { body($0) }
    }

    // MARK: - Gated MLPs

    package func addGated(_ x: CPUTensor, _ mlp: GatedMLP<PackedWeight>, to sum: inout CPUTensor) {
        let activated = gated(x, mlp.gateUp)
        addLinear(activated, mlp.down, bias: nil, to: &sum)
    }

    /// `silu(gate x) * up x` for all rows.
    private func gated(_ x: CPUTensor, _ weight: PackedWeight) -> CPUTensor {
        let pairs = weight.panels / 2
        let slice = pool.threads == 1 ? pairs : max(1, (pairs + 4 * pool.threads - 1) / (4 * pool.threads))
        let blocks = (x.rows + Kernels.block - 1) / Kernels.block
        let slices = (pairs + slice - 1) / slice
        return CPUTensor(rows: x.rows, columns: weight.outputs) { to in
            withRows(of: x, for: weight) { rows in
                pool.run(blocks * slices, scratch: gatedScratch(rows: min(x.rows, Kernels.block), pairs: slice)) {
                    let first = $0 / slices * Kernels.block
                    let own = $0 % slices * slice..<min(pairs, ($0 % slices + 1) * slice)
                    gate(
                        rows.from(first), rows: min(Kernels.block, x.rows - first), weight, pairs: own,
                        to: to + first * weight.outputs, scratch: $1)
                }
            }
        }
    }

    /// Floats of scratch memory that `gate` needs.
    func gatedScratch(rows: Int, pairs: Int) -> Int {
        Kernels.productScratch + min(rows, Kernels.block) * pairs * 2 * Kernels.panel
    }

    /// `silu(gate x) * up x` for at most a block of rows and some pairs of panels, into whole rows of `outputs` columns.
    func gate(
        _ x: Kernels.Rows, rows: Int, _ weight: PackedWeight, pairs: Range<Int>, to: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let panel = Kernels.panel
        let both = scratch + Kernels.productScratch
        let stride = pairs.count * 2 * panel
        kernels.product(
            x, rows: rows, weight, panels: 2 * pairs.lowerBound..<2 * pairs.upperBound, into: both, stride: stride,
            bias: nil, adding: false, scratch: scratch)
        for row in 0..<rows {
            for pair in pairs {
                let gate = both + row * stride + (pair - pairs.lowerBound) * 2 * panel
                kernels.siluMultiply(gate, gate + panel, panel)
                let first = pair * panel
                (to + row * weight.outputs + first).update(from: gate, count: min(panel, weight.outputs - first))
            }
        }
    }
}

/// Rows of which products can begin anywhere.
struct InputRows {
    let rows: Kernels.Rows
    /// Elements from one row to the next.
    let width: Int

    /// The rows from one on.
    func from(_ row: Int) -> Kernels.Rows {
        switch rows {
        case .floats(let x, let stride): .floats(x + row * stride, stride: stride)
        case .quantised(let x, let scales): .quantised(x + row * width, scales: scales + row)
        }
    }
}
