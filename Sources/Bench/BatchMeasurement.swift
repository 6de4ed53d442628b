import Inference
import Parity

/// A page whose prompt the decoder has seen.
struct EncodedPage {
    let prepared: PreparedImage
    let promptTokens: Int
    let cache: KeyValueCache
    let encodeSeconds: Double
    let prefillSeconds: Double
}

/// Pages decoded together, measured at some depths of their text.
struct BatchMeasurement {
    /// Where in a page's text steps are timed, as parts of its length: the middles of five equal parts.
    static let depths = [0.1, 0.3, 0.5, 0.7, 0.9]

    private let model: DeepSeekOCR<CPUBackend>
    private let mode: ResolutionMode
    private let pageTokens: Int
    private let pool: KeyValuePool
    let page: EncodedPage

    /// Encodes a made-up page and runs its prompt; the better of `runs` runs.
    init(_ model: DeepSeekOCR<CPUBackend>, mode: ResolutionMode, pageTokens: Int, batch: Int, runs: Int = 2) throws {
        self.model = model
        self.mode = mode
        self.pageTokens = pageTokens
        let prepared = Preprocessor.prepare(SamplePage.image(), geometry: mode.geometry)
        let prompt = SamplePage.prompt(for: prepared, model.configuration)
        pool = model.makePool(tokens: (batch + 1) * (prompt.count + pageTokens + 2 * KeyValuePool.tokensOfBlock))
        var best = EncodedPage?.none
        for _ in 0..<runs {
            let run = try Self.encode(prepared, prompt, model, pool)
            best = EncodedPage(
                prepared: prepared, promptTokens: prompt.count, cache: run.cache,
                encodeSeconds: min(run.encodeSeconds, best?.encodeSeconds ?? .infinity),
                prefillSeconds: min(run.prefillSeconds, best?.prefillSeconds ?? .infinity))
        }
        guard let best else { preconditionFailure("there is at least one run") }
        page = best
    }

    private static func encode(
        _ prepared: PreparedImage, _ prompt: [Int32], _ model: DeepSeekOCR<CPUBackend>, _ pool: KeyValuePool
    ) throws -> EncodedPage {
        let clock = ContinuousClock()
        let started = clock.now
        let embeddings = try model.encodeImage(prepared)
        let encoded = clock.now
        let cache = model.backend.makeCache(in: pool)
        guard cache.reserve(prompt.count) else { throw BenchError.noRoom }
        let hidden = try model.advance(
            try model.embed(prompt, images: [embeddings]), rows: [prompt.count], caches: [cache])
        _ = model.choose(hidden, banned: [[]])
        return EncodedPage(
            prepared: prepared, promptTokens: prompt.count, cache: cache,
            encodeSeconds: (encoded - started) / .seconds(1), prefillSeconds: (clock.now - encoded) / .seconds(1))
    }

    /// Seconds of one step for `batch` pages with so much of their text; the middle one of some steps.
    func stepSeconds(batch: Int, depth: Double) throws -> Double {
        let seconds = try stepTimes(batch: batch, depth: depth) { $0 }
        return seconds.sorted()[seconds.count / 2]
    }

    /// Times some steps for `batch` pages with so much of their text; what `body` makes of each step's seconds.
    private func stepTimes(batch: Int, depth: Double, _ body: (Double) -> Double) throws -> [Double] {
        let tokens = page.promptTokens + Int(depth * Double(pageTokens))
        let caches = (0..<batch).map { _ in model.backend.makeCache(in: pool) }
        for cache in caches {
            guard cache.fill(from: page.cache, tokens: tokens) else { throw BenchError.noRoom }
        }
        let clock = ContinuousClock()
        let rows = Array(repeating: 1, count: batch)
        var random = TokenSequence(vocabulary: model.configuration.decoder.vocabularySize)
        var results: [Double] = []
        let begun = clock.now
        while results.count < 4 || (results.count < 24 && clock.now - begun < .seconds(1)) {
            // Unlike tokens choose unlike experts, as different pages do.
            let ids = caches.map { _ in random.next() }
            for cache in caches {
                guard cache.reserve(cache.count + 1) else { throw BenchError.noRoom }
            }
            let started = clock.now
            let hidden = try model.advance(try model.embed(ids), rows: rows, caches: caches)
            _ = model.choose(hidden, banned: Array(repeating: [], count: batch))
            results.append(body((clock.now - started) / .seconds(1)))
        }
        // The first step is left out: it makes buffers for a new number of rows.
        return Array(results.dropFirst())
    }

    /// What of the memory's speed decoding alone uses: bytes that a step must read a second, over `bandwidth`.
    ///
    /// Each step is compared with a read just after it, as on a shared machine the speed of memory changes by the second;
    /// the middle one of all pairs. `bytes` says what a step with so much context must read.
    func bandwidthShare(bytes: (_ context: Int) -> Double, bandwidth: () -> Double) throws -> Double {
        var shares: [Double] = []
        for depth in Self.depths {
            let context = page.promptTokens + Int(depth * Double(pageTokens))
            shares += try stepTimes(batch: 1, depth: depth) { bytes(context) / $0 / bandwidth() }
        }
        return shares.sorted()[shares.count / 2]
    }

    /// Seconds of a page when `batch` pages are always decoded together.
    func pageSeconds(batch: Int) throws -> Double {
        let steps = try Self.depths.map { try stepSeconds(batch: batch, depth: $0) }
        let mean = steps.reduce(0, +) / Double(steps.count)
        return page.encodeSeconds + page.prefillSeconds + mean * Double(pageTokens) / Double(batch)
    }
}

/// Why something cannot be measured.
enum BenchError: Error, CustomStringConvertible {
    case noRoom
    case unwritable(path: String, reason: String)

    var description: String {
        switch self {
        case .noRoom: "There are too few blocks for the keys and values of all pages: choose a smaller batch."
        case .unwritable(let path, let reason): "\(path) cannot be written: \(reason)."
        }
    }
}

/// Token ids that look random and are the same each time.
struct TokenSequence {
    let vocabulary: Int
    private var state: UInt64 = 1

    init(vocabulary: Int) { self.vocabulary = vocabulary }

    mutating func next() -> Int32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int32((state >> 33) % UInt64(vocabulary))
    }
}
