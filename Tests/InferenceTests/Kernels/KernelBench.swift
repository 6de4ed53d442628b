import CKernels
import Inference
import Testing

/// The kernels of one instruction set, as C has them.
func kernelTable(_ level: Kernels.Level) throws -> quire_kernels {
    try #require(quire_kernels_at(quire_level(level.rawValue))).pointee
}

/// A random matrix of weights in panels, and rows to multiply it with.
///
/// Rows lie further apart than they are long, with NaN between them: what is read there shows.
struct ProductBench {
    static let types = [QUIRE_F32, QUIRE_BF16, QUIRE_F16, QUIRE_INT8].map(\.rawValue)
    static let gap = 3
    static let mark: Float = 12_345

    let type: quire_type
    let depth: Int
    let outputs: Int
    var panels: [UInt8]
    var columnScales: [Float]
    var bias: [Float]
    var x: [Float]
    var quantised: [Int16]
    var rowScales: [Float]
    var sums: [Float]

    /// The largest number that rows of int8 products may hold: the sum over a row must fit 32 bits.
    static func limit(_ depth: Int) -> Int { min(32767, 2_147_483_520 / 127 / depth) }

    static func pairedDepth(_ depth: Int) -> Int { (depth + 1) / 2 * 2 }

    init(_ type: quire_type, rows: Int, depth: Int, outputs: Int, random: inout FixedRandom) {
        (self.type, self.depth, self.outputs) = (type, depth, outputs)
        (panels, columnScales) = Self.packed(type, random.floats(outputs * depth), depth: depth, outputs: outputs)
        bias = random.floats(outputs)
        let line = depth + Self.gap
        x = random.floats(rows * line)
        for row in 0..<rows { for place in depth..<line { x[row * line + place] = .nan } }
        let limit = Self.limit(depth)
        quantised = (0..<rows * Self.pairedDepth(depth)).map {
            $0 % Self.pairedDepth(depth) < depth
                ? Int16(Int.random(in: -limit...limit, using: &random)) : 0
        }
        rowScales = (0..<rows).map { _ in Float.random(in: 0.5..<2, using: &random) / Float(limit) }
        sums = random.floats(rows * (outputs + Self.gap))
        for row in 0..<rows {
            for place in 0..<Self.gap { sums[row * (outputs + Self.gap) + outputs + place] = Self.mark }
        }
    }

    private static func packed(
        _ type: quire_type, _ values: [Float], depth: Int, outputs: Int
    ) -> (panels: [UInt8], scales: [Float]) {
        let count = (outputs + 15) / 16
        let step = panelBytes(type, depth: depth)
        let halves = values.map { Float16($0) }
        var panels = Array(repeating: UInt8(0), count: count * step)
        var scales = Array(repeating: Float(0), count: count * 16)
        panels.withUnsafeMutableBytes { to in
            scales.withUnsafeMutableBufferPointer { scales in
                for panel in 0..<count {
                    guard let to = to.baseAddress, let scales = scales.baseAddress else { return }
                    let rows = min(16, outputs - panel * 16)
                    func pack(_ from: UnsafeRawPointer, _ fromType: quire_type, size: Int) {
                        quire_pack_panel(
                            from + panel * 16 * depth * size, fromType, rows, depth, to + panel * step, type,
                            scales + panel * 16)
                    }
                    if type == QUIRE_F16 { pack(halves, QUIRE_F16, size: 2) } else { pack(values, QUIRE_F32, size: 4) }
                }
            }
        }
        return (panels, scales)
    }

    static func panelBytes(_ type: quire_type, depth: Int) -> Int {
        switch type {
        case QUIRE_F32: depth * 16 * 4
        case QUIRE_INT8: pairedDepth(depth) * 16
        default: depth * 16 * 2
        }
    }

    /// The product of some rows with all outputs; the marks that lie behind each row come along.
    func run(
        _ kernels: quire_kernels, _ rows: Range<Int>, hasBias: Bool = false, isAdding: Bool = false
    ) -> [Float] {
        let line = outputs + Self.gap
        var y = Array(sums[rows.lowerBound * line..<rows.upperBound * line])
        let size = type == QUIRE_F32 ? 4 : type == QUIRE_INT8 ? 1 : 2
        var scratch = Array(repeating: Float.nan, count: Int(QUIRE_PRODUCT_SCRATCH))
        panels.withUnsafeBytes { w in
            x.withUnsafeBufferPointer { x in
                quantised.withUnsafeBufferPointer { quantised in
                    rowScales.withUnsafeBufferPointer { rowScales in
                        columnScales.withUnsafeBufferPointer { columnScales in
                            bias.withUnsafeBufferPointer { bias in
                                y.withUnsafeMutableBufferPointer { y in
                                    guard let w = w.baseAddress, let y = y.baseAddress else { return }
                                    let isInt8 = type == QUIRE_INT8
                                    var job = quire_product(
                                        w: w, panel_step: Self.panelBytes(type, depth: depth) / size,
                                        panels: (outputs + 15) / 16, depth: depth, rows: rows.count,
                                        x: isInt8
                                            ? nil : x.baseAddress.map { $0 + rows.lowerBound * (depth + Self.gap) },
                                        ldx: depth + Self.gap,
                                        quantised: quantised.baseAddress.map {
                                            $0 + rows.lowerBound * Self.pairedDepth(depth)
                                        }, row_scales: rowScales.baseAddress.map { $0 + rows.lowerBound },
                                        column_scales: columnScales.baseAddress, y: y, ldy: line, columns: outputs,
                                        bias: hasBias ? bias.baseAddress : nil, add: isAdding ? 1 : 0)
                                    switch type {
                                    case QUIRE_F32: kernels.product_f32(&job, &scratch)
                                    case QUIRE_BF16: kernels.product_bf16(&job, &scratch)
                                    case QUIRE_F16: kernels.product_f16(&job, &scratch)
                                    default: kernels.product_int8(&job, nil)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return y
    }
}

/// The largest difference; NaN where one is NaN.
func largestError(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .nan }
    return zip(a, b).reduce(0) { most, pair in
        let error = abs(pair.0 - pair.1)
        return error.isNaN || most.isNaN ? .nan : max(most, error)
    }
}
