package import Inference

/// How many parameters each part of a model has, from its configuration alone.
package struct ParameterCount: Sendable {
    /// SAM without its compressor.
    package private(set) var sam = 0
    /// The two convolutions behind SAM (`net_2` and `net_3`).
    package private(set) var compressor = 0
    package private(set) var clip = 0
    /// With the newline and separator vectors.
    package private(set) var projector = 0
    package private(set) var embeddingTable = 0
    package private(set) var routedExperts = 0
    /// Attention, norms, routers, dense and shared MLPs.
    package private(set) var decoderRest = 0
    package private(set) var head = 0
    private let usedShareOfExperts: (used: Int, all: Int)

    /// Counts what the configuration asks for.
    package init(_ configuration: ModelConfiguration) {
        usedShareOfExperts = (configuration.decoder.expertsPerToken, configuration.decoder.routedExperts)
        for tensor in configuration.expectedTensors {
            self[keyPath: Self.part(of: tensor.name)] += tensor.shape.reduce(1, *)
        }
    }

    package var decoder: Int { embeddingTable + routedExperts + decoderRest + head }

    package var total: Int { sam + compressor + clip + projector + decoder }

    /// What one token passes through, without the embedding table (MODEL.md section 2: 574 million).
    package var usedPerToken: Int {
        decoderRest + head + routedExperts / usedShareOfExperts.all * usedShareOfExperts.used
    }

    private static func part(of name: String) -> WritableKeyPath<ParameterCount, Int> {
        if name.hasPrefix("model.sam_model.net_") { return \.compressor }
        if name.hasPrefix("model.sam_model.") { return \.sam }
        if name.hasPrefix("model.vision_model.") { return \.clip }
        if name.hasPrefix("model.projector.") { return \.projector }
        if name == "model.image_newline" || name == "model.view_seperator" { return \.projector }
        if name == "model.embed_tokens.weight" { return \.embeddingTable }
        if name == "lm_head.weight" { return \.head }
        return name.contains(".mlp.experts.") ? \.routedExperts : \.decoderRest
    }
}
