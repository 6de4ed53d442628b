package import Inference
import Parity

/// What the parts of a page take when many are read together.
package struct PartTimes {
    package private(set) var rows: [FigureRow] = []

    /// Measures each part in the middle of some runs.
    package init(
        _ model: DeepSeekOCR<CUDABackend>, mode: ResolutionMode, batch: Int, pageTokens: Int, steps: Int = 24
    ) throws {
        let costs = ModelCosts(model.configuration)
        let bench = try Pages(model, mode: mode, batch: batch)
        let group = bench.group
        let encode = try medianMilliseconds(runs: 4) { try bench.encode() }
        rows.append(
            FigureRow(
                .encode, mode: mode.rawValue, batch: batch, milliseconds: encode,
                operations: Double(group.count) * costs.encoding(group[0]), pages: Double(group.count)))

        // Prompts with half a page's text behind them; what comes first is timed as prefill.
        let prompt = bench.prompt.count
        let prefill = try medianMilliseconds(runs: 3) { try bench.prefill(tokens: prompt) }
        rows.append(
            FigureRow(
                .prefill, mode: mode.rawValue, batch: batch, milliseconds: prefill,
                operations: Double(bench.prefilled) * costs.prefill(tokens: prompt), pages: Double(bench.prefilled)))

        let context = prompt + pageTokens / 2
        var sequences = try bench.sequences(tokens: context, steps: steps + 8)
        for _ in 0..<4 { _ = try sequences.step() }
        let step = try medianMilliseconds(runs: steps) { _ = try sequences.step() }
        rows.append(
            FigureRow(
                .decode, mode: mode.rawValue, batch: batch, milliseconds: step,
                bytes: 2 * (costs.weightsRead(batch: batch) + Double(batch) * costs.cacheRead(context: context)),
                operations: Double(batch) * costs.decoding(context: context),
                pages: Double(batch) / Double(pageTokens)))

        let page =
            encode / Double(group.count) + prefill / Double(bench.prefilled)
            + step * Double(pageTokens) / Double(batch)
        rows.append(FigureRow(.page, mode: mode.rawValue, batch: batch, milliseconds: page, pages: 1))
    }

    /// How long each kernel runs in each part.
    package static func kernels(
        _ model: DeepSeekOCR<CUDABackend>, mode: ResolutionMode, batch: Int
    ) throws -> [(name: String, times: [KernelProfile.Time])] {
        let bench = try Pages(model, mode: mode, batch: batch)
        var sequences = try bench.sequences(tokens: bench.prompt.count + 500, steps: 8)
        _ = try sequences.step()
        let backend = model.backend
        let encode = try backend.profiled { () throws(InferenceError) in try bench.encode() }
        let prefill = try backend.profiled { () throws(InferenceError) in
            try bench.prefill(tokens: bench.prompt.count)
        }
        let step = try backend.profiled { () throws(InferenceError) in _ = try sequences.step() }
        return [
            ("encode, \(bench.group.count) pages", encode), ("prefill, \(bench.prefilled) pages", prefill),
            ("a step of \(batch) pages", step),
        ]
    }
}

/// Copies of a page that are read together.
private struct Pages {
    let model: DeepSeekOCR<CUDABackend>
    /// Those that are encoded together.
    let group: [PreparedImage]
    let prompt: [Int32]
    /// Sequences whose prompts are seen together.
    let prefilled: Int
    private let batch: Int

    init(_ model: DeepSeekOCR<CUDABackend>, mode: ResolutionMode, batch: Int) throws {
        self.model = model
        self.batch = batch
        let page = Preprocessor.prepare(SamplePage.image(), geometry: mode.geometry)
        let positions = ([page.view] + page.tiles).reduce(0) { $0 + $1.side * $1.side / 256 }
        let together = max(1, model.backend.positionsTogether / positions)
        group = Array(repeating: page, count: min(batch, together))
        prompt = SamplePage.prompt(for: page, model.configuration)
        prefilled = min(batch, max(1, model.backend.promptTokensTogether / prompt.count))
    }

    func encode() throws(InferenceError) {
        let encoding = try model.beginEncoding(group)
        _ = try model.finish(encoding)
        try model.backend.device.wait(for: .encode)
    }

    func prefill(tokens: Int) throws(InferenceError) {
        var batch = try sequences(tokens: tokens, steps: 1, count: prefilled, isPrefilled: false)
        _ = try batch.step()
    }

    /// A batch of sequences with so many tokens of unlike text, ready for the next ones.
    func sequences(tokens: Int, steps: Int) throws(InferenceError) -> SequenceBatch<CUDABackend> {
        try sequences(tokens: tokens, steps: steps, count: batch, isPrefilled: true)
    }

    private func sequences(
        tokens: Int, steps: Int, count: Int, isPrefilled: Bool
    ) throws(InferenceError) -> SequenceBatch<CUDABackend> {
        let pageTokens = CUDAPool.pageTokens
        let each = (tokens + steps + pageTokens) / pageTokens * pageTokens
        var batch = SequenceBatch(model, pool: model.makePool(tokens: count * each))
        try model.backend.check()
        let rule = NgramRule.image(exempt: [2])
        var random = UInt64(1)
        for _ in 0..<count {
            let text = (0..<tokens).map { _ -> Int32 in
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let id = Int32((random >> 33) % UInt64(model.configuration.decoder.vocabularySize))
                return id == model.configuration.imageToken ? 2 : id
            }
            batch.join(
                try TextSequence<CUDABackend>(
                    prompt: text, images: [], options: GenerationOptions(maxNewTokens: steps, rule: rule),
                    configuration: model.configuration.decoder, cache: batch.makeCache()))
        }
        guard isPrefilled else { return batch }
        let most = model.backend.promptTokensTogether
        for _ in 0..<(count * tokens + most - 1) / most + 1 { _ = try batch.step() }
        return batch
    }
}
