import Inference
import Parity
import SystemPackage
import Testing

/// The golden checkpoints, loaded at a precision, and what to ask of them.
enum GoldenBench {
    static func model(
        _ name: String = "tiny-bf16", threads: Int = 1, precision: Precision, store: PanelStore? = nil
    ) throws -> DeepSeekOCR<CPUBackend> {
        let directory = Fixtures.golden.path.appending(name)
        let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        return try DeepSeekOCR(
            checkpoint: Checkpoint(directory: directory, configuration: configuration), configuration: configuration,
            backend: CPUBackend(threads: threads, precision: precision, store: store))
    }

    /// A prompt, perhaps with a picture of noise.
    struct Question {
        let prompt: [Int32]
        let image: PreparedImage?
    }

    /// Prompts of unlike lengths, some with pictures, that end within a block of keys, at its end and after it.
    static func questions(_ configuration: ModelConfiguration) -> [Question] {
        var random = FixedRandom(seed: 71)
        let vocabulary = Int32(configuration.decoder.vocabularySize)
        return [(3, 0), (1, 0), (63, 0), (130, 0), (20, 128), (64, 192), (9, 64)].map { text, side in
            let image =
                side == 0
                ? nil
                : PreparedImage(
                    view: .init(side: side, bytes: random.image(width: side, height: side).bytes))
            var prompt = (0..<text).map { _ in Int32.random(in: 2..<vocabulary, using: &random) }
            // What looks like an image in the text is none.
            prompt = prompt.map { $0 == configuration.imageToken ? 2 : $0 }
            prompt.insert(
                contentsOf: Array(repeating: configuration.imageToken, count: image?.tokenCount ?? 0), at: text / 2)
            return Question(prompt: prompt, image: image)
        }
    }
}

extension DeepSeekOCR {
    /// A sequence that asks a question, ready to join a batch.
    func sequence(
        _ question: GoldenBench.Question, _ options: GenerationOptions, cache: B.Cache,
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> TextSequence<B> {
        try TextSequence<B>(
            prompt: question.prompt, images: question.image.map { [try encodeImage($0)] } ?? [], options: options,
            configuration: configuration.decoder, cache: cache, isCancelled: isCancelled)
    }

    /// What the model answers when nobody else asks.
    func answer(_ question: GoldenBench.Question, _ options: GenerationOptions) throws -> [Int32] {
        try generate(
            prompt: question.prompt, images: question.image.map { [try encodeImage($0)] } ?? [], options: options
        ).tokens
    }
}
