package import Inference

/// How many floating-point operations the model takes: a multiply-add is two; norms, activations and softmax are left
/// out (MODEL.md section 14).
package struct ModelCosts: Sendable {
    private let configuration: ModelConfiguration

    package init(_ configuration: ModelConfiguration) { self.configuration = configuration }

    /// Both towers and the projector over all views of a page.
    package func encoding(_ image: PreparedImage) -> Double {
        view(side: image.view.side) + image.tiles.reduce(0) { $0 + view(side: $1.side) }
    }

    /// Both towers and the projector over one view of `side` pixels.
    package func view(side: Int) -> Double {
        let positions = (side / 64) * (side / 64)
        let joint = configuration.clip.width + configuration.sam.downsampleChannels[1]
        return sam(side: side) + clip(positions: positions)
            + Double(2 * positions * joint * configuration.decoder.hiddenSize)
    }

    /// The decoder over a prompt; scores only of its last token.
    package func prefill(tokens: Int) -> Double {
        (1...max(tokens, 1)).reduce(0) { $0 + decoding(context: $1, withScores: $1 == tokens) }
    }

    /// One token that sees `context` positions, itself included.
    package func decoding(context: Int, withScores: Bool = true) -> Double {
        let decoder = configuration.decoder
        let hidden = decoder.hiddenSize
        let sparse = (0..<decoder.layers).count { decoder.isSparse(layer: $0) }
        let attention = decoder.layers * (2 * 4 * hidden * hidden + 4 * context * hidden)
        let dense = (decoder.layers - sparse) * 2 * 3 * hidden * decoder.intermediateSize
        let active = decoder.expertsPerToken + decoder.sharedExperts
        let experts = sparse * 2 * hidden * (decoder.routedExperts + 3 * decoder.expertIntermediateSize * active)
        return Double(attention + dense + experts + (withScores ? 2 * hidden * decoder.vocabularySize : 0))
    }

    /// Elements of weights that one step reads for `batch` sequences, whose tokens choose their experts evenly.
    package func weightsRead(batch: Int) -> Double {
        let decoder = configuration.decoder
        let hidden = decoder.hiddenSize
        let sparse = (0..<decoder.layers).count { decoder.isSparse(layer: $0) }
        let keyValueWidth = decoder.keyValueHeads * decoder.headWidth
        let attention = decoder.layers * 2 * hidden * (hidden + keyValueWidth)
        let dense = (decoder.layers - sparse) * 3 * hidden * decoder.intermediateSize
        let expert = 3 * hidden * decoder.expertIntermediateSize
        let chosen = Double(decoder.expertsPerToken) / Double(decoder.routedExperts)
        let touched = Double(decoder.routedExperts) * (1 - power(1 - chosen, batch))
        let routed = Double(sparse * expert) * touched
        let always = sparse * (decoder.sharedExperts * expert + decoder.routedExperts * hidden)
        return Double(attention + dense + always + hidden * decoder.vocabularySize) + routed
    }

    /// Elements of keys and values that a token reads which sees `context` positions.
    package func cacheRead(context: Int) -> Double {
        let decoder = configuration.decoder
        return Double(2 * decoder.layers * decoder.keyValueHeads * decoder.headWidth * context)
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1) { value, _ in value * base }
    }

    private func sam(side: Int) -> Double {
        let sam = configuration.sam
        let grid = side / sam.patchSize
        let (n, width, window) = (grid * grid, sam.width, sam.windowSize)
        let paddedSide = (grid + window - 1) / window * window
        func attention(_ tokens: Int, seen: Int, edge: Int) -> Int {
            2 * tokens * width * (4 * width + 2 * seen + 2 * edge)
        }
        let global = sam.globalAttentionIndexes.count
        let windowed = (sam.layers - global) * attention(paddedSide * paddedSide, seen: window * window, edge: window)
        let mlps = sam.layers * 2 * n * 2 * width * sam.hiddenWidth
        let (neck, channels) = (sam.neckChannels, sam.downsampleChannels)
        let patches = n * 3 * sam.patchSize * sam.patchSize * width
        let necks = n * width * neck + n * 9 * neck * neck
        let compressor = n / 4 * 9 * neck * channels[0] + n / 16 * 9 * channels[0] * channels[1]
        return Double(windowed + global * attention(n, seen: n, edge: grid) + mlps + 2 * (patches + necks + compressor))
    }

    private func clip(positions: Int) -> Double {
        let clip = configuration.clip
        let n = positions + 1
        return Double(clip.layers * 2 * n * clip.width * (4 * clip.width + 2 * n + 2 * clip.hiddenWidth))
    }
}
