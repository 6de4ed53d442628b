import Inference
import Testing

/// The CPU backend's attentions against the plain ones, with every instruction set that this processor runs.
@Suite struct CPUAttentionTests {
    @Test(arguments: CPUBackendTests.levels, [(1, 4, 2), (17, 6, 3), (300, 4, 1)])
    func `attention over blocks of queries is right`(
        level: Kernels.Level, size: (tokens: Int, channels: Int, heads: Int)
    ) throws {
        var bench = try BackendBench(level)
        let qkv = bench.matrix(2 * size.tokens, 3 * size.channels, times: 3)
        bench.expectEqual(
            bench.cpu.attention(qkv.0, batches: 2, heads: size.heads),
            bench.plain.attention(qkv.1, batches: 2, heads: size.heads))
    }

    @Test(arguments: CPUBackendTests.levels, [(4, 2), (7, 3), (6, 8), (14, 14), (17, nil), (3, nil)] as [(Int, Int?)])
    func `grid attention is right in windows with padding and over the whole grid`(
        level: Kernels.Level, size: (side: Int, window: Int?)
    ) throws {
        var bench = try BackendBench(level)
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

    @Test(arguments: CPUBackendTests.levels, [(4, 4), (6, 2)])
    func `causal attention sees the cache and itself, in long and short steps`(
        level: Kernels.Level, heads: (query: Int, key: Int)
    ) throws {
        var bench = try BackendBench(level)
        let width = 6
        let attention = CausalAttention(layer: 1, heads: heads.query, keyValueHeads: heads.key, theta: 10_000)
        let pools = (
            bench.cpu.makePool(layers: 2, keyValueHeads: heads.key, headWidth: width, tokens: 600, context: 600),
            bench.plain.makePool(layers: 2, keyValueHeads: heads.key, headWidth: width, tokens: 600, context: 600)
        )
        let a = (0..<2).map { _ in bench.cpu.makeCache(in: pools.0) }
        let b = (0..<2).map { _ in bench.plain.makeCache(in: pools.1) }
        var totals = [0, 0]
        for tokens in [[270, 3], [1, 1], [3, 70], [1, 1]] {
            for i in 0..<2 {
                totals[i] += tokens[i]
                #expect(bench.cpu.reserve(totals[i], in: a[i]) && bench.plain.reserve(totals[i], in: b[i]))
            }
            let qkv = bench.matrix(tokens[0] + tokens[1], (heads.query + 2 * heads.key) * width, times: 2)
            bench.expectEqual(
                bench.cpu.causalAttention(
                    qkv.0, bench.cpu.makeStep(StepInput(rows: tokens, caches: a)), attention),
                bench.plain.causalAttention(
                    qkv.1, bench.plain.makeStep(StepInput(rows: tokens, caches: b)), attention))
        }
        for i in 0..<2 {
            #expect(bench.cpu.contents(of: a[i], layer: 0).keys.isEmpty && bench.cpu.count(of: a[i]) == [275, 75][i])
            let (found, wanted) = (bench.cpu.contents(of: a[i], layer: 1), bench.plain.contents(of: b[i], layer: 1))
            bench.expectEqual(found.keys, wanted.keys)
            bench.expectEqual(found.values, wanted.values)
        }
    }
}
