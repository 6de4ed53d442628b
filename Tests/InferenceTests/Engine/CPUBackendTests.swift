import Glibc
import Inference
import Testing

/// Every operation of the CPU backend against the plain one, with every instruction set that this processor runs.
@Suite struct CPUBackendTests {
    static let levels = Kernels.Level.allCases.filter { Kernels(level: $0) != nil }

    @Test(arguments: levels, ElementType.allCases)
    func `products are right for few and many rows of any width`(level: Kernels.Level, type: ElementType) throws {
        var bench = try BackendBench(level)
        for (rows, inputs, outputs) in [
            (1, 1, 1), (1, 67, 33), (3, 40, 300), (5, 131, 17), (8, 16, 9), (9, 31, 130), (300, 24, 5),
        ] {
            let x = bench.matrix(rows, inputs)
            let weight = try bench.weight(outputs, inputs, type: type)
            let bias = bench.matrix(1, outputs)
            for activation in [nil, Activation.gelu, .quickGELU] {
                bench.expectEqual(
                    bench.cpu.linear(x.0, weight.0, bias: nil, then: activation),
                    bench.plain.linear(x.1, weight.1, bias: nil, then: activation))
            }
            bench.expectEqual(
                bench.cpu.linear(x.0, weight.0, bias: bias.0), bench.plain.linear(x.1, weight.1, bias: bias.1))
            var sum = bench.matrix(rows, outputs)
            bench.cpu.addLinear(x.0, weight.0, bias: bias.0, to: &sum.0)
            bench.plain.addLinear(x.1, weight.1, bias: bias.1, to: &sum.1)
            bench.expectEqual(sum.0, sum.1)
        }
    }

    @Test func `weights at an odd address are read like others`() throws {
        let bench = try BackendBench(.generic)
        let folder = try ModelFolder()
        for padding in 0..<4 {
            let tensors = ModelFolder.tensors(type: padding % 2 == 0 ? .float32 : .bfloat16)
            try folder.write(ModelFolder.file(tensors, padding: padding), to: "model.safetensors")
            let checkpoint = try Checkpoint(directory: folder.path, configuration: ModelFolder.configuration)
            let head = try checkpoint.tensor("lm_head.weight")
            let x = bench.cpu.upload(Array(repeating: 0.5, count: 10 * 8), rows: 10, columns: 8)
            let y = bench.plain.upload(Array(repeating: 0.5, count: 10 * 8), rows: 10, columns: 8)
            bench.expectEqual(
                bench.cpu.linear(x, try bench.cpu.weight(stacking: [head], isExact: false), bias: nil),
                bench.plain.linear(y, bench.plain.weight(stacking: [head], isExact: false), bias: nil))
            bench.expectEqual(
                bench.cpu.embed([11, 0], table: bench.cpu.table(head)),
                bench.plain.embed([11, 0], table: bench.plain.table(head)))
        }
    }

    @Test(arguments: levels)
    func `norms and activations are right for rows of any width`(level: Kernels.Level) throws {
        var bench = try BackendBench(level)
        for columns in [2, 7, 8, 15, 16, 17, 60, 100] {
            let x = bench.matrix(5, columns, times: 9)
            let weight = bench.matrix(1, columns)
            let bias = bench.matrix(1, columns)
            bench.expectEqual(
                bench.cpu.layerNorm(x.0, weight: weight.0, bias: bias.0, epsilon: 1e-2),
                bench.plain.layerNorm(x.1, weight: weight.1, bias: bias.1, epsilon: 1e-2))
            bench.expectEqual(
                bench.cpu.rmsNorm(x.0, weight: weight.0, epsilon: 1e-2),
                bench.plain.rmsNorm(x.1, weight: weight.1, epsilon: 1e-2))
            bench.expectEqual(x.0, x.1)
        }
    }

    @Test(arguments: levels, ElementType.allCases)
    func `gated products are right for few and many rows of any width`(level: Kernels.Level, type: ElementType) throws {
        var bench = try BackendBench(level)
        for (rows, outer, inner) in [(1, 1, 1), (2, 9, 15), (3, 40, 16), (7, 24, 17), (30, 33, 50), (200, 12, 33)] {
            let mlp = try bench.gatedMLP(outer, inner, type: type)
            let x = bench.matrix(rows, outer)
            var sum = bench.matrix(rows, outer)
            bench.cpu.addGated(x.0, mlp.0, to: &sum.0)
            bench.plain.addGated(x.1, mlp.1, to: &sum.1)
            bench.expectEqual(sum.0, sum.1)
        }
    }

    @Test(arguments: levels, ElementType.allCases)
    func `matrices on one another are as one, also where a panel spans two`(
        level: Kernels.Level, type: ElementType
    ) throws {
        var bench = try BackendBench(level)
        for counts in [[5, 20, 7], [16, 16], [1, 1, 1], [17, 31], [3, 2, 30, 1]] {
            let tensors = counts.map { bench.tensor($0, 19, type: type) }
            let x = bench.matrix(4, 19)
            bench.expectEqual(
                bench.cpu.linear(x.0, try bench.cpu.weight(stacking: tensors, isExact: false), bias: nil),
                bench.plain.linear(x.1, bench.plain.weight(stacking: tensors, isExact: false), bias: nil))
        }
    }

    @Test(arguments: levels)
    func `activations of very large values are finite and right`(level: Kernels.Level) throws {
        let bench = try BackendBench(level)
        let one = Checkpoint.Tensor(
            name: "w", type: .float32, shape: [1, 1], bytes: TestTensor("w", [1, 1], [1]).bytes)
        let unit = GatedMLP(
            gateUp: try bench.cpu.weight(gate: one, up: one), down: try bench.cpu.weight(stacking: [one], isExact: true)
        )
        let values: [Float] = [-1e4, -200, -89, -88, -20, -1e-4, 0, 1e-4, 20, 88, 89, 200, 1e4]
        for operation in 0..<3 {
            for value in values {
                var a = bench.cpu.upload([value], rows: 1, columns: 1)
                var b = bench.plain.upload([value], rows: 1, columns: 1)
                switch operation {
                case 0, 1:
                    let activation = operation == 0 ? Activation.gelu : .quickGELU
                    a = bench.cpu.linear(a, unit.down, bias: nil, then: activation)
                    b = bench.plain.linear(b, bench.plain.table(one), bias: nil, then: activation)
                default:
                    // With all weights 1 this is silu(x) * x.
                    let x = a
                    a = bench.cpu.upload([0], rows: 1, columns: 1)
                    bench.cpu.addGated(x, unit, to: &a)
                    b.values = [Float(Double(value) * Double(value) / (1 + exp(-Double(value))))]
                }
                let (found, wanted) = (bench.cpu.download(a)[0], b.values[0])
                // The product with the value itself is off by as much more.
                let size = operation < 2 ? abs(value) : value * value
                #expect(abs(found - wanted) <= 1e-30 + 2e-6 * max(abs(wanted), size * 1e-1), "of \(value): \(found)")
            }
        }
    }

    @Test(arguments: [(5, 1), (5, 2), (12, 2), (1, 2)])
    func `convolutions pad by one and stride`(size: (side: Int, stride: Int)) throws {
        var bench = try BackendBench(.generic)
        for type in [ElementType.float32, .bfloat16] {
            let x = bench.matrix(2 * size.side * size.side, 3)
            let weight = try bench.weight(4, 27, type: type)
            bench.expectEqual(
                bench.cpu.convolve3x3(x.0, weight.0, batches: 2, side: size.side, stride: size.stride),
                bench.plain.convolve3x3(x.1, weight.1, batches: 2, side: size.side, stride: size.stride))
        }
    }

    @Test func `matrices are built alike`() throws {
        var bench = try BackendBench(.generic)
        let (a, b, c) = (bench.matrix(3, 5), bench.matrix(2, 5), bench.matrix(3, 4))
        bench.expectEqual(
            bench.cpu.gatherRows([4, 0, 2, 2, 3], from: [a.0, b.0]),
            bench.plain.gatherRows([4, 0, 2, 2, 3], from: [a.1, b.1]))
        bench.expectEqual(bench.cpu.joinColumns(a.0, c.0), bench.plain.joinColumns(a.1, c.1))
        let (matrix, blocks) = (bench.matrix(7, 3), bench.matrix(6, 5))
        bench.expectEqual(
            bench.cpu.multiply(matrix.0, blocksOf: blocks.0, batches: 2),
            bench.plain.multiply(matrix.1, blocksOf: blocks.1, batches: 2))
        for type in ElementType.allCases {
            let table = bench.tensor(9, 6, type: type)
            bench.expectEqual(
                bench.cpu.embed([8, 0, 8], table: bench.cpu.table(table)),
                bench.plain.embed([8, 0, 8], table: bench.plain.table(table)))
        }
        var sum = bench.matrix(6, 5)
        let shared = sum.0
        bench.cpu.add(a.0, to: &sum.0)
        let before = sum.1
        bench.plain.add(a.1, to: &sum.1)
        bench.expectEqual(sum.0, sum.1)
        bench.expectEqual(shared, before)
        let view = bench.random.image(width: 64, height: 64)
        let views = Array(repeating: PreparedImage.View(side: 64, bytes: view.bytes), count: 2)
        bench.expectEqual(bench.cpu.patches(of: views, patch: 16), bench.plain.patches(of: views, patch: 16))
    }

    @Test(arguments: levels, [1, 2, 5, 90])
    func `experts get their rows, and some get none`(level: Kernels.Level, rows: Int) throws {
        var bench = try BackendBench(level)
        for type in [ElementType.float32, .bfloat16] {
            let x = bench.matrix(rows, 12)
            let gate = try bench.weight(7, 12, type: type)
            let experts = try (0..<7).map { _ in try bench.gatedMLP(12, 9, type: type) }
            // The shared experts are wider than the others.
            let shared = try bench.gatedMLP(12, 18, type: type)
            for normalised in [false, true] {
                let a = bench.cpu.route(x.0, gate: gate.0, count: 3, normalised: normalised, scale: 1.5)
                let b = bench.plain.route(x.1, gate: gate.1, count: 3, normalised: normalised, scale: 1.5)
                #expect(bench.cpu.contents(of: a).indices == b.indices)
                bench.expectEqual(bench.cpu.contents(of: a).weights, b.weights)
                var sum = bench.matrix(rows, 12)
                bench.cpu.addExperts(x.0, a, experts.map(\.0), shared: shared.0, to: &sum.0)
                bench.plain.addExperts(x.1, b, experts.map(\.1), shared: shared.1, to: &sum.1)
                bench.expectEqual(sum.0, sum.1)
            }
        }
    }

    @Test func `ties go to the lowest index, in routing and in choice`() throws {
        let bench = try BackendBench(.generic)
        let zero = Checkpoint.Tensor(name: "w", type: .float32, shape: [6, 2], bytes: Array(repeating: 0, count: 48))
        let gate = try bench.cpu.weight(stacking: [zero], isExact: true)
        let x = bench.cpu.upload([1, 2], rows: 1, columns: 2)
        let routing = bench.cpu.route(x, gate: gate, count: 4, normalised: false, scale: 1)
        #expect(bench.cpu.contents(of: routing).indices == [0, 1, 2, 3])
        // The rows of the unit matrix take the scores out of the weight's columns.
        let scores = TestTensor("w", [4, 2], [0, 1, 9, 0, 3, 7, 9, 7])
        let head = try bench.cpu.weight(
            stacking: [.init(name: "w", type: .float32, shape: [4, 2], bytes: scores.bytes)], isExact: false)
        let unit = bench.cpu.upload([1, 0, 1, 0, 0, 1], rows: 3, columns: 2)
        #expect(bench.cpu.choose(unit, head, banned: [[], [1], [2, 3]]) == [1, 3, 0])
    }

    @Test(arguments: levels, [1, 15, 17, 256, 257, 1000])
    func `the best of many outputs is found, whatever is banned`(level: Kernels.Level, outputs: Int) throws {
        for threads in [1, 3] {
            var bench = try BackendBench(level, threads: threads)
            let head = try bench.weight(outputs, 20)
            let x = bench.matrix(30, 20)
            var banned = Array(repeating: [Int32](), count: 30)
            // The products themselves are tested above; here every score counts to the last bit.
            let scores = bench.cpu.download(bench.cpu.linear(x.0, head.0, bias: nil))
            for _ in 0..<20 {
                let found = bench.cpu.choose(x.0, head.0, banned: banned)
                for row in 0..<30 {
                    let allowed = (0..<outputs).filter { !banned[row].contains(Int32($0)) }
                    let line = scores[row * outputs..<(row + 1) * outputs]
                    let best = allowed.map { line[line.startIndex + $0] }.max()
                    #expect(Int(found[row]) == allowed.first { line[line.startIndex + $0] == best })
                }
                // The best may not come again; one always may.
                for row in 0..<30 where banned[row].count < outputs - 1 { banned[row] += [found[row]] }
            }
        }
    }

    @Test func `the number of threads changes nothing but the time`() throws {
        var one = try BackendBench(.generic, threads: 1)
        var many = try BackendBench(.generic, threads: 5)
        let weight = (try one.weight(70, 33).0, try many.weight(70, 33).0)
        let x = (one.matrix(700, 33).0, many.matrix(700, 33).0)
        #expect(
            one.cpu.download(one.cpu.linear(x.0, weight.0, bias: nil))
                == many.cpu.download(many.cpu.linear(x.1, weight.1, bias: nil)))
    }
}
