import Inference
import Testing

/// One backend to test beside the reference, and numbers to test it with.
struct BackendBench {
    let cpu: CPUBackend
    let plain = ReferenceBackend()
    var random = FixedRandom(seed: 3)

    init(_ level: Kernels.Level, threads: Int = 2) throws {
        cpu = CPUBackend(threads: threads, kernels: try #require(Kernels(level: level)))
    }

    /// The same random matrix on both.
    mutating func matrix(_ rows: Int, _ columns: Int, times scale: Float = 1) -> (CPUTensor, ReferenceTensor) {
        let values = random.floats(rows * columns, times: scale)
        return (
            cpu.upload(values, rows: rows, columns: columns), plain.upload(values, rows: rows, columns: columns)
        )
    }

    /// A random tensor of a checkpoint.
    mutating func tensor(_ outputs: Int, _ inputs: Int, type: ElementType = .float32) -> Checkpoint.Tensor {
        let tensor = TestTensor("w", [outputs, inputs], random.floats(outputs * inputs), type: type)
        return Checkpoint.Tensor(name: "w", type: type, shape: tensor.shape, bytes: tensor.bytes)
    }

    mutating func weight(
        _ outputs: Int, _ inputs: Int, type: ElementType = .float32
    ) throws -> (PackedWeight, ReferenceTensor) {
        let tensor = tensor(outputs, inputs, type: type)
        return (
            try cpu.weight(stacking: [tensor], isExact: false), plain.weight(stacking: [tensor], isExact: false)
        )
    }

    /// The random matrices of a gated MLP on both.
    mutating func gatedMLP(
        _ outer: Int, _ inner: Int, type: ElementType = .float32
    ) throws -> (GatedMLP<PackedWeight>, GatedMLP<ReferenceTensor>) {
        let (gate, up) = (tensor(inner, outer, type: type), tensor(inner, outer, type: type))
        let down = try weight(outer, inner, type: type)
        return (
            GatedMLP(gateUp: try cpu.weight(gate: gate, up: up), down: down.0),
            GatedMLP(gateUp: plain.weight(gate: gate, up: up), down: down.1)
        )
    }

    /// Compares within 2e-6 of the largest value, a few roundings of f32 on sums of some hundred terms.
    func expectEqual(_ a: CPUTensor, _ b: ReferenceTensor, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(a.rows == b.rows && a.columns == b.columns, sourceLocation: sourceLocation)
        expectEqual(cpu.download(a), b.values, sourceLocation: sourceLocation)
    }

    func expectEqual(_ a: [Float], _ b: [Float], sourceLocation: SourceLocation = #_sourceLocation) {
        let largest = b.map(abs).max() ?? 0
        let error = zip(a, b).map { abs($0 - $1) }.max() ?? 0
        #expect(
            a.count == b.count && error <= 2e-6 * largest, "off by \(error / largest)",
            sourceLocation: sourceLocation)
    }
}
