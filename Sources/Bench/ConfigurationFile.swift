import Inference

/// The text of a `config.json` with a model's sizes, laid out as the released one.
struct ConfigurationFile {
    let text: String

    /// - Parameters:
    ///   - model: the sizes.
    ///   - origin: members, name and JSON value, that say where the weights come from; no reader looks at them.
    init(_ model: ModelConfiguration, origin: [(String, String)]) {
        let language = Self.language(model.decoder)
        let (sam, clip) = (model.sam, model.clip)
        let towers = Self.object([
            (
                "clip-l-14-224",
                Self.object([
                    ("heads", "\(clip.heads)"), ("image_size", "\(clip.imageSize)"), ("layers", "\(clip.layers)"),
                    ("mlp_ratio", "\(clip.mlpRatio)"), ("patch_size", "\(clip.patchSize)"), ("width", "\(clip.width)"),
                ])
            ),
            (
                "sam_vit_b",
                Self.object([
                    ("downsample_channels", "\(sam.downsampleChannels)"),
                    ("global_attn_indexes", "\(sam.globalAttentionIndexes.sorted())"), ("heads", "\(sam.heads)"),
                    ("image_size", "\(sam.imageSize)"), ("layers", "\(sam.layers)"), ("mlp_ratio", "\(sam.mlpRatio)"),
                    ("neck_channels", "\(sam.neckChannels)"), ("patch_size", "\(sam.patchSize)"),
                    ("width", "\(sam.width)"), ("window_size", "\(sam.windowSize)"),
                ])
            ),
        ])
        let projector = Self.object([
            ("input_dim", "\(clip.width + sam.downsampleChannels[1])"), ("model_type", "\"mlp_projector\""),
            ("n_embed", "\(model.decoder.hiddenSize)"), ("projector_type", "\"linear\""),
        ])
        text =
            Self.object(
                [
                    ("architectures", "[\"DeepseekOCRForCausalLM\"]"), ("model_type", "\"deepseek_vl_v2\""),
                    ("torch_dtype", "\"bfloat16\""), ("image_token_id", "\(model.imageToken)"),
                    ("random_weights", Self.object(origin)), ("language_config", Self.object(language)),
                    ("projector_config", projector), ("vision_config", Self.object([("width", towers)])),
                ] + language) + "\n"
    }

    private static func language(_ decoder: ModelConfiguration.Decoder) -> [(String, String)] {
        [
            ("bos_token_id", "\(decoder.beginToken)"), ("eos_token_id", "\(decoder.endToken)"),
            ("first_k_dense_replace", "\(decoder.denseLayers)"), ("hidden_size", "\(decoder.hiddenSize)"),
            ("intermediate_size", "\(decoder.intermediateSize)"),
            ("max_position_embeddings", "\(decoder.maxPositions)"),
            ("moe_intermediate_size", "\(decoder.expertIntermediateSize)"),
            ("moe_layer_freq", "\(decoder.expertLayerFrequency)"), ("n_routed_experts", "\(decoder.routedExperts)"),
            ("n_shared_experts", "\(decoder.sharedExperts)"), ("norm_topk_prob", "\(decoder.normalisesExpertWeights)"),
            ("num_attention_heads", "\(decoder.heads)"), ("num_experts_per_tok", "\(decoder.expertsPerToken)"),
            ("num_hidden_layers", "\(decoder.layers)"), ("num_key_value_heads", "\(decoder.keyValueHeads)"),
            ("rms_norm_eps", "\(decoder.normEpsilon)"), ("rope_theta", "\(decoder.ropeTheta)"),
            ("routed_scaling_factor", "\(decoder.routedScale)"), ("topk_method", "\"greedy\""), ("use_mla", "false"),
            ("vocab_size", "\(decoder.vocabularySize)"),
        ]
    }

    private static func object(_ members: [(String, String)]) -> String {
        let lines = members.map { "\"\($0.0)\": \($0.1)".replacing("\n", with: "\n ") }
        return "{\n " + lines.joined(separator: ",\n ") + "\n}"
    }
}
