import CKernels
import Inference
import Testing

/// How weights, keys and values get into panels.
@Suite struct PackingTests {
    @Test(arguments: [(16, 1), (1, 5), (15, 64), (16, 65), (7, 200)])
    func `panels hold rows side by side, missing ones as zeros`(rows: Int, depth: Int) {
        var random = FixedRandom(seed: 51)
        let floats = random.floats(rows * depth)
        let halves = floats.map { Float16($0) }
        let shorts = floats.map { UInt16($0.bitPattern >> 16) }
        func expect<From, To: BitwiseCopyable & Numeric & Equatable>(
            _ from: [From], _ fromType: quire_type, _ toType: quire_type, as: To.Type,
            _ wanted: (From) -> To,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            // One element more than there is room for.
            var panel = Array(repeating: To(exactly: 7) ?? 0, count: depth * 16 + 1)
            from.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                quire_pack_panel(base, fromType, rows, depth, &panel, toType, nil)
            }
            for k in 0..<depth {
                for r in 0..<16 {
                    let value = r < rows ? wanted(from[r * depth + k]) : 0
                    #expect(panel[k * 16 + r] == value, sourceLocation: sourceLocation)
                }
            }
            #expect(panel[depth * 16] == 7, sourceLocation: sourceLocation)
        }
        expect(floats, QUIRE_F32, QUIRE_F32, as: Float.self) { $0 }
        expect(shorts, QUIRE_BF16, QUIRE_BF16, as: UInt16.self) { $0 }
        expect(halves, QUIRE_F16, QUIRE_F16, as: UInt16.self) { $0.bitPattern }
        expect(shorts, QUIRE_BF16, QUIRE_F32, as: Float.self) { Float(bitPattern: UInt32($0) << 16) }
        expect(halves, QUIRE_F16, QUIRE_F32, as: Float.self) { Float($0) }
        expect(floats, QUIRE_F32, QUIRE_BF16, as: UInt16.self, Self.bfloat16)
    }

    @Test func `bfloat16 is rounded to the nearest, halves to the even one`() {
        let ulp: Float = 0x1p-7
        let pairs: [(Float, Float)] = [
            (1 + ulp / 2, 1), (1 + ulp * 3 / 2, 1 + 2 * ulp), (1 + ulp / 2 + 0x1p-23, 1 + ulp),
            (1 + ulp * 0.49, 1),
            (-1 - ulp / 2, -1), (-1 - ulp * 3 / 2, -1 - 2 * ulp), (0, 0), (0x1p-149, 0),
            (.greatestFiniteMagnitude, .infinity),
            (.infinity, .infinity), (-.infinity, -.infinity), (0x1p-133 * 1.5, 0x1p-132),
        ]
        let found = packed(pairs.map(\.0))
        for (number, pair) in pairs.enumerated() { #expect(found[number] == pair.1, "\(pair.0)") }
        #expect(packed([-0.0])[0].sign == .minus)
        // Also those whose upper half alone would be an infinity.
        for bits: UInt32 in [0x7FC0_0000, 0x7F80_0001, 0x7FFF_FFFF, 0xFF80_0001, 0xFFFF_FFFF] {
            #expect(packed([Float(bitPattern: bits)])[0].isNaN)
        }
        var random = FixedRandom(seed: 52)
        let many = (0..<4096).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
        for (value, rounded) in zip(many, packed(many)) where !value.isNaN {
            #expect(rounded == Float(bitPattern: UInt32(Self.bfloat16(value)) << 16))
        }
    }

    /// The first row of a panel of bfloat16 numbers.
    private func packed(_ values: [Float]) -> [Float] {
        var panel = Array(repeating: UInt16(0), count: values.count * 16)
        quire_pack_panel(values, QUIRE_F32, 1, values.count, &panel, QUIRE_BF16, nil)
        return values.indices.map { Float(bitPattern: UInt32(panel[$0 * 16]) << 16) }
    }

    /// The nearer of the two bfloat16 numbers about a value, the even one where they are equally near.
    private static func bfloat16(_ value: Float) -> UInt16 {
        let low = UInt16(value.bitPattern >> 16)
        let rest = value.bitPattern & 0xFFFF
        guard rest > 0x8000 || (rest == 0x8000 && low % 2 == 1), value.isFinite else { return low }
        return low + 1
    }

    @Test(
        arguments: [(16, 1), (1, 5), (15, 64), (16, 65), (7, 2)],
        [QUIRE_F32, QUIRE_BF16, QUIRE_F16].map(\.rawValue))
    func `int8 panels hold pairs of inputs and a scale for each row`(
        size: (rows: Int, depth: Int), type: UInt32
    ) {
        let (rows, depth) = size
        var random = FixedRandom(seed: 53)
        var values = random.floats(rows * depth).map { value in
            switch quire_type(type) {
            case QUIRE_BF16: Float(bitPattern: value.bitPattern & 0xFFFF_0000)
            case QUIRE_F16: Float(Float16(value))
            default: value
            }
        }
        // A row of zeros, if there are some.
        if rows > 2 { for k in 0..<depth { values[2 * depth + k] = 0 } }
        let paired = ProductBench.pairedDepth(depth)
        var panel = Array(repeating: Int8(99), count: paired * 16 + 1)
        var scales = Array(repeating: Float.nan, count: 17)
        switch quire_type(type) {
        case QUIRE_BF16:
            let shorts = values.map { UInt16($0.bitPattern >> 16) }
            quire_pack_panel(shorts, QUIRE_BF16, rows, depth, &panel, QUIRE_INT8, &scales)
        case QUIRE_F16:
            quire_pack_panel(
                values.map { Float16($0) }, QUIRE_F16, rows, depth, &panel, QUIRE_INT8, &scales)
        default: quire_pack_panel(values, QUIRE_F32, rows, depth, &panel, QUIRE_INT8, &scales)
        }
        for r in 0..<16 {
            let row =
                r < rows ? Array(values[r * depth..<(r + 1) * depth]) : Array(repeating: 0, count: depth)
            let most = row.map(abs).max() ?? 0
            #expect(scales[r] == most / 127)
            for k in 0..<paired {
                let found = panel[(k / 2 * 16 + r) * 2 + k % 2]
                guard k < depth, most > 0 else {
                    #expect(found == 0)
                    continue
                }
                // The quotient may be rounded either way where it is half way but for its own rounding.
                let exact = Double(row[k]) * 127 / Double(most)
                #expect(abs(Double(found) - exact) <= 0.5001)
                if abs(row[k]) == most { #expect(abs(Int(found)) == 127) }
            }
        }
        #expect(panel[paired * 16] == 99 && scales[16].isNaN)
    }

    @Test func `rows of the very smallest numbers become int8 zeros or what they are`() {
        for most: Float in [0x1p-149, 0x1p-130, 1e-36, 1e-30] {
            let row: [Float] = [most, 0, -most, most / 2]
            var panel = Array(repeating: Int8(99), count: 4 * 16)
            var scales = Array(repeating: Float.nan, count: 16)
            quire_pack_panel(row, QUIRE_F32, 1, 4, &panel, QUIRE_INT8, &scales)
            for k in 0..<4 {
                let value = Float(panel[k / 2 * 32 + k % 2]) * scales[0]
                #expect(abs(value - row[k]) <= max(most / 254 * 1.001, 1e-34), "\(row[k]) became \(value)")
            }
        }
    }

    @Test func `keys and values find their places in blocks`() {
        var random = FixedRandom(seed: 54)
        for width in [1, 5, 16, 20, 33] {
            let padded = (width + 15) / 16 * 16
            for slot in [0, 1, 15, 16, 47] {
                let values = random.floats(width)
                var keys = Array(repeating: Float(7), count: 48 * width)
                quire_put_key(values, width, &keys, QUIRE_F32, slot)
                var panels = Array(repeating: Float(7), count: 48 * padded)
                quire_put_value(values, width, &panels, QUIRE_F32, 48, slot)
                var shortKeys = Array(repeating: UInt16(7), count: 48 * width)
                quire_put_key(values, width, &shortKeys, QUIRE_BF16, slot)
                var shortPanels = Array(repeating: UInt16(7), count: 48 * padded)
                quire_put_value(values, width, &shortPanels, QUIRE_BF16, 48, slot)
                for i in 0..<width {
                    let (key, value) = (
                        slot / 16 * width * 16 + i * 16 + slot % 16, i / 16 * 48 * 16 + slot * 16 + i % 16
                    )
                    #expect(keys[key] == values[i] && panels[value] == values[i])
                    #expect(
                        shortKeys[key] == Self.bfloat16(values[i])
                            && shortPanels[value] == Self.bfloat16(values[i]))
                }
                #expect(keys.count { $0 != 7 } == width && panels.count { $0 != 7 } == width)
                #expect(shortKeys.count { $0 != 7 } == width && shortPanels.count { $0 != 7 } == width)
            }
        }
    }
}
