import Inference
import Testing

/// Sequences that share memory: who waits, who gives way, and that nobody's tokens show it.
@Suite struct SequenceBatchTests {
    private static let block = KeyValuePool.tokensOfBlock

    /// A model with a context of several blocks that never comes to an end by itself.
    private static let configuration: ModelConfiguration = {
        var configuration = ModelFolder.configuration
        configuration.decoder.maxPositions = 1024
        configuration.decoder.endToken = 12
        return configuration
    }()

    private func model(_ precision: Precision = .bfloat16) throws -> DeepSeekOCR<CPUBackend> {
        try DeepSeekOCR(
            checkpoint: Checkpoint(randomFor: Self.configuration, threads: 1), configuration: Self.configuration,
            backend: CPUBackend(threads: 2, precision: precision))
    }

    private func question(_ count: Int, seed: UInt64, side: Int = 0) -> GoldenBench.Question {
        var random = FixedRandom(seed: seed)
        let image =
            side == 0
            ? nil : PreparedImage(view: .init(side: side, bytes: random.image(width: side, height: side).bytes))
        var prompt = (0..<count).map { _ in Int32.random(in: 6..<12, using: &random) }
        prompt.insert(contentsOf: Array(repeating: 5, count: image?.tokenCount ?? 0), at: count / 2)
        return GoldenBench.Question(prompt: prompt, image: image)
    }

    /// Steps until nobody is left; `watch` sees the batch after each step.
    private func finish<B: Backend>(
        _ batch: inout SequenceBatch<B>, watch: (Int, SequenceBatch<B>, [TextSequence<B>]) -> Void = { _, _, _ in }
    ) throws {
        var step = 0
        while batch.count > 0 {
            let gone = try batch.step()
            watch(step, batch, gone)
            step += 1
            try #require(step < 2000, "a batch comes to an end")
        }
    }

    @Test(arguments: Precision.allCases)
    func `the youngest gives way where memory is short, and gets the same tokens`(precision: Precision) throws {
        let model = try model(precision)
        // Each begins within a block and ends in its third; there are four blocks for all.
        let questions = [question(50, seed: 1), question(30, seed: 2, side: 64), question(60, seed: 3)]
        let options = GenerationOptions(maxNewTokens: 90, rule: NgramRule(size: 3, window: 60))
        let alone = try questions.map { try model.answer($0, options) }
        #expect(alone.allSatisfy { $0.count == 90 })
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 4 * Self.block))
        let sequences = try questions.map { try model.sequence($0, options, cache: batch.makeCache()) }
        for sequence in sequences { batch.join(sequence) }
        var gaveWay = [0, 0, 0]
        var wasActive = [false, false, false]
        var finished: [Int] = []
        try finish(&batch) { _, batch, gone in
            for (number, sequence) in sequences.enumerated() {
                let isActive = batch.active.contains { $0 === sequence }
                if wasActive[number], !isActive, !sequence.isFinished { gaveWay[number] += 1 }
                wasActive[number] = isActive
            }
            finished += gone.compactMap { gone in sequences.firstIndex { $0 === gone } }
            // Those at work are always the oldest, in their order.
            let working = batch.active.compactMap { active in sequences.firstIndex { $0 === active } }
            let left = sequences.indices.filter { !sequences[$0].isFinished }
            #expect(working == Array(left.prefix(working.count)))
        }
        #expect(gaveWay[0] == 0 && gaveWay[2] > 0, "gave way: \(gaveWay)")
        #expect(finished == [0, 1, 2])
        for (sequence, tokens) in zip(sequences, alone) { #expect(sequence.generation.tokens == tokens) }
    }

    @Test func `one that gave way may have written image tokens`() throws {
        let model = try model(.float32)
        let pictured = question(40, seed: 4, side: 64)
        // The best token that is no repetition is the image's sooner or later.
        let options = GenerationOptions(maxNewTokens: 100, rule: NgramRule(size: 2, window: 100))
        let alone = try model.answer(pictured, options)
        try #require(alone.prefix(60).contains(5), "the answer is \(alone)")
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 4 * Self.block))
        let sequences = [
            try model.sequence(question(60, seed: 5), options, cache: batch.makeCache()),
            try model.sequence(pictured, options, cache: batch.makeCache()),
        ]
        for sequence in sequences { batch.join(sequence) }
        var gaveWay = 0
        try finish(&batch) { _, batch, _ in gaveWay += batch.waiting.count }
        #expect(gaveWay > 0 && sequences[1].generation.tokens == alone)
    }

    @Test func `the plain backend's batches behave alike`() throws {
        let model = try DeepSeekOCR(
            checkpoint: Checkpoint(randomFor: Self.configuration, threads: 1), configuration: Self.configuration,
            backend: ReferenceBackend())
        let options = GenerationOptions(maxNewTokens: 6)
        let questions = [question(3, seed: 6), question(4, seed: 7), question(2, seed: 8)]
        let alone = try questions.map { try model.answer($0, options) }
        // Room for 14 tokens, while the three need 8, 9 and 7.
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 14))
        let sequences = try questions.map { try model.sequence($0, options, cache: batch.makeCache()) }
        for sequence in sequences { batch.join(sequence) }
        var waited = 0
        try finish(&batch) { _, batch, _ in waited += batch.waiting.count }
        #expect(waited > 0)
        for (sequence, tokens) in zip(sequences, alone) { #expect(sequence.generation.tokens == tokens) }
    }

    @Test func `one that can never fit is an error`() throws {
        let model = try model()
        for (count, tokens) in [(65, 3), (60, 30)] {
            var batch = SequenceBatch(model, pool: model.makePool(tokens: Self.block))
            let sequence = try model.sequence(
                question(count, seed: 9), GenerationOptions(maxNewTokens: tokens), cache: batch.makeCache())
            batch.join(sequence)
            let error = #expect(throws: InferenceError.self) { try finish(&batch) }
            #expect(error?.description.hasPrefix("A page with 65 tokens needs more memory") == true)
        }
        // One that just fits is none.
        var batch = SequenceBatch(model, pool: model.makePool(tokens: Self.block))
        let sequence = try model.sequence(
            question(60, seed: 9), GenerationOptions(maxNewTokens: 5), cache: batch.makeCache())
        batch.join(sequence)
        try finish(&batch)
        #expect(sequence.generation.tokens.count == 5)
    }

    @Test func `memory comes back when sequences end`() throws {
        let model = try model()
        let pool = model.makePool(tokens: 3 * Self.block)
        #expect(pool.freeBlocks == 3)
        var batch = SequenceBatch(model, pool: pool)
        for round in 0..<5 {
            for number in 0..<3 {
                let options = GenerationOptions(maxNewTokens: 70)
                batch.join(
                    try model.sequence(
                        question(5 + number, seed: UInt64(round)), options, cache: batch.makeCache()))
            }
            try finish(&batch) { _, _, _ in #expect(pool.freeBlocks >= 0) }
            #expect(pool.freeBlocks == 3)
        }
    }

    // MARK: - Cancelling

    @Test(arguments: [0, 1, 2], [0, 1, 20])
    func `cancelling one leaves the others alone`(who: Int, after: Int) throws {
        let model = try model()
        let options = GenerationOptions(maxNewTokens: 40)
        let questions = [question(9, seed: 11), question(30, seed: 12, side: 64), question(70, seed: 13)]
        let alone = try questions.map { try model.answer($0, options) }
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 64 * Self.block))
        let isCancelled = Flag()
        let sequences = try questions.enumerated().map { number, question in
            try model.sequence(question, options, cache: batch.makeCache()) { number == who && isCancelled.isSet }
        }
        for sequence in sequences { batch.join(sequence) }
        isCancelled.isSet = after == 0
        var left: [Int] = []
        try finish(&batch) { step, _, gone in
            if step + 1 == after { isCancelled.isSet = true }
            for sequence in gone where sequence === sequences[who] { left.append(step) }
        }
        #expect(left == [after] && !sequences[who].isFinished)
        #expect(sequences[who].generation.tokens == Array(alone[who].prefix(after)))
        for other in 0..<3 where other != who { #expect(sequences[other].generation.tokens == alone[other]) }
    }

    @Test func `cancelling the only one at work within a step leaves those that wait alone`() throws {
        let model = try model()
        let options = GenerationOptions(maxNewTokens: 20)
        let other = question(70, seed: 14)
        let alone = try model.answer(other, options)
        // Both need two blocks, and there are three: the second waits for the first.
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 3 * Self.block))
        var asked = 0
        let first = try model.sequence(question(80, seed: 15), options, cache: batch.makeCache()) {
            asked += 1
            // Once before the step, then between layers.
            return asked > 2
        }
        let second = try model.sequence(other, options, cache: batch.makeCache())
        batch.join(first)
        batch.join(second)
        var gone: [TextSequence<CPUBackend>] = []
        try finish(&batch) { gone += $2 }
        #expect(gone.count == 2 && gone.first === first && gone.last === second)
        #expect(first.generation.tokens.isEmpty && !first.isFinished)
        #expect(second.isFinished && second.generation.tokens == alone)
    }

    @Test func `one that waits can be cancelled`() throws {
        let model = try model()
        let options = GenerationOptions(maxNewTokens: 20)
        let alone = try model.answer(question(80, seed: 16), options)
        var batch = SequenceBatch(model, pool: model.makePool(tokens: 3 * Self.block))
        let isCancelled = Flag()
        let first = try model.sequence(question(80, seed: 16), options, cache: batch.makeCache())
        let second = try model.sequence(question(90, seed: 17), options, cache: batch.makeCache()) { isCancelled.isSet }
        batch.join(first)
        batch.join(second)
        #expect(try batch.step().isEmpty && batch.waiting.count == 1)
        isCancelled.isSet = true
        let gone = try batch.step()
        #expect(gone.count == 1 && gone.first === second && batch.count == 1)
        try finish(&batch)
        #expect(first.generation.tokens == alone)
    }

    /// What a closure may look at while it changes.
    private final class Flag {
        var isSet = false
    }
}
