private import CKernels
private import Glibc

/// The backend that runs everywhere: own kernels for the instruction set at hand, over weights packed once.
///
/// All parallelism is the worker pool's, so `threads` is the whole truth about how many run. What a row gives depends on
/// nothing but that row and its sequence: tokens are the same at every batch size and number of threads, bit for bit.
package struct CPUBackend: Backend, Sendable {
    package typealias Moment = Void
    package typealias Experts = [GatedMLP<PackedWeight>]
    package typealias Step = PlainStep<KeyValueCache>

    let pool: WorkerPool
    let kernels: Kernels
    package let precision: Precision
    private let packer: WeightPacker
    private let store: PanelStore

    /// A backend that uses at most `threads` threads at a time.
    ///
    /// - Parameters:
    ///   - threads: at least 1.
    ///   - precision: what weights, keys and values are rounded to.
    ///   - kernels: those of one instruction set.
    ///   - store: where packed weights lie; nil keeps them in memory.
    package init(
        threads: Int, precision: Precision = .float32, kernels: Kernels = .best, store: PanelStore? = nil
    ) {
        precondition(threads > 0, "at least one thread computes")
        pool = WorkerPool(threads: threads)
        self.kernels = kernels
        self.precision = precision
        packer = WeightPacker(pool: pool, precision: precision)
        self.store = store ?? PanelStore()
    }

    // MARK: - Memory

    package func weight(
        stacking tensors: [Checkpoint.Tensor], isExact: Bool
    ) throws(InferenceError) -> PackedWeight {
        let packer = isExact ? WeightPacker(pool: pool, precision: .float32) : packer
        return try packer.pack(tensors, .stacked, in: store)
    }

    package func weight(gate: Checkpoint.Tensor, up: Checkpoint.Tensor) throws(InferenceError) -> PackedWeight {
        try packer.pack([gate, up], .alternating, in: store)
    }

    package func table(_ tensor: Checkpoint.Tensor) -> RowTable { RowTable(tensor) }

    package func finishWeights() { store.finish() }

    package func upload(_ values: [Float], rows: Int, columns: Int) -> CPUTensor {
        precondition(values.count == rows * columns, "a matrix has rows * columns elements")
        return CPUTensor(rows: rows, columns: columns) { to in
            values.withUnsafeBufferPointer { from in
                if let base = from.baseAddress { to.update(from: base, count: from.count) }
            }
        }
    }

    package func download(_ tensor: CPUTensor) -> [Float] {
        tensor.read { Array(UnsafeBufferPointer(start: $0, count: tensor.count)) }
    }

    package func reshape(_ tensor: CPUTensor, rows: Int, columns: Int) -> CPUTensor {
        tensor.reshaped(rows: rows, columns: columns)
    }

    // MARK: - Building matrices

    package func patches(of views: [PreparedImage.View], patch: Int) -> CPUTensor {
        guard let side = views.first?.side else { preconditionFailure("there is at least one view") }
        precondition(views.allSatisfy { $0.side == side } && side % patch == 0, "views have one size, of whole patches")
        let grid = side / patch
        let columns = 3 * patch * patch
        let levels = Preprocessor.levels
        return CPUTensor(rows: views.count * grid * grid, columns: columns) { to in
            pool.split(views.count * grid, least: 4) { lines, _ in
                for line in lines {
                    let bytes = views[line / grid].bytes
                    for x in 0..<grid {
                        var out = to + (line * grid + x) * columns
                        for channel in 0..<3 {
                            for dy in 0..<patch {
                                let from = (((line % grid) * patch + dy) * side + x * patch) * 3 + channel
                                for dx in 0..<patch { out[dx] = levels[Int(bytes[from + 3 * dx])] }
                                out += patch
                            }
                        }
                    }
                }
            }
        }
    }

    package func embed(_ ids: [Int32], table: RowTable) -> CPUTensor {
        let width = table.inputs
        return CPUTensor(rows: ids.count, columns: width) { to in
            table.withElements { elements in
                for (row, id) in ids.enumerated() {
                    precondition(id >= 0 && Int(id) < table.outputs, "an id is a row of the table")
                    kernels.widen(
                        elements, type: table.elementType, from: Int(id) * width, to: to + row * width, count: width)
                }
            }
        }
    }

    package func gatherRows(_ indices: [Int32], from sources: [CPUTensor]) -> CPUTensor {
        guard let columns = sources.first?.columns else { preconditionFailure("there is something to gather from") }
        precondition(sources.allSatisfy { $0.columns == columns }, "sources are equally wide")
        var starts: [Int] = []
        var total = 0
        for source in sources {
            starts.append(total)
            total += source.rows
        }
        return CPUTensor(rows: indices.count, columns: columns) { to in
            for (place, source) in sources.enumerated() {
                let own = starts[place]..<starts[place] + source.rows
                source.read { from in
                    for (row, index) in indices.enumerated() where own.contains(Int(index)) {
                        let line = from + (Int(index) - own.lowerBound) * columns
                        (to + row * columns).update(from: line, count: columns)
                    }
                }
            }
            precondition(indices.allSatisfy { $0 >= 0 && Int($0) < total }, "every index is a row of a source")
        }
    }

    package func joinColumns(_ left: CPUTensor, _ right: CPUTensor) -> CPUTensor {
        precondition(left.rows == right.rows, "joined matrices have equally many rows")
        let columns = left.columns + right.columns
        return CPUTensor(rows: left.rows, columns: columns) { to in
            left.read { from in
                for row in 0..<left.rows {
                    (to + row * columns).update(from: from + row * left.columns, count: left.columns)
                }
            }
            right.read { from in
                for row in 0..<right.rows {
                    (to + row * columns + left.columns).update(from: from + row * right.columns, count: right.columns)
                }
            }
        }
    }

    package func multiply(_ matrix: CPUTensor, blocksOf tensor: CPUTensor, batches: Int) -> CPUTensor {
        precondition(tensor.rows == batches * matrix.columns, "each block has as many rows as the matrix has columns")
        let (m, k, c) = (matrix.rows, matrix.columns, tensor.columns)
        return CPUTensor(rows: batches * m, columns: c) { to in
            matrix.read { left in
                tensor.read { right in
                    pool.run(batches * m) { task, _ in
                        let line = to + task * c
                        line.update(repeating: 0, count: c)
                        for i in 0..<k {
                            kernels.addScaled(line, right + (task / m * k + i) * c, left[task % m * k + i], c)
                        }
                    }
                }
            }
        }
    }

    // MARK: - Arithmetic on rows

    package func add(_ tensor: CPUTensor, to sum: inout CPUTensor) {
        precondition(sum.columns == tensor.columns && sum.rows % tensor.rows == 0, "the addend repeats down the rows")
        let count = sum.count
        let period = tensor.count
        sum.write { to in
            tensor.read { from in
                for start in stride(from: 0, to: count, by: period) {
                    pool.split(period, least: 16384) { part, _ in
                        kernels.addScaled(to + start + part.lowerBound, from + part.lowerBound, 1, part.count)
                    }
                }
            }
        }
    }

    package func layerNorm(_ x: CPUTensor, weight: CPUTensor, bias: CPUTensor, epsilon: Float) -> CPUTensor {
        precondition(weight.count == x.columns && bias.count == x.columns, "a norm has a weight for each column")
        return normalised(x) { from, to in
            weight.read { w in bias.read { b in kernels.layerNorm(from, to, x.columns, w, b, epsilon) } }
        }
    }

    package func rmsNorm(_ x: CPUTensor, weight: CPUTensor, epsilon: Float) -> CPUTensor {
        precondition(weight.count == x.columns, "a norm has a weight for each column")
        return normalised(x) { from, to in weight.read { kernels.rmsNorm(from, to, x.columns, $0, epsilon) } }
    }

    private func normalised(
        _ x: CPUTensor, _ body: (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) -> CPUTensor {
        CPUTensor(rows: x.rows, columns: x.columns) { to in
            x.read { from in
                pool.split(x.rows, least: 1 + 32768 / x.columns) { rows, _ in
                    for row in rows { body(from + row * x.columns, to + row * x.columns) }
                }
            }
        }
    }
}
