import Inference
import Testing

/// Every operation of the CPU backend against the plain one, with every instruction set that this processor runs.
@Suite struct CPUBackendTests {
    static let levels = Kernels.Level.allCases.filter { Kernels(level: $0) != nil }

    /// One backend to test beside the reference, and numbers to test it with.
    private struct Bench {
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

        mutating func weight(
            _ outputs: Int, _ inputs: Int, type: ElementType = .float32
        ) -> (CPUWeight, ReferenceTensor) {
            let values = random.floats(outputs * inputs)
            let tensor = TestTensor("w", [outputs, inputs], values, type: type)
            let stored = Checkpoint.Tensor(name: "w", type: type, shape: tensor.shape, bytes: tensor.bytes)
            return (cpu.weight(stored), plain.weight(stored))
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

    @Test(arguments: levels, ElementType.allCases)
    func `products are right for few and many rows of any width`(level: Kernels.Level, type: ElementType) throws {
        var bench = try Bench(level)
        for (rows, inputs, outputs) in [
            (1, 1, 1), (1, 67, 33), (3, 40, 300), (5, 131, 17), (8, 16, 9), (9, 31, 130), (300, 24, 5),
        ] {
            let x = bench.matrix(rows, inputs)
            let weight = bench.weight(outputs, inputs, type: type)
            let bias = bench.matrix(1, outputs)
            bench.expectEqual(bench.cpu.linear(x.0, weight.0, bias: nil), bench.plain.linear(x.1, weight.1, bias: nil))
            bench.expectEqual(
                bench.cpu.linear(x.0, weight.0, bias: bias.0), bench.plain.linear(x.1, weight.1, bias: bias.1))
            var sum = bench.matrix(rows, outputs)
            bench.cpu.addLinear(x.0, weight.0, bias: bias.0, to: &sum.0)
            bench.plain.addLinear(x.1, weight.1, bias: bias.1, to: &sum.1)
            bench.expectEqual(sum.0, sum.1)
        }
    }

    @Test func `weights at an odd address are read like others`() throws {
        let bench = try Bench(.generic)
        let folder = try ModelFolder()
        for padding in 0..<4 {
            let tensors = ModelFolder.tensors(type: padding % 2 == 0 ? .float32 : .bfloat16)
            try folder.write(ModelFolder.file(tensors, padding: padding), to: "model.safetensors")
            let checkpoint = try Checkpoint(directory: folder.path, configuration: ModelFolder.configuration)
            let head = try checkpoint.tensor("lm_head.weight")
            let x = bench.cpu.upload(Array(repeating: 0.5, count: 10 * 8), rows: 10, columns: 8)
            let y = bench.plain.upload(Array(repeating: 0.5, count: 10 * 8), rows: 10, columns: 8)
            bench.expectEqual(
                bench.cpu.linear(x, bench.cpu.weight(head), bias: nil),
                bench.plain.linear(y, bench.plain.weight(head), bias: nil))
        }
    }

    @Test(arguments: levels)
    func `norms and activations are right for rows of any width`(level: Kernels.Level) throws {
        var bench = try Bench(level)
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
            var (a, b) = x
            bench.cpu.gelu(&a)
            bench.plain.gelu(&b)
            bench.expectEqual(a, b)
            (a, b) = x
            bench.cpu.quickGELU(&a)
            bench.plain.quickGELU(&b)
            bench.expectEqual(a, b)
            (a, b) = x
            let up = bench.matrix(5, columns)
            bench.cpu.siluMultiply(&a, by: up.0)
            bench.plain.siluMultiply(&b, by: up.1)
            bench.expectEqual(a, b)
            bench.expectEqual(x.0, x.1)
        }
    }

    @Test(arguments: levels)
    func `activations of very large values are finite and right`(level: Kernels.Level) throws {
        let bench = try Bench(level)
        let values: [Float] = [-1e4, -200, -89, -88, -20, -1e-4, 0, 1e-4, 20, 88, 89, 200, 1e4]
        for operation in 0..<3 {
            for value in values {
                var a = bench.cpu.upload([value], rows: 1, columns: 1)
                var b = bench.plain.upload([value], rows: 1, columns: 1)
                switch operation {
                case 0:
                    bench.cpu.gelu(&a)
                    bench.plain.gelu(&b)
                case 1:
                    bench.cpu.quickGELU(&a)
                    bench.plain.quickGELU(&b)
                default:
                    bench.cpu.siluMultiply(&a, by: bench.cpu.upload([1], rows: 1, columns: 1))
                    bench.plain.siluMultiply(&b, by: bench.plain.upload([1], rows: 1, columns: 1))
                }
                let (found, wanted) = (bench.cpu.download(a)[0], b.values[0])
                #expect(
                    abs(found - wanted) <= 1e-30 + 2e-6 * max(abs(wanted), abs(value) * 1e-1), "of \(value): \(found)")
            }
        }
    }

    @Test(arguments: levels, [(1, 4, 2), (17, 6, 3), (300, 4, 1)])
    func `attention over blocks of queries is right`(
        level: Kernels.Level, size: (tokens: Int, channels: Int, heads: Int)
    ) throws {
        var bench = try Bench(level)
        let qkv = bench.matrix(2 * size.tokens, 3 * size.channels, times: 3)
        bench.expectEqual(
            bench.cpu.attention(qkv.0, batches: 2, heads: size.heads),
            bench.plain.attention(qkv.1, batches: 2, heads: size.heads))
    }

    @Test(arguments: levels, [(4, 2), (7, 3), (6, 8), (14, 14), (17, nil), (3, nil)] as [(Int, Int?)])
    func `grid attention is right in windows with padding and over the whole grid`(
        level: Kernels.Level, size: (side: Int, window: Int?)
    ) throws {
        var bench = try Bench(level)
        let (heads, width) = (2, 5)
        let n = size.window ?? size.side
        let qkv = bench.matrix(2 * size.side * size.side, 3 * heads * width, times: 2)
        let padding = bench.matrix(1, 3 * heads * width)
        let height = bench.matrix(2 * n - 1, width)
        let across = bench.matrix(2 * n - 1, width)
        bench.expectEqual(
            bench.cpu.gridAttention(
                qkv.0,
                GridAttention(
                    batches: 2, side: size.side, heads: heads, window: size.window, padding: padding.0,
                    relativeHeight: height.0, relativeWidth: across.0)),
            bench.plain.gridAttention(
                qkv.1,
                GridAttention(
                    batches: 2, side: size.side, heads: heads, window: size.window, padding: padding.1,
                    relativeHeight: height.1, relativeWidth: across.1)))
    }

    @Test(arguments: levels, [(4, 4), (6, 2)])
    func `causal attention sees the cache and itself, in long and short steps`(
        level: Kernels.Level, heads: (query: Int, key: Int)
    ) throws {
        var bench = try Bench(level)
        let width = 6
        var a = bench.cpu.makeCache(layers: 2, keyValueHeads: heads.key, headWidth: width, capacity: 280)
        var b = bench.plain.makeCache(layers: 2, keyValueHeads: heads.key, headWidth: width, capacity: 150)
        for tokens in [270, 1, 3, 1] {
            var query = bench.matrix(tokens, heads.query * width, times: 2)
            let key = bench.matrix(tokens, heads.key * width)
            let value = bench.matrix(tokens, heads.key * width)
            let start = bench.cpu.count(of: a, layer: 1)
            bench.cpu.rotate(&query.0, heads: heads.query, start: start, theta: 10_000)
            bench.plain.rotate(&query.1, heads: heads.query, start: start, theta: 10_000)
            bench.expectEqual(
                bench.cpu.causalAttention(
                    query: query.0, key: key.0, value: value.0, cache: &a, layer: 1, heads: heads.query),
                bench.plain.causalAttention(
                    query: query.1, key: key.1, value: value.1, cache: &b, layer: 1, heads: heads.query))
        }
        #expect(bench.cpu.count(of: a, layer: 0) == 0 && bench.cpu.count(of: a, layer: 1) == 275)
        let (found, wanted) = (bench.cpu.contents(of: a, layer: 1), bench.plain.contents(of: b, layer: 1))
        bench.expectEqual(found.keys, wanted.keys)
        bench.expectEqual(found.values, wanted.values)
    }

    @Test(arguments: [(5, 1), (5, 2), (12, 2), (1, 2)])
    func `convolutions pad by one and stride`(size: (side: Int, stride: Int)) throws {
        var bench = try Bench(.generic)
        for type in [ElementType.float32, .bfloat16] {
            let x = bench.matrix(2 * size.side * size.side, 3)
            let weight = bench.weight(4, 27, type: type)
            bench.expectEqual(
                bench.cpu.convolve3x3(x.0, weight.0, batches: 2, side: size.side, stride: size.stride),
                bench.plain.convolve3x3(x.1, weight.1, batches: 2, side: size.side, stride: size.stride))
        }
    }

    @Test func `matrices are built alike`() throws {
        var bench = try Bench(.generic)
        let (a, b, c) = (bench.matrix(3, 5), bench.matrix(2, 5), bench.matrix(3, 4))
        bench.expectEqual(
            bench.cpu.gatherRows([4, 0, 2, 2, 3], from: [a.0, b.0]),
            bench.plain.gatherRows([4, 0, 2, 2, 3], from: [a.1, b.1]))
        bench.expectEqual(bench.cpu.joinColumns(a.0, c.0), bench.plain.joinColumns(a.1, c.1))
        let (matrix, blocks) = (bench.matrix(7, 3), bench.matrix(6, 5))
        bench.expectEqual(
            bench.cpu.multiply(matrix.0, blocksOf: blocks.0, batches: 2),
            bench.plain.multiply(matrix.1, blocksOf: blocks.1, batches: 2))
        let table = bench.weight(9, 6, type: .bfloat16)
        bench.expectEqual(bench.cpu.embed([8, 0, 8], table: table.0), bench.plain.embed([8, 0, 8], table: table.1))
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
        var bench = try Bench(level)
        for type in [ElementType.float32, .bfloat16] {
            let x = bench.matrix(rows, 12)
            let gate = bench.weight(7, 12, type: type)
            let experts = (0..<7).map { _ in
                (bench.weight(9, 12, type: type), bench.weight(9, 12, type: type), bench.weight(12, 9, type: type))
            }
            for normalised in [false, true] {
                let a = bench.cpu.route(x.0, gate: gate.0, count: 3, normalised: normalised, scale: 1.5)
                let b = bench.plain.route(x.1, gate: gate.1, count: 3, normalised: normalised, scale: 1.5)
                #expect(bench.cpu.contents(of: a).indices == b.indices)
                bench.expectEqual(bench.cpu.contents(of: a).weights, b.weights)
                var sum = bench.matrix(rows, 12)
                bench.cpu.addExperts(
                    x.0, a, experts.map { GatedMLP(gate: $0.0.0, up: $0.1.0, down: $0.2.0) }, to: &sum.0)
                bench.plain.addExperts(
                    x.1, b, experts.map { GatedMLP(gate: $0.0.1, up: $0.1.1, down: $0.2.1) }, to: &sum.1)
                bench.expectEqual(sum.0, sum.1)
            }
        }
    }

    @Test func `ties go to the lowest index, in routing and in choice`() throws {
        let bench = try Bench(.generic)
        let zero = Checkpoint.Tensor(name: "w", type: .float32, shape: [6, 2], bytes: Array(repeating: 0, count: 48))
        let x = bench.cpu.upload([1, 2], rows: 1, columns: 2)
        let routing = bench.cpu.route(x, gate: bench.cpu.weight(zero), count: 4, normalised: false, scale: 1)
        #expect(bench.cpu.contents(of: routing).indices == [0, 1, 2, 3])
        let scores = bench.cpu.upload([0, 9, 3, 9, 1, 0, 7, 7], rows: 2, columns: 4)
        #expect(bench.cpu.argmax(scores, row: 0, banned: []) == 1)
        #expect(bench.cpu.argmax(scores, row: 0, banned: [1]) == 3)
        #expect(bench.cpu.argmax(scores, row: 1, banned: [2, 3]) == 0)
    }

    @Test func `the number of threads changes nothing but the time`() throws {
        var one = try Bench(.generic, threads: 1)
        var many = try Bench(.generic, threads: 5)
        let weight = (one.weight(70, 33).0, many.weight(70, 33).0)
        let x = (one.matrix(700, 33).0, many.matrix(700, 33).0)
        one.expectEqual(
            one.cpu.download(one.cpu.linear(x.0, weight.0, bias: nil)),
            many.cpu.download(many.cpu.linear(x.1, weight.1, bias: nil)))
    }
}
