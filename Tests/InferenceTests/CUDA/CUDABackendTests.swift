import Bench
import Inference
import Parity
import SystemPackage
import Testing

/// The whole model on the GPU's kernels, which the shim runs, beside the same model on the processor.
@Suite struct CUDABackendTests {
    private static func configuration(_ name: String) throws -> (FilePath, ModelConfiguration) {
        let directory = Fixtures.golden.path.appending(name)
        return (directory, try ModelConfiguration(contentsOf: directory.appending("config.json")))
    }

    static func model(_ shim: Shim, _ name: String = "tiny-bf16") throws -> DeepSeekOCR<CUDABackend> {
        let (directory, configuration) = try configuration(name)
        return try DeepSeekOCR(
            checkpoint: Checkpoint(directory: directory, configuration: configuration), configuration: configuration,
            backend: CUDABackend(shim.device))
    }

    static func trace<B: Backend>(
        _ model: DeepSeekOCR<B>, _ image: PreparedImage, text: [Int32]
    ) throws -> ActivationTrace {
        let trace = ActivationTrace()
        let embeddings = try model.encodeImage(image, trace: trace)
        var prompt = text
        prompt.insert(
            contentsOf: Array(repeating: model.configuration.imageToken, count: image.tokenCount), at: text.count / 2)
        let input = try model.embed(prompt, images: [embeddings], trace: trace)
        let cache = model.backend.makeCache(in: model.makePool(tokens: prompt.count))
        #expect(model.backend.reserve(prompt.count, in: cache))
        let hidden = try model.advance(input, rows: [prompt.count], caches: [cache], trace: trace, allRows: true)
        _ = model.scores(hidden, trace: trace, allRows: true)
        try model.backend.check()
        return trace
    }

    /// Two tiles beside a view, so that sizes and tables differ.
    static func image(side: Int, tile: Int) -> PreparedImage {
        var random = FixedRandom(seed: 5)
        func view(_ side: Int) -> PreparedImage.View {
            .init(side: side, bytes: random.image(width: side, height: side).bytes)
        }
        return PreparedImage(view: view(side), tiles: [view(tile), view(tile)], grid: TileGrid(columns: 2, rows: 1))
    }

    @Test(arguments: [false, true])
    func `every stage is the processor's within the rounding`(isReversed: Bool) throws {
        try Self.compare(Self.model(Shim(isReversed: isReversed)))
    }

    /// Holds every stage of a page against the processor's.
    static func compare(_ model: DeepSeekOCR<CUDABackend>) throws {
        let image = image(side: 320, tile: 192)
        let found = try trace(model, image, text: [5, 9, 300, 12, 77])
        let wanted = try trace(GoldenBench.model(precision: .float32), image, text: [5, 9, 300, 12, 77])
        #expect(found.names == wanted.names)
        for name in wanted.names {
            let (a, b) = (try #require(found.activations[name]), try #require(wanted.activations[name]))
            #expect(a.shape == b.shape)
            guard name != "router.index" else {
                // Chances may be so close that rounding changes their order.
                let other = zip(a.values, b.values).count { $0 != $1 }
                #expect(other * 10 < b.values.count, "\(other) of \(b.values.count) experts are others")
                continue
            }
            let error = RelativeError.ofRoots(a.values, b.values)
            #expect(error < 0.015, "\(name): \(error)")
        }
    }

    @Test func `random weights are the same made on the GPU and on the processor`() throws {
        var configuration = ModelConfiguration.tiny
        (configuration.sam.heads, configuration.clip.heads) = (4, 6)
        (configuration.decoder.heads, configuration.decoder.keyValueHeads) = (8, 8)
        let checkpoints = [
            Checkpoint(lazilyRandomFor: configuration, seed: 7),
            try Checkpoint(randomFor: configuration, seed: 7, threads: 1),
        ]
        let traces = try checkpoints.map { checkpoint in
            let model = try DeepSeekOCR(
                checkpoint: checkpoint, configuration: configuration, backend: CUDABackend(Shim().device))
            return try Self.trace(model, Self.image(side: 64, tile: 128), text: [5, 9, 300, 12, 77])
        }
        for name in traces[0].names { #expect(traces[0].activations[name] == traces[1].activations[name], "\(name)") }
    }

    // MARK: - Steps

    private static let options = GenerationOptions(
        maxNewTokens: 14, rule: NgramRule(size: 2, window: 40, exempt: [3], overPrompt: true))

    /// Generates for all questions together, joining one after another.
    private func together<B: Backend>(
        _ model: DeepSeekOCR<B>, _ questions: [GoldenBench.Question], tokens: Int
    ) throws -> [[Int32]] {
        var batch = SequenceBatch(model, pool: model.makePool(tokens: tokens))
        let sequences = try questions.map { try model.sequence($0, Self.options, cache: batch.makeCache()) }
        for sequence in sequences {
            batch.join(sequence)
            _ = try batch.step()
        }
        while batch.count > 0 { _ = try batch.step() }
        return sequences.map(\.generation.tokens)
    }

    @Test(arguments: [false, true])
    func `a sequence gets the same alone and beside others`(isReversed: Bool) throws {
        let shim = try Shim(isReversed: isReversed)
        let model = try Self.model(shim)
        let questions = GoldenBench.questions(model.configuration)
        let found = try together(model, questions, tokens: 2048)
        for (question, tokens) in zip(questions, found) {
            #expect(try model.answer(question, Self.options) == tokens)
        }
        let launches = shim.launches
        #expect(launches["decode_attention_16", default: 0] > 0 && launches["attend_prompt_16", default: 0] > 0)
        #expect(launches["ban_ngrams", default: 0] > 0)
    }

    @Test func `a step is repeated as one graph, and the host waits once for it`() throws {
        let shim = try Shim()
        let model = try Self.model(shim)
        let questions = GoldenBench.questions(model.configuration).filter { $0.image == nil }
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 2048))
        for question in questions {
            batch.join(
                try model.sequence(question, GenerationOptions(maxNewTokens: 40), cache: batch.makeCache()))
        }
        // The prompts, the first step of the form, and the one that is noted.
        for _ in 0..<3 { _ = try batch.step() }
        let (waits, launches, queued) = (shim.waits, shim.launches, shim.graphLaunches)
        for _ in 0..<4 { _ = try batch.step() }
        #expect(shim.waits == waits + 4)
        #expect(shim.graphLaunches == queued + 4)
        let layers = model.configuration.decoder.layers
        #expect(shim.launches["decode_attention_16"] == launches["decode_attention_16", default: 0] + 4 * layers)
    }

    @Test func `long prompts come in parts, and pages are lost to others, without a difference`() throws {
        let shim = try Shim()
        let model = try Self.model(shim)
        var random = FixedRandom(seed: 3)
        let questions = [300, 40, 200].map { count in
            GoldenBench.Question(prompt: (0..<count).map { _ in Int32.random(in: 2..<600, using: &random) }, image: nil)
        }
        let alone = try questions.map { try model.answer($0, Self.options) }
        // Less room than all three take together.
        #expect(try together(model, questions, tokens: 384) == alone)
        var small = SequenceBatch(model, pool: model.makePool(tokens: 2048), promptTokens: 64)
        let sequences = try questions.map { try model.sequence($0, Self.options, cache: small.makeCache()) }
        for sequence in sequences { small.join(sequence) }
        var steps = 0
        while small.count > 0 {
            _ = try small.step()
            steps += 1
        }
        #expect(sequences.map(\.generation.tokens) == alone)
        // 540 tokens of prompts by 64, and 14 tokens of the last one.
        #expect(steps >= 540 / 64 + 14)
    }
}
