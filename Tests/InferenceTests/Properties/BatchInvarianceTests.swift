import Inference
import Testing

/// What a sequence gets depends on nothing but itself: not on others, not on when they come and go, not on threads.
@Suite struct BatchInvarianceTests {
    private static let checkpoints = ["tiny-bf16", "odd-f32"]
    private static let steps = 8

    /// One sequence, fed with its own best tokens.
    private struct Lane {
        let start: Int
        let cache: KeyValueCache
        var next: CPUTensor
        var tokens: [Int32] = []
        var scores: [[Float]] = []
    }

    /// Tokens and all scores of each question, the n-th beginning at `starts[n]` and leaving after some steps.
    private func run(
        _ model: DeepSeekOCR<CPUBackend>, _ questions: [GoldenBench.Question], starts: [Int]
    ) throws -> [(tokens: [Int32], scores: [[Float]])] {
        let pool = model.makePool(tokens: 4096)
        var lanes = try zip(questions, starts).map { question, start in
            Lane(
                start: start, cache: model.backend.makeCache(in: pool),
                next: try model.embed(question.prompt, images: question.image.map { [try model.encodeImage($0)] } ?? [])
            )
        }
        let width = model.configuration.decoder.vocabularySize
        for step in 0..<(starts.max() ?? 0) + Self.steps {
            let own = lanes.indices.filter { (lanes[$0].start..<lanes[$0].start + Self.steps).contains(step) }
            guard !own.isEmpty else { continue }
            let rows = own.map { lanes[$0].next.rows }
            for (lane, count) in zip(own, rows) {
                let cache = lanes[lane].cache
                try #require(model.backend.reserve(model.backend.count(of: cache) + count, in: cache))
            }
            let joined = model.backend.gatherRows(
                (0..<Int32(rows.reduce(0, +))).map { $0 }, from: own.map { lanes[$0].next })
            let hidden = try model.advance(joined, rows: rows, caches: own.map { lanes[$0].cache })
            let scores = model.backend.download(model.scores(hidden))
            let tokens = model.choose(hidden, banned: own.map { _ in [] })
            for (place, lane) in own.enumerated() {
                lanes[lane].scores.append(Array(scores[place * width..<(place + 1) * width]))
                lanes[lane].tokens.append(tokens[place])
                lanes[lane].next = try model.embed([tokens[place]])
            }
        }
        return lanes.map { ($0.tokens, $0.scores) }
    }

    @Test(arguments: checkpoints, Precision.allCases)
    func `tokens and scores are the same alone and among others, on any number of threads`(
        checkpoint: String, precision: Precision
    ) throws {
        let one = try GoldenBench.model(checkpoint, threads: 1, precision: precision)
        let questions = GoldenBench.questions(one.configuration)
        let alone = try questions.map { try run(one, [$0], starts: [0])[0] }
        #expect(alone.allSatisfy { $0.scores.count == Self.steps && $0.scores.joined().allSatisfy(\.isFinite) })
        for threads in [1, 2, 5, 64] {
            let model = try GoldenBench.model(checkpoint, threads: threads, precision: precision)
            let starts = [[0, 0, 0, 0, 0, 0, 0], [0, 7, 2, 5, 1, 9, 3], [6, 0, 3, 0, 8, 2, 12]]
            // The order of the sequences differs, too.
            for (round, starts) in starts.enumerated() where threads < 64 || round == 1 {
                let order = round == 2 ? Array(questions.indices.reversed()) : Array(questions.indices)
                let together = try run(model, order.map { questions[$0] }, starts: starts)
                for (found, question) in zip(together, order) {
                    #expect(found.tokens == alone[question].tokens, "question \(question), \(threads) threads")
                    #expect(found.scores == alone[question].scores, "question \(question), \(threads) threads")
                }
            }
        }
    }

    @Test(arguments: checkpoints, Precision.allCases)
    func `pictures are encoded the same on any number of threads`(checkpoint: String, precision: Precision) throws {
        var random = FixedRandom(seed: 72)
        func view(_ side: Int) -> PreparedImage.View {
            .init(side: side, bytes: random.image(width: side, height: side).bytes)
        }
        let image = PreparedImage(view: view(256), tiles: [view(128), view(128)], grid: TileGrid(columns: 2, rows: 1))
        let results = try [1, 2, 5, 64].map { threads in
            let model = try GoldenBench.model(checkpoint, threads: threads, precision: precision)
            return model.backend.download(try model.encodeImage(image))
        }
        #expect(results[0].allSatisfy(\.isFinite) && results.allSatisfy { $0 == results[0] })
    }

    @Test(arguments: Precision.allCases)
    func `a prompt seen at once or token by token leaves the same behind`(precision: Precision) throws {
        let model = try GoldenBench.model(threads: 2, precision: precision)
        let prompt = GoldenBench.questions(model.configuration)[3].prompt
        let (whole, steps) = (try model.cache(tokens: prompt.count), try model.cache(tokens: prompt.count))
        let all = model.backend.download(
            model.scores(try model.advance(model.embed(prompt), rows: [prompt.count], caches: [whole])))
        var last: [Float] = []
        for id in prompt {
            last = model.backend.download(
                model.scores(try model.advance(model.embed([id]), rows: [1], caches: [steps])))
        }
        #expect(all == last)
        for layer in 0..<model.configuration.decoder.layers {
            let (a, b) = (
                model.backend.contents(of: whole, layer: layer), model.backend.contents(of: steps, layer: layer)
            )
            #expect(a.keys == b.keys && a.values == b.values)
        }
    }
}
