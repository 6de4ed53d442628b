private import CKernels

/// How a packed weight's elements are stored.
enum PanelFormat: UInt32, Sendable {
    case float32 = 0
    case bfloat16 = 1
    case float16 = 2
    /// Whole numbers of at most 127 times a scale for each output.
    case int8 = 3

    /// Bytes an element.
    var size: Int {
        switch self {
        case .float32: 4
        case .bfloat16, .float16: 2
        case .int8: 1
        }
    }
}

/// A matrix `[outputs, inputs]` for the CPU, in panels of 16 outputs, so that a kernel reads one stream (kernels.h).
package struct PackedWeight: Sendable {
    /// How rows of a checkpoint's matrices become outputs.
    enum Arrangement: Sendable {
        /// Matrices one after another.
        case stacked
        /// Panels of two equally large matrices by turns, for `silu(first x) * second x`.
        case alternating
    }

    /// Rows of the matrix, or of each of two alternating ones.
    let outputs: Int
    let inputs: Int
    let format: PanelFormat
    let arrangement: Arrangement
    private let memory: any PanelMemory

    init(outputs: Int, inputs: Int, format: PanelFormat, arrangement: Arrangement, memory: any PanelMemory) {
        self.outputs = outputs
        self.inputs = inputs
        self.format = format
        self.arrangement = arrangement
        self.memory = memory
    }

    var panels: Int { (arrangement == .stacked ? 1 : 2) * ((outputs + Kernels.panel - 1) / Kernels.panel) }

    /// Outputs that a product of all panels has; alternating matrices have whole panels.
    var packedOutputs: Int { arrangement == .stacked ? outputs : panels * Kernels.panel }

    /// Bytes from one panel to the next.
    var panelBytes: Int { Self.panelBytes(inputs: inputs, format: format) }

    static func panelBytes(inputs: Int, format: PanelFormat) -> Int {
        let depth = format == .int8 ? (inputs + 1) / 2 * 2 : inputs
        return depth * Kernels.panel * format.size
    }

    /// The bytes of all panels, scales of int8 included: one for each output of each panel, after the last panel.
    static func byteCount(panels: Int, inputs: Int, format: PanelFormat) -> Int {
        panels * (panelBytes(inputs: inputs, format: format) + (format == .int8 ? Kernels.panel * 4 : 0))
    }

    /// The largest number that a quantised input may have, so that the sum over a row fits 32 bits.
    var quantisationLimit: Float { min(32767, (2_147_483_520 / 127 / Float(inputs)).rounded(.down)) }

    /// Lends the panels, and the scales of int8.
    func withPanels<R>(_ body: (_ panels: UnsafeRawPointer, _ scales: UnsafePointer<Float>?) -> R) -> R {
        memory.withBytes { base in
            let scales =
                format == .int8
                ? (base + panels * panelBytes).assumingMemoryBound(to: Float.self) : nil
            return body(base, scales)
        }
    }
}

extension PackedWeight {
    /// Packs a small matrix as f32, in memory of its own.
    init(_ tensor: CPUTensor) {
        let panels = (tensor.rows + Kernels.panel - 1) / Kernels.panel
        let memory = OwnedPanels(count: panels * tensor.columns * Kernels.panel)
        memory.buffer.withMutable { to in
            tensor.read { from in
                for panel in 0..<panels {
                    let first = panel * Kernels.panel
                    quire_pack_panel(
                        from + first * tensor.columns, QUIRE_F32, min(Kernels.panel, tensor.rows - first),
                        tensor.columns, to + first * tensor.columns, QUIRE_F32, nil)
                }
            }
        }
        self.init(
            outputs: tensor.rows, inputs: tensor.columns, format: .float32, arrangement: .stacked, memory: memory)
    }
}

/// `@unchecked Sendable`: written once, before it is shared.
private struct OwnedPanels: PanelMemory, @unchecked Sendable {
    let buffer: FloatBuffer

    init(count: Int) { buffer = FloatBuffer(count: count) }

    func withBytes<R>(_ body: (UnsafeRawPointer) -> R) -> R { buffer.withMutable { body(UnsafeRawPointer($0)) } }
}

/// Memory that holds the panels of one weight.
protocol PanelMemory: Sendable {
    func withBytes<R>(_ body: (UnsafeRawPointer) -> R) -> R
}

/// Packs matrices of a checkpoint.
struct WeightPacker: Sendable {
    let pool: WorkerPool
    let precision: Precision

    /// What a weight of an element type is packed as; f16 goes on being f16, which bfloat16 cannot hold.
    func format(for type: ElementType) -> PanelFormat {
        if precision == .int8 { return .int8 }
        switch type {
        case .bfloat16: return .bfloat16
        case .float16: return .float16
        case .float32: return precision == .float32 ? .float32 : .bfloat16
        }
    }

    /// Packs matrices with equally many inputs, out of `store` where they were packed before.
    func pack(
        _ tensors: [Checkpoint.Tensor], _ arrangement: PackedWeight.Arrangement, in store: PanelStore
    ) throws(InferenceError) -> PackedWeight {
        guard let first = tensors.first else { preconditionFailure("there is something to pack") }
        let inputs = first.shape.dropFirst().reduce(1, *)
        let format = format(for: first.type)
        let counts = tensors.map { $0.shape[0] }
        let outputs = arrangement == .stacked ? counts.reduce(0, +) : counts[0]
        let panels = (arrangement == .stacked ? 1 : 2) * ((outputs + Kernels.panel - 1) / Kernels.panel)
        let size = PackedWeight.byteCount(panels: panels, inputs: inputs, format: format)
        let memory = try store.memory(named: first.name, byteCount: size) { to in
            fill(to, tensors, arrangement, panels: panels, inputs: inputs, format: format)
            for tensor in tensors { tensor.forget() }
        }
        return PackedWeight(
            outputs: outputs, inputs: inputs, format: format, arrangement: arrangement, memory: memory)
    }

    private func fill(
        _ to: UnsafeMutableRawPointer, _ tensors: [Checkpoint.Tensor], _ arrangement: PackedWeight.Arrangement,
        panels: Int, inputs: Int, format: PanelFormat
    ) {
        let step = PackedWeight.panelBytes(inputs: inputs, format: format)
        let scales = (to + panels * step).assumingMemoryBound(to: Float.self)
        let starts = tensors.indices.map { number in tensors[..<number].reduce(0) { $0 + $1.shape[0] } }
        pool.split(panels, least: 1) { part, _ in
            withUnsafeTemporaryAllocation(byteCount: inputs * Kernels.panel * 4, alignment: 64) { rows in
                guard let lines = rows.baseAddress else { return }
                for panel in part {
                    let isSecond = arrangement == .alternating && panel % 2 == 1
                    let first = (arrangement == .alternating ? panel / 2 : panel) * Kernels.panel
                    // A panel may begin in one matrix and end in the next.
                    var count = 0
                    for (number, tensor) in tensors.enumerated() {
                        if arrangement == .alternating, (number == 1) != isSecond { continue }
                        let start = arrangement == .alternating ? 0 : starts[number]
                        let own =
                            max(first, start)..<max(first, start, min(first + Kernels.panel, start + tensor.shape[0]))
                        let line = inputs * tensor.type.size
                        tensor.withBytes { bytes in
                            guard let base = bytes.baseAddress, !own.isEmpty else { return }
                            (lines + count * line).copyMemory(
                                from: base + (own.lowerBound - start) * line, byteCount: own.count * line)
                        }
                        count += own.count
                    }
                    quire_pack_panel(
                        lines, tensors[0].type.packed, count, inputs, to + panel * step, quire_type(format.rawValue),
                        format == .int8 ? scales + panel * Kernels.panel : nil)
                }
            }
        }
    }
}

extension ElementType {
    fileprivate var packed: quire_type {
        switch self {
        case .float32: QUIRE_F32
        case .bfloat16: QUIRE_BF16
        case .float16: QUIRE_F16
        }
    }
}
