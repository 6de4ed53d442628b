/// Turns a `config.json` into sizes and collects, as sentences, everything in it that this engine cannot do.
struct ConfigurationReader {
    private(set) var problems: [String] = []

    /// Reads the top level over `language_config`, as Hugging Face's own code does.
    mutating func read(_ document: JSONValue) -> ModelConfiguration {
        var result = ModelConfiguration()
        guard case .object(let top) = document else {
            problems.append("it is not a JSON object")
            return result
        }
        let text = JSONValue.object((document["language_config"]?.members ?? []) + top)
        let vision = document["vision_config"]?["width"]
        readDecoder(text, into: &result.decoder)
        readSAM(vision?["sam_vit_b"] ?? .null, into: &result.sam)
        readCLIP(vision?["clip-l-14-224"] ?? .null, into: &result.clip)
        readToken("image_token_id", of: document, into: &result.imageToken)
        checkFeatures(text)
        guard problems.isEmpty else { return result }
        checkSizes(result)
        guard problems.isEmpty else { return result }
        checkProjector(document["projector_config"] ?? .null, result)
        return result
    }

    private mutating func readDecoder(_ text: JSONValue, into decoder: inout ModelConfiguration.Decoder) {
        readSize("vocab_size", of: text, into: &decoder.vocabularySize)
        readSize("hidden_size", of: text, into: &decoder.hiddenSize)
        readSize("intermediate_size", of: text, into: &decoder.intermediateSize)
        readSize("moe_intermediate_size", of: text, into: &decoder.expertIntermediateSize)
        readSize("num_hidden_layers", of: text, into: &decoder.layers)
        readSize("num_attention_heads", of: text, into: &decoder.heads)
        readSize("num_key_value_heads", of: text, into: &decoder.keyValueHeads)
        readSize("first_k_dense_replace", of: text, into: &decoder.denseLayers, least: 0)
        readSize("moe_layer_freq", of: text, into: &decoder.expertLayerFrequency)
        readSize("n_routed_experts", of: text, into: &decoder.routedExperts)
        readSize("n_shared_experts", of: text, into: &decoder.sharedExperts)
        readSize("num_experts_per_tok", of: text, into: &decoder.expertsPerToken)
        readSize("max_position_embeddings", of: text, into: &decoder.maxPositions)
        readPositive("routed_scaling_factor", of: text, into: &decoder.routedScale)
        readPositive("rms_norm_eps", of: text, into: &decoder.normEpsilon)
        readPositive("rope_theta", of: text, into: &decoder.ropeTheta)
        readToken("bos_token_id", of: text, into: &decoder.beginToken)
        readToken("eos_token_id", of: text, into: &decoder.endToken)
        switch text["norm_topk_prob"] {
        case .bool(let value): decoder.normalisesExpertWeights = value
        case nil, .null: break
        default: problems.append("norm_topk_prob is neither true nor false")
        }
    }

    private mutating func readSAM(_ tower: JSONValue, into sam: inout ModelConfiguration.SAM) {
        readSize("width", of: tower, into: &sam.width)
        readSize("layers", of: tower, into: &sam.layers)
        readSize("heads", of: tower, into: &sam.heads)
        readSize("image_size", of: tower, into: &sam.imageSize)
        readSize("patch_size", of: tower, into: &sam.patchSize)
        readSize("window_size", of: tower, into: &sam.windowSize)
        readSize("neck_channels", of: tower, into: &sam.neckChannels)
        readPositive("mlp_ratio", of: tower, into: &sam.mlpRatio)
        if let indexes = readSizes("global_attn_indexes", of: tower) { sam.globalAttentionIndexes = Set(indexes) }
        if let channels = readSizes("downsample_channels", of: tower) { sam.downsampleChannels = channels }
    }

    private mutating func readCLIP(_ tower: JSONValue, into clip: inout ModelConfiguration.CLIP) {
        readSize("width", of: tower, into: &clip.width)
        readSize("layers", of: tower, into: &clip.layers)
        readSize("heads", of: tower, into: &clip.heads)
        readSize("image_size", of: tower, into: &clip.imageSize)
        readSize("patch_size", of: tower, into: &clip.patchSize)
        readPositive("mlp_ratio", of: tower, into: &clip.mlpRatio)
    }

    // MARK: - What the engine cannot do

    private mutating func checkFeatures(_ text: JSONValue) {
        demand(text, "topk_method", .string("greedy"), "only greedy routing exists here")
        demand(text, "scoring_func", .string("softmax"), "only softmax routing exists here")
        demand(text, "use_mla", .bool(false), "latent attention does not exist here")
        demand(text, "rope_scaling", .null, "scaled rotary positions do not exist here")
        demand(text, "hidden_act", .string("silu"), "only SiLU exists in the decoder")
        demand(text, "attention_bias", .bool(false), "the decoder's attention has no biases here")
        demand(text, "tie_word_embeddings", .bool(false), "lm_head is a tensor of its own here")
    }

    private mutating func demand(_ object: JSONValue, _ key: String, _ wanted: JSONValue, _ reason: String) {
        guard let found = object[key], found != wanted, found != .null else { return }
        problems.append("\(key) is not \(wanted.shortText): \(reason)")
    }

    private mutating func checkSizes(_ model: ModelConfiguration) {
        let (sam, clip, decoder) = (model.sam, model.clip, model.decoder)
        check(sam.width % sam.heads == 0, "SAM's width \(sam.width) does not divide into \(sam.heads) heads")
        check(clip.width % clip.heads == 0, "CLIP's width \(clip.width) does not divide into \(clip.heads) heads")
        check(sam.patchSize == 16, "SAM's patch_size is \(sam.patchSize): views are cut into patches of 16 here")
        check(
            sam.imageSize % sam.patchSize == 0,
            "SAM's image_size \(sam.imageSize) is not a multiple of its patch_size \(sam.patchSize)")
        check(
            clip.imageSize % clip.patchSize == 0,
            "CLIP's image_size \(clip.imageSize) is not a multiple of its patch_size \(clip.patchSize)")
        check(
            sam.globalAttentionIndexes.allSatisfy { $0 < sam.layers },
            "global_attn_indexes names a block that does not exist: there are \(sam.layers)")
        if sam.downsampleChannels.count != 2 || sam.downsampleChannels.contains(0) {
            problems.append("downsample_channels does not hold two sizes")
        } else {
            check(
                sam.downsampleChannels[1] == clip.width,
                "SAM ends with \(sam.downsampleChannels[1]) channels, but CLIP takes \(clip.width)")
        }
        check(sam.hiddenWidth > 0 && clip.hiddenWidth > 0, "mlp_ratio leaves a tower without a hidden layer")
        check(
            decoder.hiddenSize % decoder.heads == 0 && decoder.headWidth % 2 == 0,
            "hidden_size \(decoder.hiddenSize) does not divide into \(decoder.heads) heads of even width")
        check(
            decoder.heads % decoder.keyValueHeads == 0,
            "\(decoder.keyValueHeads) key/value heads do not divide \(decoder.heads) heads")
        check(
            decoder.expertsPerToken <= decoder.routedExperts,
            "num_experts_per_tok \(decoder.expertsPerToken) is more than the \(decoder.routedExperts) experts")
        let tokens = [
            ("bos_token_id", decoder.beginToken), ("eos_token_id", decoder.endToken),
            ("image_token_id", model.imageToken),
        ]
        for (key, id) in tokens where Int(id) >= decoder.vocabularySize {
            problems.append("\(key) is \(id), but vocab_size is \(decoder.vocabularySize)")
        }
    }

    private mutating func checkProjector(_ projector: JSONValue, _ model: ModelConfiguration) {
        demand(projector, "projector_type", .string("linear"), "only the linear projector exists here")
        let inputs = model.clip.width + model.sam.downsampleChannels[1]
        if let found = projector["input_dim"]?.integer, found != inputs {
            problems.append("projector_config.input_dim is \(found), but the two towers give \(inputs)")
        }
        if let found = projector["n_embed"]?.integer, found != model.decoder.hiddenSize {
            problems.append("projector_config.n_embed is \(found), but hidden_size is \(model.decoder.hiddenSize)")
        }
    }

    private mutating func check(_ holds: Bool, _ problem: @autoclosure () -> String) {
        if !holds { problems.append(problem()) }
    }

    // MARK: - Single values

    /// The most that a size may be, so that no product of two overflows.
    private static let largestSize = 1 << 24

    private mutating func readSize(_ key: String, of object: JSONValue, into size: inout Int, least: Int = 1) {
        guard let value = object[key], value != .null else { return }
        guard let number = value.integer, (least...Self.largestSize).contains(number) else {
            problems.append("\(key) is \(value.shortText), not a whole number from \(least) to \(Self.largestSize)")
            return
        }
        size = number
    }

    private mutating func readSizes(_ key: String, of object: JSONValue) -> [Int]? {
        guard let value = object[key], value != .null else { return nil }
        let sizes = value.elements?.compactMap { $0.integer }.filter { (0...Self.largestSize).contains($0) } ?? []
        guard let elements = value.elements, sizes.count == elements.count else {
            problems.append("\(key) is not a list of whole numbers")
            return nil
        }
        return sizes
    }

    private mutating func readPositive(_ key: String, of object: JSONValue, into number: inout Double) {
        guard let value = object[key], value != .null else { return }
        guard case .number(let found) = value, found > 0, found < 1e9 else {
            problems.append("\(key) is \(value.shortText), not a positive number")
            return
        }
        number = found
    }

    private mutating func readToken(_ key: String, of object: JSONValue, into token: inout Int32) {
        guard let value = object[key], value != .null else { return }
        guard let number = value.integer, number >= 0, let id = Int32(exactly: number) else {
            problems.append("\(key) is \(value.shortText), not a token id")
            return
        }
        token = id
    }
}

extension JSONValue {
    /// The value in a few characters, for messages.
    fileprivate var shortText: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): integer.map { "\($0)" } ?? "\(value)"
        case .string(let value): "\"\(value.prefix(40))\""
        case .array: "a list"
        case .object: "an object"
        }
    }
}
