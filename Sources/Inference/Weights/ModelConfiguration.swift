package import SystemPackage

/// The sizes of a DeepSeek-OCR model, from its `config.json` (MODEL.md section 2).
///
/// Keys that a file leaves out have the released model's values.
package struct ModelConfiguration: Sendable, Equatable {
    /// The SAM tower and its 16x compressor.
    package struct SAM: Sendable, Equatable {
        package var width = 768
        package var layers = 12
        package var heads = 12
        /// The blocks that attend globally; the others attend in windows.
        package var globalAttentionIndexes: Set<Int> = [2, 5, 8, 11]
        /// Channels after `net_2` and `net_3`.
        package var downsampleChannels = [512, 1024]
        /// The side in pixels that the position tables were made for.
        package var imageSize = 1024
        package var patchSize = 16
        package var windowSize = 14
        package var neckChannels = 256
        package var mlpRatio = 4.0

        /// The position table's side in patches.
        package var tableSide: Int { imageSize / patchSize }
        package var hiddenWidth: Int { Int(Double(width) * mlpRatio) }
        package var headWidth: Int { width / heads }
    }

    /// The CLIP tower.
    package struct CLIP: Sendable, Equatable {
        package var width = 1024
        package var layers = 24
        package var heads = 16
        package var imageSize = 224
        package var patchSize = 14
        package var mlpRatio = 4.0

        /// The position table's side in patches.
        package var tableSide: Int { imageSize / patchSize }
        package var hiddenWidth: Int { Int(Double(width) * mlpRatio) }
    }

    /// The mixture-of-experts decoder.
    package struct Decoder: Sendable, Equatable {
        package var vocabularySize = 129_280
        package var hiddenSize = 1280
        package var intermediateSize = 6848
        package var expertIntermediateSize = 896
        package var layers = 12
        package var heads = 10
        package var keyValueHeads = 10
        package var denseLayers = 1
        package var expertLayerFrequency = 1
        package var routedExperts = 64
        package var sharedExperts = 2
        package var expertsPerToken = 6
        package var normalisesExpertWeights = false
        package var routedScale = 1.0
        package var normEpsilon = 1e-6
        package var ropeTheta = 10_000.0
        /// The most tokens, prompt and output together.
        package var maxPositions = 8192
        package var beginToken: Int32 = 0
        package var endToken: Int32 = 1

        package var headWidth: Int { hiddenSize / heads }

        /// Whether a layer has experts rather than one dense MLP.
        package func isSparse(layer: Int) -> Bool { layer >= denseLayers && layer % expertLayerFrequency == 0 }
    }

    package var sam = SAM()
    package var clip = CLIP()
    package var decoder = Decoder()
    /// The id that stands for one image embedding in a prompt.
    package var imageToken: Int32 = 128_815

    /// The released 3B model.
    package init() {}

    /// Reads and checks `config.json`.
    ///
    /// - Throws: `unreadableFile`, or `badConfiguration` with everything that this engine cannot do.
    package init(contentsOf path: FilePath) throws(InferenceError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: MappedFile(path).bytes())
        } catch let error as JSONValue.SyntaxError {
            throw .badConfiguration(path, reason: "it is \(error)")
        } catch let error as InferenceError {
            throw error
        } catch {
            throw .unreadableFile(path, reason: "\(error)")
        }
        var reader = ConfigurationReader()
        self = reader.read(document)
        guard reader.problems.isEmpty else {
            throw .badConfiguration(path, reason: reader.problems.joined(separator: "; "))
        }
    }
}
