import Inference

/// The n-gram rule and the choice of tokens, exactly as on the processor.
extension KernelCase {
    static var choices: [KernelCase] {
        var cases: [KernelCase] = []
        for (size, window) in [(2, nil), (3, 8), (4, 40), (30, 90), (1, 5), (5, 0)] as [(Int, Int?)] {
            cases.append(ngrams(size: size, window: window))
        }
        for (tile, threads) in tiles {
            cases.append(choosing(tile: tile, threads: threads, isBanned: false))
            cases.append(choosing(tile: tile, threads: threads, isBanned: true))
        }
        cases.append(everythingBanned)
        return cases
    }

    private static func ngrams(size: Int, window: Int?) -> KernelCase {
        let name = "ban_ngrams of \(size) in \(window.map { "the last \($0)" } ?? "all")"
        return KernelCase(name, limit: exact) { (bench) throws(InferenceError) in
            // Few different tokens, so that n-grams come again; some histories repeat a stretch over and over.
            let capacity = 160
            var histories = (0..<24).map { number -> [Int] in
                let length = [0, 1, size - 1, size, size + 1, 150][number % 6]
                let period = number % 4 == 3 ? 1 + bench.integer(below: 40) : 0
                var tokens: [Int] = []
                for i in 0..<length {
                    tokens.append(period > 0 && i >= period ? tokens[i - period] : bench.integer(below: 3))
                }
                return tokens
            }
            // An n-gram that begins with the window's first token, and one that begins before it.
            if let window, window >= size {
                for period in [window - size + 1, window - size + 2] {
                    histories.append((0..<150).map { 10 + $0 % period })
                }
            }
            let rule = NgramRule(size: size, window: window, exempt: [1, 99])
            var (plans, flat): ([Int], [Int]) = ([], [])
            for history in histories {
                guard let ban = rule.ban(after: history.map { Int32($0) }) else {
                    plans += [0, 0, 0, 0]
                    continue
                }
                plans += [flat.count, ban.history.count, ban.exempt.count, ban.size]
                flat += ban.history.map { Int($0) } + ban.exempt.map { Int($0) }
            }
            let (plan, tokens) = (try bench.integers(plans), try bench.integers(flat))
            let banned = try bench.results(bytes: histories.count * capacity * 4)
            let counts = try bench.results(bytes: histories.count * 4)
            try bench.launch(
                "ban_ngrams", grid: (histories.count, 1, 1), threads: 32,
                [plan.argument, tokens.argument, banned.argument, counts.argument, .int(capacity)])
            let found = try bench.readIntegers(counts, histories.count)
            let lists = try bench.readIntegers(banned, histories.count * capacity)
            var wrong = 0.0
            for (number, history) in histories.enumerated() {
                let list = lists[number * capacity..<number * capacity + found[number]]
                if Set(list.map { Int32($0) }) != rule.banned(history.map { Int32($0) }) { wrong += 1 }
            }
            return wrong
        }
    }

    /// Whole numbers, so that sums are exact and many scores tie.
    private static func choosing(tile: Int, threads: Int, isBanned: Bool) -> KernelCase {
        KernelCase("choose_\(tile)\(isBanned ? " with bans" : ""), many ties", limit: exact) {
            (bench) throws(InferenceError) in
            let (rows, inputs, outputs, capacity) = (tile + 1, 16, 392, 8)
            let x = bench.wholeNumbers(rows * inputs, upTo: 1)
            let w = bench.wholeNumbers(outputs * inputs, upTo: 1)
            let scores = multiplied(x, w, rows: rows, inputs: inputs, outputs: outputs)
            func best(_ row: Int, _ bans: [Int]) -> Int {
                let allowed = (0..<outputs).filter { !bans.contains($0) }
                return allowed.max { (scores[row * outputs + $0], -$0) < (scores[row * outputs + $1], -$1) } ?? 0
            }
            // The best ones are banned, one after the other, so that bans count.
            let bans = (0..<rows).map { row -> [Int] in
                guard isBanned else { return [] }
                return (0..<row % capacity).reduce(into: []) { bans, _ in bans.append(best(row, bans)) }
            }
            let lists = try bench.integers(bans.flatMap { $0 + Array(repeating: -1, count: capacity - $0.count) })
            let counts = try bench.integers(bans.map(\.count))
            let found = try choose(
                bench, tile: tile, threads: threads, x: x, w: w, lists: lists, counts: counts, capacity: capacity,
                rows: rows, inputs: inputs, outputs: outputs)
            return KernelBench.differences(found, (0..<rows).map { best($0, bans[$0]) })
        }
    }

    private static var everythingBanned: KernelCase {
        KernelCase("choose_16 where everything is banned", limit: exact) { (bench) throws(InferenceError) in
            let lists = try bench.integers((0..<8).map { $0 })
            let counts = try bench.integers([8])
            let found = try choose(
                bench, tile: 16, threads: 128, x: bench.numbers(8), w: bench.numbers(64), lists: lists,
                counts: counts, capacity: 8, rows: 1, inputs: 8, outputs: 8)
            return KernelBench.differences(found, [0])
        }
    }

    private static func choose(
        _ bench: KernelBench, tile: Int, threads: Int, x: [Float], w: [Float], lists: DeviceMemory,
        counts: DeviceMemory, capacity: Int, rows: Int, inputs: Int, outputs: Int
    ) throws(InferenceError) -> [Int] {
        let (a, b) = (try bench.narrow(x), try bench.narrow(w))
        let across = (outputs + 127) / 128
        let scores = try bench.results(bytes: rows * across * 4)
        let tokens = try bench.results(bytes: rows * across * 4)
        let result = try bench.results(bytes: rows * 4)
        try bench.launch(
            "choose_\(tile)", grid: (across, (rows + tile - 1) / tile, 1), threads: threads, shared: tileShared(tile),
            [
                a.argument, b.argument, lists.argument, counts.argument, .int(capacity), scores.argument,
                tokens.argument, .int(rows), .int(inputs), .int(outputs),
            ])
        try bench.launch(
            "choose_best", grid: (rows, 1, 1), threads: 32,
            [scores.argument, tokens.argument, .int(across), result.argument])
        return try bench.readIntegers(result, rows)
    }
}
