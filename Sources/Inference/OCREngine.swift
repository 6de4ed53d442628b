private import Synchronization
package import SystemPackage

/// A loaded model that reads pages, one at a time.
///
/// Every call blocks until its page is read: call it from a thread of your own, never from the cooperative pool.
///
/// `@unchecked Sendable`: the model is used only while `lock` is held, and everything else is constant.
package final class OCREngine: @unchecked Sendable {
    package let directory: FilePath
    package let configuration: ModelConfiguration
    /// How the model wants to be asked.
    package let defaults: ModelDefaults
    package let tokenizer: Tokenizer
    /// Tensors of the checkpoint that the model has no use for.
    package let unusedTensors: [String]
    /// The instruction set of the kernels in use.
    package let instructionSet: String
    private let lock = Mutex(())
    private let model: DeepSeekOCR<CPUBackend>

    /// Loads a model directory in Hugging Face's layout.
    ///
    /// - Parameters:
    ///   - directory: holds `config.json`, `tokenizer.json`, the weights and perhaps `quire.json`.
    ///   - threads: how many threads compute.
    /// - Throws: an error that names the file and everything wrong with it.
    package init(directory: FilePath, threads: Int) throws(InferenceError) {
        self.directory = directory
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
        let backend = CPUBackend(threads: threads)
        instructionSet = backend.kernels.name
        model = try DeepSeekOCR(checkpoint: checkpoint, configuration: configuration, backend: backend)
    }

    /// The ids that the windowed n-gram rules never ban: those of table cells.
    package var exemptTokens: Set<Int32> { Set(["<td>", "</td>"].compactMap(tokenizer.id(of:))) }

    /// The model's own defaults with the n-gram rule for images.
    package var defaultRequest: RecognitionRequest {
        RecognitionRequest(
            mode: defaults.mode, prompt: defaults.prompt, maxNewTokens: defaults.maxNewTokens,
            rule: .image(exempt: exemptTokens))
    }

    /// Reads one page.
    ///
    /// - Parameters:
    ///   - image: the page's pixels.
    ///   - request: how to look at it, and what to ask.
    ///   - isCancelled: asked every few milliseconds to seconds, between layers and tokens.
    /// - Returns: The answer with what it took.
    /// - Throws: `badRequest` for a prompt that does not fit, `cancelled`.
    package func recognise(
        _ image: RGBImage, request: RecognitionRequest, isCancelled: @escaping () -> Bool = { false }
    ) throws(InferenceError) -> Recognition {
        let clock = ContinuousClock()
        let prepareStarted = clock.now
        let prepared = Preprocessor.prepare(image, geometry: request.mode.geometry)
        let prepareSeconds = (clock.now - prepareStarted) / .seconds(1)
        let prompt = try Prompt.ids(
            request.prompt, tokenCounts: [prepared.tokenCount], tokenizer: tokenizer,
            bos: configuration.decoder.beginToken, imageToken: configuration.imageToken)
        try checkLength(prompt)
        let options = GenerationOptions(maxNewTokens: request.maxNewTokens, rule: request.rule)
        let (generation, encodeSeconds) = try lock.withLock { _ throws(InferenceError) in
            let encodeStarted = clock.now
            let embeddings = try model.encodeImage(prepared, isCancelled: isCancelled)
            let encodeSeconds = prepareSeconds + (clock.now - encodeStarted) / .seconds(1)
            let generation = try model.generate(
                prompt: prompt, images: [embeddings], options: options, isCancelled: isCancelled)
            return (generation, encodeSeconds)
        }
        return Recognition(
            rawText: tokenizer.decode(generation.tokens), tokens: generation.tokens, promptTokens: prompt.count,
            imageTokens: prepared.tokenCount, reachedEnd: generation.reachedEnd, encodeSeconds: encodeSeconds,
            prefillSeconds: generation.prefillSeconds, decodeSeconds: generation.decodeSeconds)
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
