/// Everything besides a page's own pixels that decides its result.
///
/// Results are shared by all batches of one pipeline.
package struct Pipeline: Sendable, Hashable, Codable {
    /// SHA-256 of the model's files, see `ModelDigest`.
    package var modelDigest: String
    /// Name of the resolution mode: tiny, small, base, large, gundam, gundam-m.
    package var mode: String
    /// The user text, `<image>` included.
    package var prompt: String
    /// The most tokens that a page may generate.
    package var maxNewTokens: Int
    /// Dots an inch at which vector PDF pages are rendered.
    package var pdfDPI: Int
    /// `QuireVersion.engine` of the submitting program.
    package var engineVersion: String
    /// What the model's weights are rounded to: f32, bf16 or int8.
    package var precision: String

    package init(
        modelDigest: String, mode: String, prompt: String, maxNewTokens: Int, pdfDPI: Int = 144,
        engineVersion: String = QuireVersion.engine, precision: String = defaultPrecision
    ) {
        self.modelDigest = modelDigest
        self.mode = mode
        self.prompt = prompt
        self.maxNewTokens = maxNewTokens
        self.pdfDPI = pdfDPI
        self.engineVersion = engineVersion
        self.precision = precision
    }

    /// That of programs that are told nothing else.
    package static let defaultPrecision = "bf16"
}

/// What a page is recognised with instead of its batch's pipeline, asked for by `quire retry --mode`.
package struct PipelineOverride: Sendable, Hashable, Codable {
    package var mode: String?
    package var prompt: String?

    package init(mode: String? = nil, prompt: String? = nil) {
        self.mode = mode
        self.prompt = prompt
    }
}
