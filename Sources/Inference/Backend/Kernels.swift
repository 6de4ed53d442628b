private import CKernels

/// One instruction set's kernels, as Swift calls them.
///
/// `@unchecked Sendable`: the table pointed to is a constant of the library.
package struct Kernels: @unchecked Sendable {
    /// The instruction sets, worst first.
    package enum Level: UInt32, Sendable, CaseIterable {
        case generic = 0
        case avx2 = 1
        case avx512 = 2
        case avx512VNNI = 3
    }

    /// Outputs that lie side by side in a packed weight.
    static let panel = Int(QUIRE_PANEL)
    /// Rows that go through a weight together.
    static let block = Int(QUIRE_BLOCK)
    /// Floats of scratch memory that a product needs.
    static let productScratch = Int(QUIRE_PRODUCT_SCRATCH)

    private let table: UnsafePointer<quire_kernels>

    /// The best that this processor runs.
    package static let best = Kernels(table: quire_kernels_best())

    /// The kernels of a level; nil where the processor lacks its instructions.
    package init?(level: Level) {
        guard let found = quire_kernels_at(quire_level(level.rawValue)) else { return nil }
        table = found
    }

    private init(table: UnsafePointer<quire_kernels>) { self.table = table }

    /// The instruction set's name.
    package var name: String { String(cString: table.pointee.name) }

    /// Rows of a product: floats, or int16 numbers with what a unit of each row is worth.
    enum Rows {
        case floats(UnsafePointer<Float>, stride: Int)
        case quantised(UnsafePointer<Int16>, scales: UnsafePointer<Float>)
    }

    /// `y[r, o] = bias[o] + x[r] . w[o]`, or `+=`, for some panels of a weight.
    ///
    /// `y` and `bias` begin at the first of these panels' outputs. `x` is quantised exactly where the weight is int8.
    func product(
        _ x: Rows, rows: Int, _ weight: PackedWeight, panels: Range<Int>, into y: UnsafeMutablePointer<Float>,
        stride: Int, bias: UnsafePointer<Float>?, adding: Bool, scratch: UnsafeMutablePointer<Float>
    ) {
        let first = panels.lowerBound * Self.panel
        weight.withPanels { base, scales in
            var job = quire_product(
                w: base + panels.lowerBound * weight.panelBytes, panel_step: weight.panelBytes / weight.format.size,
                panels: panels.count, depth: weight.inputs, rows: rows, x: nil, ldx: 0, quantised: nil,
                row_scales: nil, column_scales: scales.map { $0 + first }, y: y, ldy: stride,
                columns: min(weight.packedOutputs, panels.upperBound * Self.panel) - first, bias: bias,
                add: adding ? 1 : 0)
            switch x {
            case .floats(let x, let stride):
                job.x = x
                job.ldx = stride
            case .quantised(let x, let scales):
                job.quantised = x
                job.row_scales = scales
            }
            switch weight.format {
            case .float32: table.pointee.product_f32(&job, scratch)
            case .bfloat16: table.pointee.product_bf16(&job, scratch)
            case .float16: table.pointee.product_f16(&job, scratch)
            case .int8: table.pointee.product_int8(&job, nil)
            }
        }
    }

    /// Rounds a row to int16 numbers of at most `limit`; returns what a unit is worth.
    ///
    /// `to` has room for an even number.
    func quantise(_ row: UnsafePointer<Float>, _ count: Int, to: UnsafeMutablePointer<Int16>, limit: Float) -> Float {
        table.pointee.quantise(row, count, to, limit)
    }

    /// One block of keys of a running softmax; see `AttentionBlock`.
    func attend(_ block: AttentionBlock) {
        var job = quire_attention(
            q: block.queries, ldq: block.queryStride, rows: block.rows, width: block.width, scale: block.scale,
            keys: block.keyCount, k: block.keys, v: block.values, v_step: block.valueStep, seen: block.seen,
            seen_step: block.seenStep, side: block.grid?.side ?? 0, line_bias: block.grid?.lineBias,
            ld_line: block.grid?.lineStride ?? 0, column_bias: block.grid?.columnBias,
            ld_column: block.grid?.columnStride ?? 0, most: block.state.most, sum: block.state.sum,
            out: block.state.out, ldo: block.state.outStride, scores: block.state.scores)
        switch block.type {
        case .float32: table.pointee.attend_f32(&job)
        case .bfloat16: table.pointee.attend_bf16(&job)
        case .float16: preconditionFailure("keys and values are f32 or bfloat16")
        }
    }

    /// Converts `count` elements from number `from` on to f32.
    func widen(
        _ elements: UnsafeRawPointer, type: ElementType, from: Int, to: UnsafeMutablePointer<Float>, count: Int
    ) {
        let start = elements + from * type.size
        switch type {
        case .float32: to.update(from: start.assumingMemoryBound(to: Float.self), count: count)
        case .bfloat16: table.pointee.widen_bf16(start.assumingMemoryBound(to: UInt16.self), to, count)
        case .float16: table.pointee.widen_f16(start.assumingMemoryBound(to: UInt16.self), to, count)
        }
    }

    func gelu(_ x: UnsafeMutablePointer<Float>, _ count: Int) { table.pointee.gelu(x, count) }

    func quickGELU(_ x: UnsafeMutablePointer<Float>, _ count: Int) { table.pointee.quick_gelu(x, count) }

    func siluMultiply(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int) {
        table.pointee.silu_multiply(gate, up, count)
    }

    func addScaled(_ to: UnsafeMutablePointer<Float>, _ from: UnsafePointer<Float>, _ factor: Float, _ count: Int) {
        table.pointee.add_scaled(to, from, factor, count)
    }

    func layerNorm(
        _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ count: Int, _ weight: UnsafePointer<Float>,
        _ bias: UnsafePointer<Float>, _ epsilon: Float
    ) {
        table.pointee.layer_norm(from, to, count, weight, bias, epsilon)
    }

    func rmsNorm(
        _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ count: Int, _ weight: UnsafePointer<Float>,
        _ epsilon: Float
    ) {
        table.pointee.rms_norm(from, to, count, weight, epsilon)
    }
}

/// Attention from some queries to one block of keys.
struct AttentionBlock {
    /// What the blocks of keys before this one left behind, for each query.
    struct State {
        /// The largest score so far; -infinity before the first block.
        let most: UnsafeMutablePointer<Float>
        /// The sum of exponentials; 0 before the first block.
        let sum: UnsafeMutablePointer<Float>
        /// `[rows, width rounded up to a panel]`, not yet divided by the sum; 0 before the first block.
        let out: UnsafeMutablePointer<Float>
        let outStride: Int
        /// `[rows, keyCount]` of scratch memory.
        let scores: UnsafeMutablePointer<Float>
    }

    /// What is added to scores where the keys are lines of a grid.
    struct Grid {
        /// Keys of a line.
        let side: Int
        let lineBias: UnsafePointer<Float>
        let lineStride: Int
        let columnBias: UnsafePointer<Float>
        let columnStride: Int
    }

    let queries: UnsafePointer<Float>
    let queryStride: Int
    let rows: Int
    let width: Int
    let scale: Float
    /// A multiple of 16.
    let keyCount: Int
    let keys: UnsafeRawPointer
    let values: UnsafeRawPointer
    /// Elements between two panels of values.
    let valueStep: Int
    let type: ElementType
    /// Query r sees the first `seen + r * seenStep` keys.
    var seen: Int
    var seenStep = 0
    var grid: Grid?
    let state: State
}
