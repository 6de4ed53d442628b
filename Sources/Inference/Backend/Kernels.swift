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
    }

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

    /// `y[r, o] += w[o] . x[r]`; `w` starts at row `first` of a weight of `inputs` columns.
    func gemv(
        _ w: UnsafeRawPointer, type: ElementType, outputs: Range<Int>, inputs: Int, x: UnsafePointer<Float>, rows: Int,
        xStride: Int, y: UnsafeMutablePointer<Float>, yStride: Int
    ) {
        let kernel =
            switch type {
            case .float32: table.pointee.gemv_f32
            case .bfloat16: table.pointee.gemv_bf16
            case .float16: table.pointee.gemv_f16
            }
        kernel(
            w + outputs.lowerBound * inputs * type.size, inputs, x, xStride, rows, y + outputs.lowerBound, yStride,
            outputs.count, inputs)
    }

    /// `y[i] += keys[i] . x` for `count` rows that lie `stride` floats apart.
    func dotRows(
        _ keys: UnsafePointer<Float>, stride: Int, count: Int, x: UnsafePointer<Float>, width: Int,
        y: UnsafeMutablePointer<Float>
    ) {
        table.pointee.gemv_f32(keys, stride, x, width, 1, y, count, count, width)
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

    /// Replaces a row by the exponentials of its scaled values over the largest; returns their sum.
    func softmax(_ row: UnsafeMutablePointer<Float>, _ count: Int, scale: Float) -> Float {
        table.pointee.softmax(row, count, scale)
    }

    /// The same for a row over a square grid, with a bias for each line and one for each column.
    func softmaxGrid(
        _ row: UnsafeMutablePointer<Float>, side: Int, scale: Float, lineBias: UnsafePointer<Float>,
        columnBias: UnsafePointer<Float>
    ) -> Float {
        table.pointee.softmax_grid(row, side, side, scale, lineBias, columnBias)
    }

    func gelu(_ x: UnsafeMutablePointer<Float>, _ count: Int) { table.pointee.gelu(x, count) }

    func quickGELU(_ x: UnsafeMutablePointer<Float>, _ count: Int) { table.pointee.quick_gelu(x, count) }

    func siluMultiply(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int) {
        table.pointee.silu_multiply(gate, up, count)
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
