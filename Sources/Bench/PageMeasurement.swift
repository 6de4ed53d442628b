import Inference
import Parity

/// One page through the model, each part timed.
struct PageMeasurement {
    struct Part {
        let name: String
        let seconds: Double
        let operations: Double
    }

    private(set) var parts: [Part] = []
    let promptTokens: Int
    let decodedTokens: Int

    /// Prepares a made-up page, encodes it, runs the prompt and decodes `tokens` tokens.
    init(_ model: DeepSeekOCR<CPUBackend>, mode: ResolutionMode, tokens: Int) throws {
        let costs = ModelCosts(model.configuration)
        let clock = ContinuousClock()
        var started = clock.now
        func seconds() -> Double {
            defer { started = clock.now }
            return (clock.now - started) / .seconds(1)
        }
        let page = SamplePage.image()
        started = clock.now
        let prepared = Preprocessor.prepare(page, geometry: mode.geometry)
        parts.append(Part(name: "prepare", seconds: seconds(), operations: 0))

        let embeddings = try model.encodeImage(prepared)
        parts.append(Part(name: "encode", seconds: seconds(), operations: costs.encoding(prepared)))

        let prompt = SamplePage.prompt(for: prepared, model.configuration)
        let cache = model.backend.makeCache(in: model.makePool(tokens: prompt.count + tokens))
        _ = model.backend.reserve(prompt.count + tokens, in: cache)
        func next(_ ids: [Int32], images: [CPUTensor]) throws -> Int32 {
            let hidden = try model.advance(try model.embed(ids, images: images), rows: [ids.count], caches: [cache])
            return model.choose(hidden, banned: [[model.configuration.imageToken]])[0]
        }
        var token = try next(prompt, images: [embeddings])
        parts.append(Part(name: "prefill", seconds: seconds(), operations: costs.prefill(tokens: prompt.count)))

        for _ in 0..<tokens { token = try next([token], images: []) }
        let operations = (1...tokens).reduce(0) { $0 + costs.decoding(context: prompt.count + $1) }
        parts.append(Part(name: "decode", seconds: seconds(), operations: operations))
        promptTokens = prompt.count
        decodedTokens = tokens
    }

    /// The seconds that a page takes if its text has `pageTokens` tokens.
    func pageSeconds(pageTokens: Int) -> Double {
        parts.reduce(0) { sum, part in
            sum + (part.name == "decode" ? part.seconds / Double(decodedTokens) * Double(pageTokens) : part.seconds)
        }
    }
}
