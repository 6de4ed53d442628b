import Inference
import Parity
import SystemPackage
import Testing

@Suite struct ModelConfigurationTests {
    private func read(_ json: String) throws -> ModelConfiguration {
        let folder = try ModelFolder()
        try folder.write(json, to: "config.json")
        return try ModelConfiguration(contentsOf: folder.path.appending("config.json"))
    }

    /// What is wrong with a configuration; empty if it can be used.
    private func reason(_ json: String) throws -> String {
        do {
            _ = try read(json)
            return ""
        } catch InferenceError.badConfiguration(let path, let reason) {
            #expect(path.lastComponent == "config.json")
            return reason
        }
    }

    @Test func `absent keys mean the released model`() throws {
        #expect(try read("{}") == ModelConfiguration())
        #expect(
            try read(#"{"rope_scaling": null, "n_shared_experts": null, "topk_method": "greedy"}"#)
                == ModelConfiguration())
    }

    @Test func `sizes are read, and the top level wins over language_config`() throws {
        #expect(try read(ModelFolder.json) == ModelFolder.configuration)
        let model = try read(#"{"language_config": {"hidden_size": 640, "rms_norm_eps": 1e-5}, "hidden_size": 320}"#)
        #expect(model.decoder.hiddenSize == 320 && model.decoder.normEpsilon == 1e-5)
    }

    @Test func `the configurations of the fixtures are read`() throws {
        let odd = try ModelConfiguration(contentsOf: Fixtures.golden.path.appending("odd-f32/config.json"))
        #expect(odd.decoder.headWidth == 12 && odd.decoder.denseLayers == 2 && odd.imageToken == 95)
        #expect(odd.sam.windowSize == 5 && odd.sam.tableSide == 16 && odd.clip.tableSide == 7)
    }

    @Test(arguments: [
        (#"{"topk_method": "noaux_tc"}"#, "greedy"), (#"{"scoring_func": "sigmoid"}"#, "softmax"),
        (#"{"use_mla": true}"#, "latent"), (#"{"rope_scaling": {"type": "yarn"}}"#, "rope_scaling"),
        (#"{"hidden_act": "gelu"}"#, "SiLU"), (#"{"attention_bias": true}"#, "attention_bias"),
        (#"{"tie_word_embeddings": true}"#, "lm_head"), (#"{"num_key_value_heads": 3}"#, "3 key/value heads"),
        (#"{"num_attention_heads": 3}"#, "hidden_size 1280"), (#"{"hidden_size": 0}"#, "hidden_size is 0"),
        (#"{"hidden_size": 1e30}"#, "hidden_size"), (#"{"vocab_size": "many"}"#, #"vocab_size is "many""#),
        (#"{"num_experts_per_tok": 65}"#, "num_experts_per_tok 65"),
        (#"{"vocab_size": 100}"#, "image_token_id is 128815"),
        (#"{"norm_topk_prob": 1}"#, "norm_topk_prob"), (#"{"rms_norm_eps": -1}"#, "rms_norm_eps"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"heads": 5}}}}"#, "SAM's width 768"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"patch_size": 14}}}}"#, "patches of 16"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"image_size": 1000}}}}"#, "image_size 1000"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"global_attn_indexes": [12]}}}}"#, "global_attn_indexes"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"downsample_channels": [512]}}}}"#, "downsample_channels"),
        (#"{"vision_config": {"width": {"sam_vit_b": {"downsample_channels": [512, 512]}}}}"#, "SAM ends with 512"),
        (#"{"vision_config": {"width": {"clip-l-14-224": {"image_size": 225}}}}"#, "CLIP's image_size 225"),
        (#"{"projector_config": {"projector_type": "mlp"}}"#, "linear projector"),
        (#"{"projector_config": {"input_dim": 1}}"#, "input_dim is 1"), ("[]", "object"), ("{", "not JSON at byte 1"),
    ])
    func `what the engine cannot do is refused in words`(json: String, wanted: String) throws {
        let reason = try reason(json)
        #expect(reason.contains(wanted), "\(reason)")
    }

    @Test func `all problems come together`() throws {
        let reason = try reason(#"{"use_mla": true, "hidden_act": "relu", "hidden_size": -1}"#)
        #expect(reason.contains("use_mla") && reason.contains("hidden_act") && reason.contains("hidden_size"))
    }

    @Test func `a model without quire_json has the released defaults`() throws {
        let folder = try ModelFolder()
        let defaults = try ModelDefaults(directory: folder.path)
        #expect(defaults == ModelDefaults())
        #expect(defaults.mode == .gundam && defaults.prompt.hasPrefix("<image>\n<|grounding|>"))
        try folder.write(#"{"mode": "tiny", "prompt": "<image>\nFree OCR.", "max_new_tokens": 9}"#, to: "quire.json")
        let own = try ModelDefaults(directory: folder.path)
        #expect(own == ModelDefaults(mode: .tiny, prompt: "<image>\nFree OCR.", maxNewTokens: 9))
    }

    @Test(arguments: [
        #"{"mode": "huge"}"#, #"{"prompt": 3}"#, #"{"max_new_tokens": 0}"#, #"{"max_new_tokens": "all"}"#,
        #"{"modus": "tiny"}"#,
        "[]", "{",
    ])
    func `a wrong quire_json is refused`(json: String) throws {
        let folder = try ModelFolder()
        try folder.write(json, to: "quire.json")
        #expect {
            try ModelDefaults(directory: folder.path)
        } throws: { error in
            guard case InferenceError.badConfiguration(let path, _) = error else { return false }
            return path.lastComponent == "quire.json"
        }
    }

    @Test(arguments: [
        "1 2", "\"\\ud800\"", "\"\u{1}\"", "01x", "nul", "{\"a\" 1}", "[1,]", "\"abc", "{\"a\":1,}", "--1", "",
    ])
    func `text that is not JSON is refused`(text: String) {
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: Array(text.utf8)) }
    }

    @Test func `JSON is read with its escapes, and not deeper than sixty-four levels`() throws {
        let value = try JSONValue(
            parsing: Array(#" {"a\n\u00e9\ud83d\ude00": [1, -2.5e1, true, null, "x"], "b": {}} "#.utf8))
        #expect(value["a\né😀"]?.elements == [.number(1), .number(-25), .bool(true), .null, .string("x")])
        #expect(value["b"]?.members?.isEmpty == true)
        let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(throws: JSONValue.SyntaxError.self) { try JSONValue(parsing: Array(deep.utf8)) }
    }
}
