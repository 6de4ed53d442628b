import Glibc
import Inference

/// The router, the sort by expert and the products with experts.
extension KernelCase {
    static var experts: [KernelCase] {
        var cases = [
            routing("random", rows: 11, inputs: 72, experts: 64, count: 6, isNormalised: false),
            routing("normalised", rows: 3, inputs: 40, experts: 8, count: 3, isNormalised: true),
            routing("all tied", rows: 2, inputs: 16, experts: 64, count: 6, isNormalised: false, isTied: true),
        ]
        for choice in ExpertChoice.allCases {
            for (tile, threads) in tiles {
                cases.append(mixture(choice, tile: tile, threads: threads))
            }
            cases.append(sorting(choice))
        }
        return cases
    }

    /// How rows choose their experts.
    private enum ExpertChoice: String, CaseIterable, Sendable {
        case random = "any experts"
        case few = "most experts empty"
        case one = "all to one expert"

        func experts(_ bench: KernelBench, rows: Int, of experts: Int, count: Int) -> [Int] {
            (0..<rows).flatMap { row -> [Int] in
                switch self {
                case .random:
                    var all = (0..<experts).map { $0 }
                    return (0..<count).map { _ in all.remove(at: bench.integer(below: all.count)) }
                case .few: return (0..<count).map { $0 == 0 ? experts - 1 : 2 }
                case .one: return Array(repeating: 3, count: count)
                }
            }
        }
    }

    private static func routing(
        _ name: String, rows: Int, inputs: Int, experts: Int, count: Int, isNormalised: Bool, isTied: Bool = false
    ) -> KernelCase {
        KernelCase("route_rows, \(name)", limit: 1e-5) { (bench) throws(InferenceError) in
            let x = bench.numbers(rows * inputs)
            // Ties are exact only where all sums are.
            let gate = isTied ? Array(repeating: Float(0.5), count: experts * inputs) : bench.numbers(experts * inputs)
            let (a, g) = (try bench.narrow(x), try bench.wide(gate))
            let indices = try bench.results(bytes: rows * count * 4)
            let weights = try bench.results(bytes: rows * count * 4)
            try bench.launch(
                "route_rows", grid: ((rows + 7) / 8, 1, 1), threads: 256, shared: 8 * (inputs + experts) * 4,
                [
                    a.argument, g.argument, indices.argument, weights.argument, .int(rows), .int(inputs),
                    .int(experts), .int(count), .int(isNormalised ? 1 : 0), .float(1.5),
                ])
            let scores = multiplied(x, gate, rows: rows, inputs: inputs, outputs: experts)
            var (best, chances): ([Int], [Double]) = ([], [])
            for row in 0..<rows {
                let line = Array(scores[row * experts..<(row + 1) * experts])
                let most = line.max() ?? 0
                let powers = line.map { exp($0 - most) }
                let sum = powers.reduce(0, +)
                let order = powers.indices.sorted { (-powers[$0], $0) < (-powers[$1], $1) }.prefix(count)
                let total = isNormalised ? order.reduce(0) { $0 + powers[$1] / sum } : 1
                best += order
                chances += order.map { powers[$0] / sum / total * 1.5 }
            }
            let wrong = KernelBench.differences(try bench.readIntegers(indices, rows * count), best)
            return wrong + KernelBench.error(try weights.read(Float.self, rows * count), chances)
        }
    }

    private static func sorting(_ choice: ExpertChoice) -> KernelCase {
        KernelCase("sort_by_expert, \(choice.rawValue)", limit: exact) { (bench) throws(InferenceError) in
            let (experts, tile) = (16, 16)
            let chosen = choice.experts(bench, rows: 131, of: experts, count: 3)
            let sorted = try SortedSlots(bench, chosen, experts: experts, tile: tile)
            let order = chosen.indices.sorted { (chosen[$0], $0) < (chosen[$1], $1) }
            var places = Array(repeating: 0, count: chosen.count)
            for (place, slot) in order.enumerated() { places[slot] = place }
            var (offsets, tiles) = ([0], [Int]())
            for expert in 0..<experts {
                let (first, count) = (offsets[expert], chosen.count { $0 == expert })
                offsets.append(first + count)
                for start in stride(from: 0, to: count, by: tile) { tiles += [expert, first + start] }
            }
            while tiles.count < 2 * sorted.tileCount { tiles += [-1, 0] }
            return KernelBench.differences(try bench.readIntegers(sorted.order, chosen.count), order)
                + KernelBench.differences(try bench.readIntegers(sorted.places, chosen.count), places)
                + KernelBench.differences(try bench.readIntegers(sorted.offsets, experts + 1), offsets)
                + KernelBench.differences(try bench.readIntegers(sorted.tiles, tiles.count), tiles)
        }
    }

    /// What `sort_by_expert` leaves.
    private struct SortedSlots {
        let order, places, offsets, tiles: DeviceMemory
        let tileCount: Int

        init(_ bench: KernelBench, _ chosen: [Int], experts: Int, tile: Int) throws(InferenceError) {
            tileCount = chosen.count / tile + experts
            let slots = try bench.integers(chosen)
            order = try bench.results(bytes: chosen.count * 4)
            places = try bench.results(bytes: chosen.count * 4)
            offsets = try bench.results(bytes: (experts + 1) * 4)
            tiles = try bench.results(bytes: tileCount * 8)
            try bench.launch(
                "sort_by_expert", grid: (experts, 1, 1), threads: 256, shared: 2 * experts * 4,
                [
                    slots.argument, .int(chosen.count), .int(experts), .int(tile), offsets.argument, order.argument,
                    places.argument, tiles.argument, .int(tileCount),
                ])
        }
    }

    /// Sort, both products and the weighted sum: the whole of a layer's experts.
    private static func mixture(_ choice: ExpertChoice, tile: Int, threads: Int) -> KernelCase {
        KernelCase("experts in tiles of \(tile), \(choice.rawValue)", limit: 0.01) { (bench) throws(InferenceError) in
            let (rows, inputs, inner, experts, count) = (13, 72, 40, 8, 3)
            let chosen = choice.experts(bench, rows: rows, of: experts, count: count)
            let weights = bench.numbers(rows * count)
            let x = bench.numbers(rows * inputs)
            let before = bench.numbers(rows * inputs)
            let ups = (0..<experts).map { _ in bench.numbers(2 * inner * inputs) }
            let downs = (0..<experts).map { _ in bench.numbers(inputs * inner) }
            let sorted = try SortedSlots(bench, chosen, experts: experts, tile: tile)
            var memory: [DeviceMemory] = []
            for up in ups { memory.append(try bench.narrow(interleaved(up, inputs: inputs))) }
            for down in downs { memory.append(try bench.narrow(down)) }
            let upTable = try DeviceMemory(bench.device, memory[..<experts].map(\.address))
            let downTable = try DeviceMemory(bench.device, memory[experts...].map(\.address))
            let (input, sum) = (try bench.narrow(x), try bench.wide(before))
            let hidden = try bench.results(bytes: rows * count * inner * 2)
            let results = try bench.results(bytes: rows * count * inputs * 2)
            let shared = tileShared(tile)
            try bench.launch(
                "experts_up_\(tile)", grid: (1, sorted.tileCount, 1), threads: threads, shared: shared,
                [
                    input.argument, sorted.order.argument, upTable.argument, sorted.tiles.argument,
                    sorted.offsets.argument, hidden.argument, .int(inputs), .int(2 * inner), .int(count),
                ])
            try bench.launch(
                "experts_down_\(tile)", grid: (1, sorted.tileCount, 1), threads: threads, shared: shared,
                [
                    hidden.argument, downTable.argument, sorted.tiles.argument, sorted.offsets.argument,
                    results.argument, .int(inner), .int(inputs),
                ])
            let factors = try bench.wide(weights)
            try bench.launch(
                "gather_experts", grid: (1, rows, 1), threads: 128,
                [
                    sum.argument, results.argument, sorted.places.argument, factors.argument, .int(count),
                    .int(inputs),
                ])
            var wanted = before.map { Double($0) }
            for slot in chosen.indices {
                let (row, expert) = (slot / count, chosen[slot])
                let line = Array(x[row * inputs..<(row + 1) * inputs])
                let both = multiplied(line, ups[expert], rows: 1, inputs: inputs, outputs: 2 * inner)
                let middle = gated(both, inner: inner).map { Float($0) }
                let out = multiplied(middle, downs[expert], rows: 1, inputs: inner, outputs: inputs)
                for i in 0..<inputs { wanted[row * inputs + i] += Double(weights[slot]) * out[i] }
            }
            withExtendedLifetime(memory) {}
            return KernelBench.error(try sum.read(Float.self, rows * inputs), wanted)
        }
    }
}
