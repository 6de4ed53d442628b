import CKernels
import Inference
import Testing

/// Products of every instruction set against the generic ones, on shapes that fill no vector, tile or block.
@Suite struct KernelProductTests {
    private static let levels = CPUBackendTests.levels
    private static let rows = Array(1...13) + [24, 48, 49, 96, 97, 191, 192, 193, 385]

    @Test(arguments: levels.filter { $0 != .generic }, ProductBench.types)
    func `products are the generic ones`(level: Kernels.Level, type: UInt32) throws {
        let (kernels, generic) = (try kernelTable(level), try kernelTable(.generic))
        var random = FixedRandom(seed: 31)
        // Elements up to 1 give sums of about sqrt(depth) / 3. Chains of some hundred roundings in f32 are off by up to
        // 1.2e-6 of sqrt(depth) here; whole numbers are exact, and only what comes after them is rounded.
        let tolerance: Float = quire_type(type) == QUIRE_INT8 ? 6e-7 : 2.4e-6
        for depth in [1, 2, 15, 383, 384, 385, 769, 1280] {
            for outputs in [1, 15, 16, 17, 33] {
                let bench = ProductBench(
                    quire_type(type), rows: 385, depth: depth, outputs: outputs, random: &random)
                for (number, rows) in Self.rows.enumerated() {
                    // Each shape comes with and without a bias and a sum in turn.
                    let (hasBias, isAdding) = ((number + depth) % 2 == 0, (number / 2 + outputs) % 2 == 0)
                    let found = bench.run(kernels, 0..<rows, hasBias: hasBias, isAdding: isAdding)
                    let wanted = bench.run(generic, 0..<rows, hasBias: hasBias, isAdding: isAdding)
                    let error = largestError(found, wanted) / Float(depth).squareRoot()
                    #expect(
                        error <= tolerance, "\(rows) rows, depth \(depth), \(outputs) outputs: off by \(error)")
                    let line = outputs + ProductBench.gap
                    #expect(
                        found.indices.allSatisfy { $0 % line < outputs || found[$0] == ProductBench.mark })
                }
            }
        }
    }

    @Test(arguments: levels, ProductBench.types)
    func `a row gives the same to the last bit among any others`(level: Kernels.Level, type: UInt32) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 32)
        for depth in [7, 384, 769] {
            let bench = ProductBench(
                quire_type(type), rows: 385, depth: depth, outputs: 33, random: &random)
            let line = 33 + ProductBench.gap
            let all = bench.run(kernels, 0..<385, hasBias: true, isAdding: true)
            for rows in [
                0..<1, 5..<7, 11..<13, 0..<13, 12..<37, 0..<48, 3..<52, 0..<97, 190..<194, 192..<385, 384..<385,
            ] {
                let some = bench.run(kernels, rows, hasBias: true, isAdding: true)
                #expect(some == Array(all[rows.lowerBound * line..<rows.upperBound * line]), "rows \(rows)")
            }
        }
    }

    @Test(arguments: levels)
    func `whole numbers are multiplied without any error`(level: Kernels.Level) throws {
        let (kernels, generic) = (try kernelTable(level), try kernelTable(.generic))
        var random = FixedRandom(seed: 33)
        for depth in [1, 2, 15, 385, 1280, 6848] {
            let bench = ProductBench(QUIRE_INT8, rows: 26, depth: depth, outputs: 33, random: &random)
            for rows in [1, 5, 6, 12, 13, 26] {
                // Equal sums times equal scales: there is no rounding left to differ in.
                #expect(
                    bench.run(kernels, 0..<rows) == bench.run(generic, 0..<rows),
                    "depth \(depth), \(rows) rows")
            }
        }
    }

    @Test(arguments: levels, [1, 2, 3, 515, 516, 517, 896, 1280, 6848, 100_001])
    func `sums of the largest whole numbers do not overflow`(level: Kernels.Level, depth: Int) throws {
        let kernels = try kernelTable(level)
        var random = FixedRandom(seed: 34)
        var bench = ProductBench(QUIRE_INT8, rows: 2, depth: depth, outputs: 17, random: &random)
        let limit = ProductBench.limit(depth)
        bench.rowScales = [1, 1]
        bench.columnScales = Array(repeating: 1, count: 32)
        for sign in [1, -1] {
            let paired = ProductBench.pairedDepth(depth)
            for place in 0..<2 * paired where place % paired < depth {
                bench.quantised[place] = Int16(sign * limit)
            }
            bench.panels = Array(repeating: 127, count: bench.panels.count)
            let found = bench.run(kernels, 0..<2)
            let wanted = Float(sign * limit * 127 * depth)
            #expect(
                found.enumerated().allSatisfy { $0.offset % 20 >= 17 || $0.element == wanted },
                "\(found[0])")
        }
    }

    @Test(arguments: levels, [256, 1280, 6848, 16384])
    func `int8 weights and inputs at their largest give what they should`(
        level: Kernels.Level, inputs: Int
    ) throws {
        let cpu = CPUBackend(threads: 2, precision: .int8, kernels: try #require(Kernels(level: level)))
        let ones = TestTensor("w", [17, inputs], Array(repeating: 1, count: 17 * inputs))
        let weight = try cpu.weight(
            stacking: [.init(name: "w", type: .float32, shape: ones.shape, bytes: ones.bytes)],
            isExact: false)
        for value in [Float(3), -3] {
            let x = cpu.upload(Array(repeating: value, count: 2 * inputs), rows: 2, columns: inputs)
            for y in cpu.download(cpu.linear(x, weight, bias: nil)) {
                #expect(abs(y / (value * Float(inputs)) - 1) < 1e-6)
            }
        }
    }

    @Test(arguments: levels)
    func `more threads than there is work change nothing`(level: Kernels.Level) throws {
        for precision in Precision.allCases {
            let backends = try [1, 2, 64].map {
                CPUBackend(threads: $0, precision: precision, kernels: try #require(Kernels(level: level)))
            }
            for (rows, inputs, outputs) in [
                (1, 1, 1), (1, 4000, 40), (3, 300, 300), (200, 70, 33), (385, 33, 17),
            ] {
                var random = FixedRandom(seed: 35)
                let values = random.floats(rows * inputs)
                let tensor = TestTensor("w", [outputs, inputs], random.floats(outputs * inputs))
                let stored = Checkpoint.Tensor(
                    name: "w", type: .float32, shape: tensor.shape, bytes: tensor.bytes)
                let results = try backends.map { cpu in
                    let x = cpu.upload(values, rows: rows, columns: inputs)
                    return cpu.download(
                        cpu.linear(x, try cpu.weight(stacking: [stored], isExact: false), bias: nil))
                }
                #expect(results[0] == results[1] && results[0] == results[2])
            }
        }
    }
}
