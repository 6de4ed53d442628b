package import Inference

extension ModelConfiguration {
    /// A miniature with every part of the released model, for tests of what surrounds it.
    package static var tiny: ModelConfiguration {
        var model = ModelConfiguration()
        (model.sam.width, model.sam.layers, model.sam.heads, model.sam.neckChannels) = (64, 4, 2, 32)
        (model.sam.imageSize, model.sam.windowSize) = (512, 7)
        (model.sam.globalAttentionIndexes, model.sam.downsampleChannels) = ([1, 3], [64, 96])
        (model.clip.width, model.clip.layers, model.clip.heads, model.clip.imageSize) = (96, 2, 3, 112)
        (model.decoder.vocabularySize, model.decoder.hiddenSize, model.decoder.intermediateSize) = (1280, 128, 352)
        (model.decoder.layers, model.decoder.heads, model.decoder.keyValueHeads) = (3, 4, 4)
        (model.decoder.routedExperts, model.decoder.expertsPerToken) = (16, 4)
        model.decoder.expertIntermediateSize = 64
        model.imageToken = 3
        return model
    }
}
