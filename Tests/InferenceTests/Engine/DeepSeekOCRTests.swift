import Inference
import SystemPackage
import Testing

@Suite struct DeepSeekOCRTests {
    private static let configuration = ModelFolder.configuration

    private func tinyModel<B: Backend>(on backend: B) throws -> DeepSeekOCR<B> {
        let checkpoint = try Checkpoint(randomFor: Self.configuration, threads: 1)
        return try DeepSeekOCR(checkpoint: checkpoint, configuration: Self.configuration, backend: backend)
    }

    private func page(_ side: Int, tile: Int = 0, grid: TileGrid = TileGrid(columns: 1, rows: 1)) -> PreparedImage {
        var random = FixedRandom(seed: 21)
        func view(_ side: Int) -> PreparedImage.View {
            .init(side: side, bytes: random.image(width: side, height: side).bytes)
        }
        let page = view(side)
        return PreparedImage(
            view: page, tiles: tile == 0 ? [] : (0..<grid.columns * grid.rows).map { _ in view(tile) }, grid: grid)
    }

    @Test func `the whole model gives the same on the CPU and in plain loops`() throws {
        let fast = try tinyModel(on: CPUBackend(threads: 2))
        let plain = try tinyModel(on: ReferenceBackend())
        let image = page(128, tile: 64, grid: TileGrid(columns: 2, rows: 1))
        let (a, b) = (ActivationTrace(), ActivationTrace())
        let ids = [0] + Array(repeating: Self.configuration.imageToken, count: image.tokenCount) + [7, 1, 8]
        try run(fast, image, ids, a)
        try run(plain, image, ids, b)
        #expect(a.names == b.names && a.names.contains("tiles.sam.block1") && a.names.contains("router.index"))
        for name in a.names {
            let found = try #require(a.activations[name])
            let wanted = try #require(b.activations[name])
            let largest = wanted.values.map(abs).max() ?? 0
            let error = zip(found.values, wanted.values).map { abs($0 - $1) }.max() ?? 0
            #expect(found.shape == wanted.shape && error <= 2e-5 * largest, "\(name) is off by \(error / largest)")
        }
    }

    private func run<B: Backend>(
        _ model: DeepSeekOCR<B>, _ image: PreparedImage, _ ids: [Int32], _ trace: ActivationTrace
    ) throws {
        let rows = try model.encodeImage(image, trace: trace)
        #expect(rows.rows == image.tokenCount)
        let cache = try model.cache(tokens: ids.count)
        let embeddings = try model.embed(ids, images: [rows], trace: trace)
        let hidden = try model.advance(embeddings, rows: [ids.count], caches: [cache], trace: trace, allRows: true)
        _ = model.scores(hidden, trace: trace, allRows: true)
    }

    @Test func `tokens one by one score like all at once`() throws {
        let model = try tinyModel(on: CPUBackend(threads: 2))
        let ids: [Int32] = [0, 3, 9, 4, 4, 11, 2]
        let whole = try model.cache(tokens: ids.count)
        let hidden = try model.advance(model.embed(ids), rows: [ids.count], caches: [whole], allRows: true)
        let all = model.backend.download(model.scores(hidden))
        let steps = try model.cache(tokens: ids.count)
        for (place, id) in ids.enumerated() {
            let hidden = try model.advance(model.embed([id]), rows: [1], caches: [steps])
            // The same sums in the same order: equal to the last bit, as batches must be.
            #expect(model.backend.download(model.scores(hidden)) == Array(all[place * 12..<(place + 1) * 12]))
        }
    }

    @Test func `many views are encoded in parts like each alone`() throws {
        let model = try tinyModel(on: CPUBackend(threads: 2))
        // 101 views of 16 positions' patches are more than one part takes.
        let views = (0..<401).map { number in
            PreparedImage.View(side: 64, bytes: (0..<64 * 64 * 3).map { UInt8(truncatingIfNeeded: $0 &* (number + 3)) })
        }
        let trace = ActivationTrace()
        let all = model.backend.download(try model.encodeViews(views, trace: trace, prefix: "view."))
        #expect(trace.activations["view.projector.out"]?.shape == [401, 1, 1, 8])
        for number in [0, 399, 400] {
            let alone = model.backend.download(try model.encodeViews([views[number]]))
            for (a, b) in zip(alone, all[number * 8..<number * 8 + 8]) { #expect(abs(a - b) < 1e-5) }
        }
    }

    @Test func `the layout joins tiles line by line, before the page`() {
        let rows = ImageLayout.rows(page: 1, tile: 2, grid: TileGrid(columns: 2, rows: 1))
        // 0 newline, 1 separator, 2 the page's position, 3... the tiles' positions.
        #expect(rows == [3, 4, 7, 8, 0, 5, 6, 9, 10, 0, 2, 0, 1])
        #expect(ImageLayout.rows(page: 2, tile: 0, grid: TileGrid(columns: 1, rows: 1)) == [2, 3, 0, 4, 5, 0, 1])
        let grid = TileGrid(columns: 2, rows: 3)
        #expect(
            ImageLayout.rows(page: 16, tile: 10, grid: grid).count
                == TileGrid.tokenCount(base: 1024, tile: 640, grid: grid))
    }

    @Test func `generation stops at its limits and hands out every score`() throws {
        let model = try tinyModel(on: CPUBackend(threads: 1))
        var scores: [[Float]] = []
        let prompt: [Int32] = [0, 3, 9]
        let some = try model.generate(
            prompt: prompt, options: GenerationOptions(maxNewTokens: 5, rule: NgramRule(size: 2, window: 10))
        ) { scores.append($0) }
        #expect(some.tokens.count == 5 || some.reachedEnd)
        #expect(scores.count == some.tokens.count && scores.allSatisfy { $0.count == 12 })
        for (token, scores) in zip(some.tokens, scores) {
            #expect(scores[Int(token)] == scores.max() && scores[Int(token)] > -.infinity)
        }
        let pairs = zip(some.tokens, some.tokens.dropFirst()).map { [$0, $1] }
        #expect(Set(pairs).count == pairs.count)
        let long = try model.generate(prompt: prompt)
        #expect(long.reachedEnd ? long.tokens.last == 1 : long.tokens.count == 61)
    }

    @Test func `requests that do not fit are refused`() throws {
        let model = try tinyModel(on: CPUBackend(threads: 1))
        let image = try model.encodeImage(page(64))
        #expect(throws: InferenceError.badRequest("The model has no token 12.")) { try model.embed([12]) }
        #expect(throws: InferenceError.badRequest("The prompt has 1 image tokens for 3 image embeddings.")) {
            try model.embed([0, 5], images: [image])
        }
        #expect(throws: InferenceError.self) { try model.generate(prompt: Array(repeating: 3, count: 64)) }
        #expect(throws: InferenceError.self) { try model.generate(prompt: []) }
        #expect(throws: InferenceError.self) { try model.encodeViews([]) }
        #expect(throws: InferenceError.self) {
            try model.encodeViews([.init(side: 80, bytes: Array(repeating: 0, count: 80 * 80 * 3))])
        }
    }

    @Test func `work can be cancelled anywhere`() throws {
        let model = try tinyModel(on: CPUBackend(threads: 1))
        for allowed in [0, 1, 3, 5] {
            var asked = 0
            func isCancelled() -> Bool {
                asked += 1
                return asked > allowed
            }
            #expect(throws: InferenceError.cancelled) {
                let image = try model.encodeImage(page(64), isCancelled: isCancelled)
                _ = try model.generate(prompt: [0, 5, 5, 5, 3], images: [image], isCancelled: isCancelled)
            }
            #expect(asked == allowed + 1)
        }
    }
}
