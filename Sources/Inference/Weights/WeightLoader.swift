/// Fetches tensors of a checkpoint onto a backend by their names below a prefix.
struct WeightLoader<B: Backend> {
    let checkpoint: Checkpoint
    let backend: B
    let prefix: String

    init(_ checkpoint: Checkpoint, _ backend: B, prefix: String = "") {
        self.checkpoint = checkpoint
        self.backend = backend
        self.prefix = prefix
    }

    /// The loader of what lies under a name.
    func below(_ name: String) -> WeightLoader { WeightLoader(checkpoint, backend, prefix: "\(prefix)\(name).") }

    /// A matrix; `isExact` where its elements must not be rounded.
    func matrix(_ name: String, isExact: Bool = false) throws(InferenceError) -> B.Weight {
        try backend.weight(stacking: [checkpoint.tensor(prefix + name)], isExact: isExact)
    }

    /// Several matrices with the same inputs as one.
    func stack(_ names: String...) throws(InferenceError) -> B.Weight {
        var tensors: [Checkpoint.Tensor] = []
        for name in names { tensors.append(try checkpoint.tensor(prefix + name)) }
        return try backend.weight(stacking: tensors, isExact: false)
    }

    /// A matrix of which single rows are read.
    func rows(_ name: String) throws(InferenceError) -> B.Table {
        backend.table(try checkpoint.tensor(prefix + name))
    }

    /// A small tensor as f32; its last dimension makes the columns.
    func table(_ name: String) throws(InferenceError) -> B.Tensor {
        let tensor = try checkpoint.tensor(prefix + name)
        let columns = tensor.shape.last ?? 1
        return backend.upload(tensor.floats(), rows: tensor.count / columns, columns: columns)
    }

    func linear(_ name: String) throws(InferenceError) -> Linear<B> {
        Linear(weight: try matrix("\(name).weight"), bias: try table("\(name).bias"))
    }

    func norm(_ name: String, epsilon: Float) throws(InferenceError) -> LayerNorm<B> {
        LayerNorm(weight: try table("\(name).weight"), bias: try table("\(name).bias"), epsilon: epsilon)
    }

    func gatedMLP(_ name: String) throws(InferenceError) -> GatedMLP<B.Weight> {
        let inner = below(name)
        return GatedMLP(
            gateUp: try backend.weight(
                gate: inner.checkpoint.tensor(inner.prefix + "gate_proj.weight"),
                up: inner.checkpoint.tensor(inner.prefix + "up_proj.weight")),
            down: try inner.matrix("down_proj.weight"))
    }
}

/// A linear layer with bias.
struct Linear<B: Backend> {
    let weight: B.Weight
    let bias: B.Tensor

    func apply(_ x: B.Tensor, then activation: Activation? = nil, on backend: B) -> B.Tensor {
        backend.linear(x, weight, bias: bias, then: activation)
    }

    func add(_ x: B.Tensor, to sum: inout B.Tensor, on backend: B) {
        backend.addLinear(x, weight, bias: bias, to: &sum)
    }
}

/// LayerNorm's parameters.
struct LayerNorm<B: Backend> {
    let weight: B.Tensor
    let bias: B.Tensor
    let epsilon: Float

    func apply(_ x: B.Tensor, on backend: B) -> B.Tensor {
        backend.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon)
    }
}
