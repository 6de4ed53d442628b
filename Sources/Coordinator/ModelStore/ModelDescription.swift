internal import Inference
internal import Shared
package import SystemPackage

/// What a model directory holds, in lines for a person.
package struct ModelDescription: Sendable {
    package let lines: [String]

    /// Reads a directory's files; the weights are mapped, not read.
    ///
    /// `digest` is what `ModelDigest` says of the directory.
    ///
    /// - Throws: `InferenceError` or `ModelStoreError`.
    package init(_ directory: FilePath, digest: String) throws {
        let configuration = try ModelConfiguration(contentsOf: directory.appending("config.json"))
        let defaults = try ModelDefaults(directory: directory)
        let checkpoint = try Checkpoint(directory: directory, configuration: configuration)
        let tensors = configuration.expectedTensors.compactMap { try? checkpoint.tensor($0.name) }
        var lines = ["Model        \(directory.displayText)", "Digest       \(digest)"]
        if let manifest = try ModelManifest.read(directory) {
            lines.append("From         \(manifest.repository) (\(manifest.revisionText)), \(manifest.endpoint)")
        }
        lines += ["", "Parameters"]
        lines += Self.parameters(ParameterCount(configuration))
        let types = Dictionary(grouping: tensors, by: \.type).mapValues { $0.reduce(0) { $0 + $1.count } }
        let weights = types.sorted { $0.value > $1.value }.map { "\($0.key.rawValue) \(Digits.grouped($0.value))" }
        lines += [
            "",
            "Weights      \(tensors.count) tensors, \(ByteCount.text(Int64(checkpoint.byteCount))): "
                + weights.joined(separator: ", "),
        ]
        for (file, tensors) in Dictionary(grouping: tensors, by: \.file).sorted(by: { $0.key < $1.key }) {
            let bytes = tensors.reduce(0) { $0 + $1.count * $1.type.size }
            lines.append("  \(file): \(tensors.count) tensors, \(ByteCount.text(Int64(bytes)))")
        }
        lines += ["", "Sizes"] + Self.sizes(configuration)
        let limit = defaults.maxNewTokens.map { "\($0) new tokens" } ?? "what the context holds beside the prompt"
        lines += [
            "", "Defaults", "  Mode       \(defaults.mode.rawValue)",
            "  Prompt     \(defaults.prompt.debugDescription)",
            "  Limit      \(limit)",
        ]
        self.lines = lines
    }

    private static func parameters(_ count: ParameterCount) -> [String] {
        let parts = [
            ("SAM", count.sam), ("SAM's 16x compressor", count.compressor), ("CLIP", count.clip),
            ("Projector", count.projector), ("Embedding table", count.embeddingTable),
            ("Routed experts", count.routedExperts), ("Rest of the decoder", count.decoderRest), ("Head", count.head),
            ("All", count.total), ("Used for each token", count.usedPerToken),
        ]
        return parts.map { name, number in
            let digits = Digits.grouped(number)
            return "  \(name)" + String(repeating: " ", count: max(1, 40 - name.count - digits.count)) + digits
        }
    }

    private static func sizes(_ configuration: ModelConfiguration) -> [String] {
        let (sam, clip, decoder) = (configuration.sam, configuration.clip, configuration.decoder)
        return [
            "  SAM        width \(sam.width), \(sam.layers) blocks, \(sam.heads) heads",
            "  CLIP       width \(clip.width), \(clip.layers) layers, \(clip.heads) heads",
            "  Decoder    width \(decoder.hiddenSize), \(decoder.layers) layers, \(decoder.heads) heads, "
                + "\(decoder.expertsPerToken) of \(decoder.routedExperts) experts, vocabulary \(decoder.vocabularySize), "
                + "context \(decoder.maxPositions)",
        ]
    }
}
