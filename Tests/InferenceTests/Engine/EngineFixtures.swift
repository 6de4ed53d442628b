import Glibc
import Inference
import SystemPackage
import Testing

extension FixedRandom {
    /// Numbers in -1..<1.
    mutating func floats(_ count: Int, times scale: Float = 1) -> [Float] {
        (0..<count).map { _ in Float.random(in: -1..<1, using: &self) * scale }
    }
}

/// One tensor for a safetensors file that a test writes.
struct TestTensor {
    var name: String
    var type = "F32"
    var shape: [Int]
    var bytes: [UInt8]

    init(_ name: String, _ shape: [Int], _ values: [Float], type: ElementType = .float32) {
        self.name = name
        self.type = type.rawValue
        self.shape = shape
        bytes = values.flatMap { value in
            switch type {
            case .float32: withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
            case .bfloat16: withUnsafeBytes(of: UInt16(value.bitPattern >> 16).littleEndian, Array.init)
            case .float16: withUnsafeBytes(of: Float16(value).bitPattern.littleEndian, Array.init)
            }
        }
    }
}

extension DeepSeekOCR {
    /// An empty sequence with room for so many tokens, in memory of its own.
    func cache(tokens: Int) throws -> B.Cache {
        let cache = backend.makeCache(in: makePool(tokens: tokens))
        try #require(backend.reserve(tokens, in: cache))
        return cache
    }
}

/// A model directory that a test writes and breaks; it goes away with its files.
final class ModelFolder {
    let path: FilePath
    private var names: Set<String> = []

    /// The smallest model that the engine takes.
    static let configuration: ModelConfiguration = {
        var model = ModelConfiguration()
        (model.sam.width, model.sam.layers, model.sam.heads) = (4, 2, 2)
        (model.sam.imageSize, model.sam.windowSize, model.sam.neckChannels) = (64, 3, 4)
        (model.sam.globalAttentionIndexes, model.sam.downsampleChannels) = ([1], [4, 6])
        (model.clip.width, model.clip.layers, model.clip.heads, model.clip.imageSize) = (6, 1, 2, 28)
        (model.decoder.vocabularySize, model.decoder.hiddenSize, model.decoder.intermediateSize) = (12, 8, 6)
        (model.decoder.layers, model.decoder.heads, model.decoder.keyValueHeads) = (2, 2, 1)
        (model.decoder.routedExperts, model.decoder.sharedExperts, model.decoder.expertsPerToken) = (3, 1, 2)
        (model.decoder.expertIntermediateSize, model.decoder.maxPositions) = (4, 64)
        model.imageToken = 5
        return model
    }()

    static let json = """
        {"image_token_id": 5, "vocab_size": 12, "hidden_size": 8, "intermediate_size": 6, "moe_intermediate_size": 4,
         "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "n_routed_experts": 3,
         "n_shared_experts": 1, "num_experts_per_tok": 2, "max_position_embeddings": 64,
         "vision_config": {"width": {
          "sam_vit_b": {"width": 4, "layers": 2, "heads": 2, "global_attn_indexes": [1], "downsample_channels": [4, 6],
                        "image_size": 64, "window_size": 3, "neck_channels": 4},
          "clip-l-14-224": {"width": 6, "layers": 1, "heads": 2, "image_size": 28}}}}
        """

    init() throws {
        var template = Array("/tmp/quire-model-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Errno(rawValue: errno) }
        path = FilePath(platformString: made)
    }

    deinit {
        for name in names { _ = path.appending(name).withPlatformString { unlink($0) } }
        _ = path.withPlatformString { rmdir($0) }
    }

    /// Random tensors that fit the smallest model.
    static func tensors(type: ElementType = .float32) -> [TestTensor] {
        var random = FixedRandom(seed: 5)
        return configuration.expectedTensors.map { expected in
            TestTensor(expected.name, expected.shape, random.floats(expected.shape.reduce(1, *)), type: type)
        }
    }

    /// A whole safetensors file.
    static func file(_ tensors: [TestTensor], padding: Int = 0) -> [UInt8] {
        var entries: [String] = []
        var data: [UInt8] = []
        for tensor in tensors {
            let end = data.count + tensor.bytes.count
            entries.append(
                #""\#(tensor.name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(data.count),\#(end)]}"#
            )
            data += tensor.bytes
        }
        return file(header: "{" + entries.joined(separator: ",") + "}" + String(repeating: " ", count: padding), data)
    }

    /// A safetensors file of a given header, which need not be right.
    static func file(header: String, _ data: [UInt8] = []) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8) + data
    }

    func write(_ bytes: [UInt8], to name: String) throws {
        names.insert(name)
        let file = try FileDescriptor.open(
            path.appending(name), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }

    func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    /// Everything that is wrong with the weights; empty if nothing is.
    func problems() throws -> [String] {
        do {
            _ = try Checkpoint(directory: path, configuration: Self.configuration)
            return []
        } catch InferenceError.badTensors(_, let problems) {
            return problems
        }
    }
}
