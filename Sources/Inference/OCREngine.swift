private import Dispatch
package import SystemPackage

/// A loaded model that reads pages, several at a time.
package final class OCREngine: Sendable {
    package let directory: FilePath
    package let configuration: ModelConfiguration
    package let options: EngineOptions
    /// How the model wants to be asked.
    package let defaults: ModelDefaults
    package let tokenizer: Tokenizer
    /// Tensors of the checkpoint that the model has no use for.
    package let unusedTensors: [String]
    /// How the memory is used.
    package let plan: MemoryPlan

    private let reader: any PageReading

    /// Loads a model directory in Hugging Face's layout.
    ///
    /// Weights are packed at the first start; those of a large model are kept packed in a file for the next one.
    /// - Parameters:
    ///   - directory: holds `config.json`, `tokenizer.json`, the weights and perhaps `quire.json`.
    ///   - options: device, threads, precision and memory.
    ///   - driver: where a GPU's functions come from.
    /// - Throws: an error that names the file and everything wrong with it; `noDevice`, `deviceFailed`.
    package init(
        directory: FilePath, options: EngineOptions, driver: CUDADevice.Driver = .system
    ) throws(InferenceError) {
        self.directory = directory
        self.options = options
        configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        defaults = try ModelDefaults(directory: directory)
        let tokenizerPath = directory.appending("tokenizer.json")
        tokenizer = try Tokenizer(contentsOf: tokenizerPath)
        if let id = tokenizer.id(of: Prompt.placeholder), id != configuration.imageToken {
            throw .badTokenizer(
                tokenizerPath,
                reason: "\(Prompt.placeholder) is \(id) there, but config.json says \(configuration.imageToken)")
        }
        let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        unusedTensors = checkpoint.unusedNames
        switch options.device {
        case .processor:
            let memory = options.memory ?? MemoryPlan.free
            let backend = CPUBackend(
                threads: options.threads, precision: options.precision,
                store: PanelStore(for: checkpoint, precision: options.precision))
            plan = MemoryPlan(
                memory: memory,
                fixed: configuration.weightBytes(options.precision, stored: checkpoint.byteCount)
                    + configuration.activationBytes,
                tokenBytes: configuration.cacheBytes(options.precision), context: configuration.decoder.maxPositions)
            reader = try BatchReader(
                DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend), plan: plan)
        case .cuda(let ordinal):
            let device = try CUDADevice(ordinal: ordinal, driver: driver)
            let model = try DeepSeekOCR(
                checkpoint: checkpoint, configuration: configuration, backend: CUDABackend(device))
            plan = MemoryPlan(
                free: try device.freeBytes(), limit: options.memory, configuration: configuration,
                positions: model.backend.positionsTogether)
            reader = try BatchReader(model, plan: plan)
        }
    }

    /// Pages that are worth having in hand: those decoded together, and some that are ready to follow.
    package var capacity: Int { plan.pages + 2 }

    /// The ids that the windowed n-gram rules never ban: those of table cells.
    package var exemptTokens: Set<Int32> { Set(["<td>", "</td>"].compactMap(tokenizer.id(of:))) }

    /// The model's own defaults with the n-gram rule for images.
    package var defaultRequest: RecognitionRequest {
        RecognitionRequest(
            mode: defaults.mode, prompt: defaults.prompt, maxNewTokens: defaults.maxNewTokens,
            rule: .image(exempt: exemptTokens))
    }

    /// Reads one page; many may be asked for at once.
    ///
    /// - Parameters:
    ///   - image: the page's pixels.
    ///   - request: how to look at it, and what to ask.
    ///   - isCancelled: asked every few milliseconds to seconds, between layers and tokens.
    /// - Returns: The answer with what it took.
    /// - Throws: `badRequest` for a prompt that does not fit, `cancelled`.
    package func recognise(
        _ image: RGBImage, request: RecognitionRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) async throws(InferenceError) -> Recognition {
        let clock = ContinuousClock()
        let started = clock.now
        let prepared = await prepare(image, for: request.mode)
        let prompt = try Prompt.ids(
            request.prompt, tokenCounts: [prepared.tokenCount], tokenizer: tokenizer,
            bos: configuration.decoder.beginToken, imageToken: configuration.imageToken)
        try checkLength(prompt)
        let prepareSeconds = (clock.now - started) / .seconds(1)
        let options = GenerationOptions(maxNewTokens: request.maxNewTokens, rule: request.rule)
        let result: Result<ReadPage, InferenceError> = await withCheckedContinuation { answer in
            reader.read(
                PageRequest(
                    image: prepared, prompt: prompt, options: options, prepareSeconds: prepareSeconds,
                    isCancelled: isCancelled, answer: answer))
        }
        let page = try result.get()
        let generation = page.generation
        return Recognition(
            rawText: tokenizer.decode(generation.tokens), tokens: generation.tokens, promptTokens: prompt.count,
            imageTokens: prepared.tokenCount, reachedEnd: generation.reachedEnd, encodeSeconds: page.encodeSeconds,
            prefillSeconds: generation.prefillSeconds, decodeSeconds: generation.decodeSeconds)
    }

    /// Prepares pixels beside the pages that are being decoded.
    private func prepare(_ image: RGBImage, for mode: ResolutionMode) async -> PreparedImage {
        await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .userInitiated).async {
                continuation.resume(returning: Preprocessor.prepare(image, geometry: mode.geometry))
            }
        }
    }

    /// Refuses a prompt that leaves no room for an answer before the page is encoded for nothing.
    private func checkLength(_ prompt: [Int32]) throws(InferenceError) {
        let context = configuration.decoder.maxPositions
        guard prompt.count >= context else { return }
        throw .badRequest(
            "The prompt has \(prompt.count) tokens, image tokens included, but the model holds \(context) together "
                + "with the answer. Choose a smaller mode or a shorter prompt.")
    }
}
