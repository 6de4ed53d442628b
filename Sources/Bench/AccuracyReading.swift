import Inference
import Parity
import SystemPackage

/// What a model makes of pages at one precision: tokens that it generates freely, and scores along given tokens.
struct AccuracyReading {
    /// One page's.
    struct Page {
        let tokens: [Int32]
        /// The tokens along which the scores were computed.
        let path: [Int32]
        /// Scores before each token of the path, `[path, vocabulary]`.
        let scores: [Float]
        let text: String?
    }

    let pages: [Page]

    /// Reads all pages.
    ///
    /// - Parameters:
    ///   - set: the pages and their model.
    ///   - precision: what weights, keys and values are rounded to.
    ///   - threads: how many compute.
    ///   - paths: tokens to go along; nil goes along the golden tokens, or along those that were generated.
    /// - Throws: where the model cannot be loaded or a page does not fit it.
    init(_ set: AccuracyPages, _ precision: Precision, threads: Int, paths: [[Int32]]? = nil) throws {
        let source = try WeightSource(model: set.model.string, threads: threads)
        let model = try source.load(precision, threads: threads)
        let tokenizer =
            set.pages.contains { $0.truth != nil }
            ? try Tokenizer(contentsOf: set.model.appending("tokenizer.json")) : nil
        pages = try set.pages.enumerated().map { place, page in
            let embeddings = try model.encodeImage(page.image)
            let generation = try model.generate(prompt: page.prompt, images: [embeddings], options: page.options)
            let path = paths?[place] ?? page.golden ?? generation.tokens
            let text = page.truth.flatMap { truth in
                tokenizer.map { tokenizer in
                    // Figures are named as a pipeline names them, since their links are part of the text.
                    PageLayout(text: tokenizer.decode(generation.tokens), width: truth.width, height: truth.height)
                        .markdown { "p0001-\($0).jpg" }
                }
            }
            return Page(
                tokens: generation.tokens, path: path,
                scores: try Self.scores(model, prompt: page.prompt, images: [embeddings], path: path), text: text)
        }
    }

    /// The scores before each token of `path`, all in one pass.
    private static func scores(
        _ model: DeepSeekOCR<CPUBackend>, prompt: [Int32], images: [CPUTensor], path: [Int32]
    ) throws -> [Float] {
        guard !path.isEmpty else { return [] }
        let ids = prompt + path.dropLast()
        let cache = model.backend.makeCache(in: model.makePool(tokens: ids.count))
        guard model.backend.reserve(ids.count, in: cache) else { throw BenchError.noRoom }
        let hidden = try model.advance(
            try model.embed(ids, images: images), rows: [ids.count], caches: [cache], allRows: true)
        let rows = (Int32(prompt.count - 1)..<Int32(ids.count)).map { $0 }
        return model.backend.download(model.scores(model.backend.gatherRows(rows, from: [hidden])))
    }

    /// How far this is from a reading of the same pages in f32.
    func tally(of set: AccuracyPages, against exact: AccuracyReading) -> AccuracyTally {
        var tally = AccuracyTally()
        for ((page, own), exact) in zip(zip(set.pages, pages), exact.pages) {
            let width = exact.path.isEmpty ? 0 : exact.scores.count / exact.path.count
            for place in exact.path.indices {
                let row = (place * width)..<((place + 1) * width)
                let before = (page.options.rule?.overPrompt == true ? page.prompt : []) + exact.path[..<place]
                tally.addScores(
                    own.scores[row], expected: exact.scores[row], banned: page.options.rule?.banned(before) ?? [])
            }
            tally.addTokens(own.tokens, expected: page.golden ?? exact.tokens)
            if let truth = page.truth { tally.addText(own.text ?? "", exact: exact.text ?? "", truth: truth.text) }
        }
        return tally
    }
}
