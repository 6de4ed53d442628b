/// Products, norms and convolutions.
extension CUDABackend {
    /// What becomes of a product's sums (gemm.cuh).
    private enum Storing: Int {
        case narrow = 0
        case wide = 1
        case adding = 2
        case gelu = 3
        case quickGELU = 4
        case gated = 5
    }

    package func linear(
        _ x: CUDATensor, _ weight: CUDAWeight, bias: CUDATensor?, then activation: Activation?
    ) -> CUDATensor {
        let y = matrix(x.rows, weight.outputs)
        let storing: Storing =
            switch activation {
            case .gelu: .gelu
            case .quickGELU: .quickGELU
            case nil: .narrow
            }
        multiply(x, weight, bias: bias, into: y, storing)
        return y
    }

    package func scores(_ x: CUDATensor, _ weight: CUDAWeight) -> CUDATensor {
        let y = matrix(x.rows, weight.outputs, isWide: true)
        multiply(x, weight, bias: nil, into: y, .wide)
        return y
    }

    package func addLinear(_ x: CUDATensor, _ weight: CUDAWeight, bias: CUDATensor?, to sum: inout CUDATensor) {
        precondition(sum.columns == weight.outputs && sum.rows == x.rows, "the sum has a place for each output")
        makeSum(&sum)
        multiply(x, weight, bias: bias, into: sum, .adding)
    }

    package func addGated(_ x: CUDATensor, _ mlp: GatedMLP<CUDAWeight>, to sum: inout CUDATensor) {
        let activated = matrix(x.rows, mlp.gateUp.outputs / 2)
        multiply(x, mlp.gateUp, bias: nil, into: activated, .gated)
        addLinear(activated, mlp.down, bias: nil, to: &sum)
    }

    private func multiply(
        _ x: CUDATensor, _ weight: CUDAWeight, bias: CUDATensor?, into y: CUDATensor, _ storing: Storing
    ) {
        precondition(x.columns == weight.inputs, "x has a column for each input")
        precondition(bias?.isWide != false, "biases are f32")
        let x = narrowed(x)
        if multiplyByLibrary(x, weight, bias: bias, into: y, storing) { return }
        let tile = tile(rows: x.rows, outputs: weight.outputs)
        launch(
            "product_\(tile.rows)", grid: (columnTiles(weight.outputs), tile.count(x.rows), 1), threads: tile.threads,
            shared: tile.sharedBytes,
            [
                x.argument, weight.argument, bias?.argument ?? .address(0), y.argument, .int(x.rows),
                .int(weight.inputs), .int(weight.outputs), .int(y.columns), .int(storing.rawValue),
            ])
    }

    /// Lets cuBLASLt make a product of the encoder: there all have many rows.
    ///
    /// The library's own GELU is the approximation by tanh: products with what comes after them stay the own kernels'.
    private func multiplyByLibrary(
        _ x: CUDATensor, _ weight: CUDAWeight, bias: CUDATensor?, into y: CUDATensor, _ storing: Storing
    ) -> Bool {
        guard stream == LibraryProducts.stream, storing == .narrow || storing == .adding,
            let library = context.libraryProducts,
            let way = library.way(
                inputs: weight.inputs, outputs: weight.outputs, isAdded: storing == .adding, hasBias: bias != nil)
        else { return false }
        // The library takes biases of the result's type; checkpoints have them as bfloat16 anyway.
        let bias = storing == .narrow ? bias.map { narrowed($0) } : bias
        _ = context.attempt { () throws(InferenceError) in
            try noted("library_product") { () throws(InferenceError) in
                try library.multiply(way, x, weight, bias: bias, into: y)
            }
        }
        return true
    }

    func tile(rows: Int, outputs: Int) -> ProductTile {
        .best(rows: rows, outputs: outputs, multiprocessors: device.description.multiprocessors)
    }

    func columnTiles(_ outputs: Int) -> Int { (outputs + ProductTile.outputs - 1) / ProductTile.outputs }

    package func convolve3x3(
        _ x: CUDATensor, _ weight: CUDAWeight, batches: Int, side: Int, stride: Int
    ) -> CUDATensor {
        precondition(x.rows == batches * side * side && 9 * x.columns == weight.inputs, "x fits the weight")
        let target = (side - 1) / stride + 1
        let x = narrowed(x)
        let y = matrix(batches * target * target, weight.outputs)
        let best = tile(rows: y.rows, outputs: weight.outputs)
        // There are two sizes of this kernel.
        guard let tile = ProductTile.all.first(where: { $0.rows == (best.rows == 128 ? 128 : 32) }) else { return y }
        launch(
            "convolve_\(tile.rows)", grid: (columnTiles(weight.outputs), tile.count(y.rows), 1),
            threads: tile.threads, shared: tile.sharedBytes,
            [
                x.argument, weight.argument, y.argument, .int(batches), .int(side), .int(stride), .int(x.columns),
                .int(weight.outputs),
            ])
        return y
    }

    // MARK: - Norms and sums

    package func add(_ tensor: CUDATensor, to sum: inout CUDATensor) {
        precondition(tensor.columns == sum.columns && sum.rows % tensor.rows == 0, "the matrix fits the sum's rows")
        makeSum(&sum)
        let tensor = widened(tensor)
        launchByEights(
            "add_f32", count: sum.count, [sum.argument, tensor.argument, .long(tensor.count), .long(sum.count)])
    }

    package func layerNorm(_ x: CUDATensor, weight: CUDATensor, bias: CUDATensor, epsilon: Float) -> CUDATensor {
        normalised(x, "layer_norm", [weight.argument, bias.argument], epsilon)
    }

    package func rmsNorm(_ x: CUDATensor, weight: CUDATensor, epsilon: Float) -> CUDATensor {
        normalised(x, "rms_norm", [weight.argument], epsilon)
    }

    private func normalised(
        _ x: CUDATensor, _ name: String, _ parameters: [KernelLaunch.Argument], _ epsilon: Float
    ) -> CUDATensor {
        let y = matrix(x.rows, x.columns)
        let threads = min(256, (x.columns / 8 + 31) / 32 * 32)
        launch(
            "\(name)_\(x.isWide ? "f32" : "bf16")", grid: (x.rows, 1, 1), threads: threads, shared: x.columns * 4,
            [x.argument] + parameters + [y.argument, .int(x.columns), .float(epsilon)])
        return y
    }
}
