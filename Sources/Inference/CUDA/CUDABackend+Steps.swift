/// The decoder's steps.
extension CUDABackend {
    package func makePool(layers: Int, keyValueHeads: Int, headWidth: Int, tokens: Int, context: Int) -> CUDAPool {
        CUDAPool(
            self.context, layers: layers, heads: keyValueHeads, width: headWidth, tokens: tokens, most: context)
    }

    package func makeCache(in pool: CUDAPool) -> CUDACache { CUDACache(pool) }

    package func count(of cache: CUDACache) -> Int { cache.count }

    package func reserve(_ tokens: Int, in cache: CUDACache) -> Bool { cache.reserve(tokens) }

    package func contents(of cache: CUDACache, layer: Int) -> (keys: [Float], values: [Float]) {
        func elements(from address: UInt64) -> [Float] {
            let pool = cache.pool
            let ofHead = CUDAPool.pageTokens * pool.width
            var elements = Array(repeating: Float(0), count: pool.heads * cache.count * pool.width)
            for (number, page) in cache.pages.enumerated() {
                let first = number * CUDAPool.pageTokens
                let tokens = min(CUDAPool.pageTokens, cache.count - first)
                guard tokens > 0 else { break }
                let found = read(UInt16.self, pool.heads * ofHead, from: address + UInt64(Int(page) * pool.pageBytes))
                for head in 0..<pool.heads {
                    for place in 0..<tokens * pool.width {
                        elements[(head * cache.count + first) * pool.width + place] =
                            found.map { BFloat.value($0[head * ofHead + place]) } ?? 0
                    }
                }
            }
            return elements
        }
        return (elements(from: cache.pool.keys(layer: layer)), elements(from: cache.pool.values(layer: layer)))
    }

    package func makeStep(_ input: StepInput<CUDACache>) -> CUDAStep { CUDAStep(input, on: self) }

    package func embed(_ step: CUDAStep, table: CUDAWeight) -> CUDATensor {
        precondition(step.input.ids.allSatisfy { $0 >= 0 && Int($0) < table.outputs }, "an id is a row of the table")
        return embed(at: step.location(step.form.ids), count: step.form.rows, table: table)
    }

    package func causalAttention(_ qkv: CUDATensor, _ step: CUDAStep, _ attention: CausalAttention) -> CUDATensor {
        let (heads, keyHeads, form) = (attention.heads, attention.keyValueHeads, step.form)
        let width = qkv.columns / (heads + 2 * keyHeads)
        guard let pool = step.pool else { preconditionFailure("there are sequences") }
        precondition(pool.width == width && pool.heads == keyHeads, "keys fit the pool")
        precondition(qkv.rows == form.rows, "every row belongs to a sequence")
        // The queries are turned where they lie.
        let qkv = narrowed(qkv)
        let keys = KernelLaunch.Argument.address(pool.keys(layer: attention.layer))
        let values = KernelLaunch.Argument.address(pool.values(layer: attention.layer))
        let angles = context.angles(theta: attention.theta, width: width, positions: pool.context)
        launch(
            "rope_write", grid: (qkv.rows, 1, 1), threads: 256,
            [
                qkv.argument, .address(angles), step.at(form.positions), step.at(form.owners),
                step.at(form.pageTable), .int(form.pages), keys, values, .int(heads), .int(keyHeads), .int(width),
            ])
        let out = matrix(qkv.rows, heads * width)
        let scale = KernelLaunch.Argument.float(1 / Float(width).squareRoot())
        // Sequences with one new token come first; those that fill a step up are such ones.
        let singles = step.singles == step.input.rows.count ? form.sequences : step.singles
        if singles > 0 {
            launch(
                "decode_attention_\(width)", grid: (heads, singles, 1), threads: 128,
                [
                    qkv.argument, keys, values, step.at(form.pageTable), .int(form.pages), step.at(form.lengths),
                    out.argument, .int(heads), .int(keyHeads), scale,
                ])
        }
        if singles < form.sequences {
            let most = step.input.rows.max() ?? 0
            launch(
                "attend_prompt_\(width)",
                grid: ((most + Self.attentionTile - 1) / Self.attentionTile, heads, form.sequences - singles),
                threads: 128, shared: Self.attentionBytes(width: width),
                [
                    qkv.argument, keys, values, step.at(form.pageTable + singles * form.pages), .int(form.pages),
                    step.at(form.starts + singles), step.at(form.lengths + singles), out.argument, .int(heads),
                    .int(keyHeads), scale,
                ])
        }
        return out
    }

    /// Runs the first step of a form, notes the second one as a graph and repeats that from then on.
    package func perform(
        _ step: CUDAStep, _ body: () throws(InferenceError) -> Void
    ) throws(InferenceError) {
        guard step.isRepeatable, context.profile == nil, let pool = step.pool else { return try body() }
        if let graph = pool.graphs[step.form] { return repeatStep(graph) }
        context.recordingHeap = pool.heap
        defer { context.recordingHeap = nil }
        guard pool.forms.contains(step.form) else {
            try body()
            pool.forms.insert(step.form)
            return
        }
        let graph = try device.capture(on: stream) { () throws(InferenceError) in
            try body()
            try context.check()
        }
        pool.graphs[step.form] = graph
        repeatStep(graph)
    }

    private func repeatStep(_ graph: CUDAGraph) {
        _ = context.attempt { () throws(InferenceError) in try device.launch(graph, on: stream) }
    }

    // MARK: - Choice

    package func choose(_ x: CUDATensor, _ weight: CUDAWeight, banned: [[Int32]]) -> [Int32] {
        precondition(banned.count == x.rows, "every row has its ban")
        let capacity = max(1, banned.map(\.count).max() ?? 0)
        let lists = sent(banned.flatMap { $0 + Array(repeating: 0, count: capacity - $0.count) })
        let counts = sent(banned.map { Int32($0.count) })
        let tokens = context.take(x.rows * 4, on: stream)
        return withExtendedLifetime(tokens) {
            choose(x, weight, banned: lists, counts: counts, capacity: capacity, tokens: tokens.address)
            return read(Int32.self, x.rows, from: tokens.address) ?? Array(repeating: 0, count: x.rows)
        }
    }

    package func choose(_ x: CUDATensor, _ weight: CUDAWeight, for step: CUDAStep) {
        let form = step.form
        precondition(x.rows == form.sequences, "every sequence has a row")
        let counts = context.take(form.sequences * 4, on: stream)
        let banned = context.take(max(1, form.sequences * form.bans) * 4, on: stream)
        if form.bans > 0 {
            launch(
                "ban_ngrams", grid: (form.sequences, 1, 1), threads: 32,
                [
                    step.at(form.plans), step.at(form.histories), .address(banned.address), .address(counts.address),
                    .int(form.bans),
                ])
        } else {
            _ = context.attempt { () throws(InferenceError) in
                try device.fill(counts.address, with: 0, bytes: form.sequences * 4, on: stream)
            }
        }
        choose(
            x, weight, banned: banned, counts: counts, capacity: form.bans, tokens: step.location(form.tokens))
    }

    package func tokens(of step: CUDAStep) -> [Int32] {
        let count = step.input.rows.count
        return read(Int32.self, count, from: step.location(step.form.tokens)) ?? Array(repeating: 0, count: count)
    }

    private func choose(
        _ x: CUDATensor, _ weight: CUDAWeight, banned: DeviceBlock, counts: DeviceBlock, capacity: Int, tokens: UInt64
    ) {
        precondition(x.columns == weight.inputs, "x has a column for each input")
        let x = narrowed(x)
        let tile = tile(rows: x.rows, outputs: weight.outputs)
        let tiles = columnTiles(weight.outputs)
        let bestScores = context.take(x.rows * tiles * 4, on: stream)
        let bestTokens = context.take(x.rows * tiles * 4, on: stream)
        launch(
            "choose_\(tile.rows)", grid: (tiles, tile.count(x.rows), 1), threads: tile.threads,
            shared: tile.sharedBytes,
            [
                x.argument, weight.argument, .address(banned.address), .address(counts.address), .int(capacity),
                .address(bestScores.address), .address(bestTokens.address), .int(x.rows), .int(weight.inputs),
                .int(weight.outputs),
            ])
        launch(
            "choose_best", grid: (x.rows, 1, 1), threads: 32,
            [.address(bestScores.address), .address(bestTokens.address), .int(tiles), .address(tokens)])
    }
}
