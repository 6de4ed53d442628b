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
    /// `QuireVersion.current` of the submitting program.
    package var engineVersion: String

    package init(
        modelDigest: String, mode: String, prompt: String, maxNewTokens: Int, pdfDPI: Int = 144,
        engineVersion: String = QuireVersion.current
    ) {
        self.modelDigest = modelDigest
        self.mode = mode
        self.prompt = prompt
        self.maxNewTokens = maxNewTokens
        self.pdfDPI = pdfDPI
        self.engineVersion = engineVersion
    }
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
