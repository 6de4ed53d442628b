import CKernels
import Glibc
import Inference
import Testing

/// What is done to one row at a time, with every instruction set.
@Suite struct KernelRowTests {
    private static let levels = CPUBackendTests.levels

    @Test(arguments: levels)
    func `rows are quantised to the nearest, halves to the even number`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        // The largest is the limit, so that a unit is worth 1.
        let row: [Float] = [
            100, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -99.5, 98.5, 0, -0.0, 3, 7.5, 8.5, 50.5, -50.5,
            -1,
        ]
        let wanted: [Int16] = [100, 0, 2, 2, 0, -2, -2, 0, -100, 98, 0, 0, 3, 8, 8, 50, -50, -1]
        for count in 1...row.count {
            var numbers = Array(repeating: Int16(77), count: row.count + 2)
            let scale = kernels.quantise(row, count, &numbers, 100)
            #expect(scale == 1 && Array(numbers[..<count]) == Array(wanted[..<count]))
            #expect(numbers[count] == (count % 2 == 0 ? 77 : 0) && numbers[count + 1] == 77)
        }
    }

    @Test(arguments: levels)
    func `quantised rows are the generic ones, and near to what they were`(level: Kernels.Level) throws {
        let (kernels, generic) = (try kernelTable(level), try kernelTable(.generic))
        var random = FixedRandom(seed: 61)
        for count in Array(1...40) + [896, 1281, 6848] {
            for (limit, size): (Float, Float) in [(32767, 1), (2469, 1e4), (127, 1e-30), (32767, 1e-20)] {
                let row = random.floats(count, times: size)
                let most = row.map(abs).max() ?? 0
                var numbers = Array(repeating: Int16(77), count: count + 2)
                var others = numbers
                let scale = kernels.quantise(row, count, &numbers, limit)
                #expect(scale == generic.quantise(row, count, &others, limit) && scale == most / limit)
                #expect(numbers == others)
                for (value, number) in zip(row, numbers) {
                    #expect(abs(Float(number) * scale - value) <= scale * 0.51 && abs(Float(number)) <= limit)
                }
            }
        }
    }

    @Test(arguments: levels)
    func `rows of zeros or of the very smallest numbers are quantised to finite ones`(
        level: Kernels.Level
    ) throws {
        let kernels = try kernelTable(level)
        for count in [1, 2, 9, 16, 33] {
            for most: Float in [0, 0x1p-149, 0x1p-130, 1e-38, 1e-36, 1e-34, 1e-32] {
                var row = Array(repeating: Float(0), count: count)
                row[count / 2] = -most
                var numbers = Array(repeating: Int16(77), count: count + 1)
                let scale = kernels.quantise(row, count, &numbers, 32767)
                #expect(scale.isFinite && scale >= 0)
                for (value, number) in zip(row, numbers) {
                    // What is less than 1e-33 may become nothing, but nothing else.
                    let error = abs(Float(number) * scale - value)
                    #expect(error <= max(1e-33, most / 32767), "\(value) became \(Float(number) * scale)")
                }
            }
        }
    }

    @Test(arguments: levels)
    func `all numbers of 16 bits become the floats that they are`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        let bits = (0...UInt16.max).map { $0 }
        // An odd count leaves a rest to every vector.
        for start in [0, 5] {
            let own = Array(bits[start...])
            var wide = Array(repeating: Float(7), count: own.count + 1)
            kernels.widen_bf16(own, &wide, own.count)
            let bfloats = zip(own, wide).count {
                Float(bitPattern: UInt32($0) << 16).bitPattern != $1.bitPattern
            }
            #expect(bfloats == 0 && wide[own.count] == 7)
            kernels.widen_f16(own, &wide, own.count)
            let halves = zip(own, wide).count { half, float in
                let wanted = Float(Float16(bitPattern: half))
                return wanted.isNaN ? !float.isNaN : wanted.bitPattern != float.bitPattern
            }
            #expect(halves == 0 && wide[own.count] == 7)
        }
    }

    @Test(arguments: levels)
    func `gates are right for rows of any width and numbers of any size`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 62)
        for count in [1, 2, 7, 8, 15, 16, 17, 60, 100] {
            let (gate, up) = (random.floats(count, times: 9), random.floats(count))
            var found = gate + [7]
            kernels.silu_multiply(&found, up, count)
            let wanted = zip(gate, up).map { gate, up in Float(silu(gate) * Double(up)) }
            let largest = wanted.map(abs).max() ?? 0
            #expect(largestError(Array(found[..<count]), wanted) <= 2e-6 * largest && found[count] == 7)
        }
        let values: [Float] = [-1e4, -200, -89, -88, -20, -1e-4, 0, 1e-4, 20, 88, 89, 200, 1e4]
        for value in values {
            var found = [value]
            kernels.silu_multiply(&found, [1], 1)
            let wanted = Float(silu(value))
            #expect(
                abs(found[0] - wanted) <= 1e-30 + 2e-6 * max(abs(wanted), abs(value) * 1e-1),
                "of \(value): \(found)")
        }
    }

    private func silu(_ value: Float) -> Double { Double(value) / (1 + exp(-Double(value))) }

    @Test(arguments: levels)
    func `a multiple of a row is added to as many numbers as it has`(level: Kernels.Level) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 63)
        for count in [1, 7, 8, 15, 16, 17, 100] {
            let (from, to) = (random.floats(count), random.floats(count))
            var found = to + [7]
            kernels.add_scaled(&found, from, 0.3, count)
            let wanted = zip(to, from).map { Float(Double($0) + Double(Float(0.3)) * Double($1)) }
            #expect(largestError(Array(found[..<count]), wanted) <= 2e-7 && found[count] == 7)
        }
    }
}
