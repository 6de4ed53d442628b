private import Dispatch
private import Synchronization
package import SystemPackage

/// A loaded model that reads pages, several at a time.
///
/// One thread of the engine's own drives the model: it encodes pages as they come, while there is room, and decodes all
/// that it has together.
///
/// `@unchecked Sendable`: `batch` and `jobs` are used on `queue` only, everything else is constant or behind a lock.
package final class OCREngine: @unchecked Sendable {
    package let directory: FilePath
    package let configuration: ModelConfiguration
    package let options: EngineOptions
    /// How the model wants to be asked.
    package let defaults: ModelDefaults
    package let tokenizer: Tokenizer
    /// Tensors of the checkpoint that the model has no use for.
    package let unusedTensors: [String]
    /// The instruction set of the kernels in use.
    package let instructionSet: String
    /// How the memory is used.
    package let plan: MemoryPlan

    private let model: DeepSeekOCR<CPUBackend>
    private let queue = DispatchQueue(label: "quire.engine", qos: .userInitiated)
    private let arrivals = Mutex(Arrivals())
    private var batch: SequenceBatch<CPUBackend>
    /// What is being decoded, by its sequence.
    private var jobs: [ObjectIdentifier: Decoding] = [:]

    /// Pages that nobody has begun with.
    private struct Arrivals {
        var pages: [PageRequest] = []
        var isRunning = false
    }

    /// Loads a model directory in Hugging Face's layout.
    ///
    /// Weights are packed at the first start; those of a large model are kept packed in a file for the next one.
    /// - Parameters:
    ///   - directory: holds `config.json`, `tokenizer.json`, the weights and perhaps `quire.json`.
    ///   - options: threads, precision and memory.
    /// - Throws: an error that names the file and everything wrong with it.
    package init(directory: FilePath, options: EngineOptions) throws(InferenceError) {
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
        let memory = options.memory ?? MemoryPlan.free
        let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        unusedTensors = checkpoint.unusedNames
        let backend = CPUBackend(
            threads: options.threads, precision: options.precision,
            store: PanelStore(for: checkpoint, precision: options.precision))
        instructionSet = backend.kernels.name
        model = try DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend)
        plan = MemoryPlan(
            memory: memory,
            fixed: configuration.weightBytes(options.precision, stored: checkpoint.byteCount)
                + configuration.activationBytes,
            tokenBytes: configuration.cacheBytes(options.precision), context: configuration.decoder.maxPositions)
        batch = SequenceBatch(model, pool: model.makePool(tokens: plan.tokens))
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
        let result: Result<Recognition, InferenceError> = await withCheckedContinuation { continuation in
            // Pixels are prepared beside the pages that are being decoded.
            DispatchQueue.global(qos: .userInitiated).async {
                do throws(InferenceError) {
                    self.arrive(
                        try self.prepare(image, request: request, isCancelled: isCancelled, answer: continuation))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private func prepare(
        _ image: RGBImage, request: RecognitionRequest, isCancelled: @escaping @Sendable () -> Bool,
        answer: CheckedContinuation<Result<Recognition, InferenceError>, Never>
    ) throws(InferenceError) -> PageRequest {
        let clock = ContinuousClock()
        let started = clock.now
        let prepared = Preprocessor.prepare(image, geometry: request.mode.geometry)
        let prompt = try Prompt.ids(
            request.prompt, tokenCounts: [prepared.tokenCount], tokenizer: tokenizer,
            bos: configuration.decoder.beginToken, imageToken: configuration.imageToken)
        try checkLength(prompt)
        return PageRequest(
            image: prepared, prompt: prompt,
            options: GenerationOptions(maxNewTokens: request.maxNewTokens, rule: request.rule),
            prepareSeconds: (clock.now - started) / .seconds(1), isCancelled: isCancelled, answer: answer)
    }

    /// Hands a page to the engine's thread, and starts it where it rests.
    private func arrive(_ page: PageRequest) {
        let mustStart = arrivals.withLock { arrivals in
            arrivals.pages.append(page)
            defer { arrivals.isRunning = true }
            return !arrivals.isRunning
        }
        if mustStart { queue.async { self.run() } }
    }

    // MARK: - On the engine's thread

    /// Works until there is nothing left.
    private func run() {
        while true {
            while batch.count < plan.pages, let page = nextArrival() { begin(page) }
            if batch.count == 0 {
                let isDone = arrivals.withLock { arrivals in
                    if arrivals.pages.isEmpty { arrivals.isRunning = false }
                    return arrivals.pages.isEmpty
                }
                if isDone { return }
                continue
            }
            do throws(InferenceError) {
                for sequence in try batch.step() { finish(sequence) }
            } catch {
                fail(error)
            }
        }
    }

    private func nextArrival() -> PageRequest? {
        arrivals.withLock { $0.pages.isEmpty ? nil : $0.pages.removeFirst() }
    }

    /// Encodes a page and lets it join the batch.
    private func begin(_ page: PageRequest) {
        do throws(InferenceError) {
            if page.isCancelled() { throw .cancelled }
            let clock = ContinuousClock()
            let started = clock.now
            let embeddings = try model.encodeImage(page.image, isCancelled: page.isCancelled)
            let sequence = try TextSequence<CPUBackend>(
                prompt: page.prompt, images: [embeddings], options: page.options,
                configuration: configuration.decoder, cache: batch.makeCache(), isCancelled: page.isCancelled)
            let decoding = Decoding(
                page: page, encodeSeconds: page.prepareSeconds + (clock.now - started) / .seconds(1))
            jobs[ObjectIdentifier(sequence)] = decoding
            if sequence.isFinished { finish(sequence) } else { batch.join(sequence) }
        } catch {
            page.answer.resume(returning: .failure(error))
        }
    }

    private func finish(_ sequence: TextSequence<CPUBackend>) {
        guard let decoding = jobs.removeValue(forKey: ObjectIdentifier(sequence)) else { return }
        guard sequence.isFinished else { return decoding.page.answer.resume(returning: .failure(.cancelled)) }
        let generation = sequence.generation
        decoding.page.answer.resume(
            returning: .success(
                Recognition(
                    rawText: tokenizer.decode(generation.tokens), tokens: generation.tokens,
                    promptTokens: sequence.prompt.count, imageTokens: decoding.page.image.tokenCount,
                    reachedEnd: generation.reachedEnd, encodeSeconds: decoding.encodeSeconds,
                    prefillSeconds: generation.prefillSeconds, decodeSeconds: generation.decodeSeconds)))
    }

    /// Answers all pages of the batch with an error, and begins an empty one.
    private func fail(_ error: InferenceError) {
        for decoding in jobs.values { decoding.page.answer.resume(returning: .failure(error)) }
        jobs = [:]
        batch = SequenceBatch(model, pool: model.makePool(tokens: plan.tokens))
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

/// A page that somebody waits for.
private struct PageRequest: Sendable {
    let image: PreparedImage
    let prompt: [Int32]
    let options: GenerationOptions
    let prepareSeconds: Double
    let isCancelled: @Sendable () -> Bool
    let answer: CheckedContinuation<Result<Recognition, InferenceError>, Never>
}

/// What is known of a page when it begins to be decoded.
private struct Decoding {
    let page: PageRequest
    let encodeSeconds: Double
}
