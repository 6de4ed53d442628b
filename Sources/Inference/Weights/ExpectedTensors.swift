/// A tensor that a model must have, under its name in the checkpoint.
package struct ExpectedTensor: Sendable, Equatable {
    package let name: String
    package let shape: [Int]

    package init(name: String, shape: [Int]) {
        self.name = name
        self.shape = shape
    }
}

extension ModelConfiguration {
    /// Every tensor of the model with its shape: 2710 for the released one (MODEL.md section 2).
    ///
    /// `patch_embedding` is in every checkpoint though nothing uses it.
    package var expectedTensors: [ExpectedTensor] {
        var list = TensorList()
        list.add("lm_head.weight", decoder.vocabularySize, decoder.hiddenSize)
        addSAM(to: &list)
        addCLIP(to: &list)
        let joint = clip.width + sam.downsampleChannels[1]
        list.addLinear("model.projector.layers", decoder.hiddenSize, joint)
        list.add("model.image_newline", decoder.hiddenSize)
        list.add("model.view_seperator", decoder.hiddenSize)
        addDecoder(to: &list)
        return list.tensors
    }

    private func addSAM(to list: inout TensorList) {
        let prefix = "model.sam_model"
        let (width, neck) = (sam.width, sam.neckChannels)
        list.add("\(prefix).pos_embed", 1, sam.tableSide, sam.tableSide, width)
        list.add("\(prefix).patch_embed.proj.weight", width, 3, sam.patchSize, sam.patchSize)
        list.add("\(prefix).patch_embed.proj.bias", width)
        for layer in 0..<sam.layers {
            let block = "\(prefix).blocks.\(layer)"
            let side = sam.globalAttentionIndexes.contains(layer) ? sam.tableSide : sam.windowSize
            list.addNorm("\(block).norm1", width)
            list.addLinear("\(block).attn.qkv", 3 * width, width)
            list.addLinear("\(block).attn.proj", width, width)
            list.add("\(block).attn.rel_pos_h", 2 * side - 1, sam.headWidth)
            list.add("\(block).attn.rel_pos_w", 2 * side - 1, sam.headWidth)
            list.addNorm("\(block).norm2", width)
            list.addLinear("\(block).mlp.lin1", sam.hiddenWidth, width)
            list.addLinear("\(block).mlp.lin2", width, sam.hiddenWidth)
        }
        list.add("\(prefix).neck.0.weight", neck, width, 1, 1)
        list.addNorm("\(prefix).neck.1", neck)
        list.add("\(prefix).neck.2.weight", neck, neck, 3, 3)
        list.addNorm("\(prefix).neck.3", neck)
        list.add("\(prefix).net_2.weight", sam.downsampleChannels[0], neck, 3, 3)
        list.add("\(prefix).net_3.weight", sam.downsampleChannels[1], sam.downsampleChannels[0], 3, 3)
    }

    private func addCLIP(to list: inout TensorList) {
        let prefix = "model.vision_model"
        list.add("\(prefix).embeddings.class_embedding", clip.width)
        list.add("\(prefix).embeddings.patch_embedding.weight", clip.width, 3, clip.patchSize, clip.patchSize)
        list.add("\(prefix).embeddings.position_embedding.weight", clip.tableSide * clip.tableSide + 1, clip.width)
        list.addNorm("\(prefix).pre_layrnorm", clip.width)
        for layer in 0..<clip.layers {
            let block = "\(prefix).transformer.layers.\(layer)"
            list.addLinear("\(block).self_attn.qkv_proj", 3 * clip.width, clip.width)
            list.addLinear("\(block).self_attn.out_proj", clip.width, clip.width)
            list.addLinear("\(block).mlp.fc1", clip.hiddenWidth, clip.width)
            list.addLinear("\(block).mlp.fc2", clip.width, clip.hiddenWidth)
            list.addNorm("\(block).layer_norm1", clip.width)
            list.addNorm("\(block).layer_norm2", clip.width)
        }
    }

    private func addDecoder(to list: inout TensorList) {
        let hidden = decoder.hiddenSize
        list.add("model.embed_tokens.weight", decoder.vocabularySize, hidden)
        for layer in 0..<decoder.layers {
            let block = "model.layers.\(layer)"
            list.add("\(block).self_attn.q_proj.weight", hidden, hidden)
            list.add("\(block).self_attn.k_proj.weight", decoder.keyValueHeads * decoder.headWidth, hidden)
            list.add("\(block).self_attn.v_proj.weight", decoder.keyValueHeads * decoder.headWidth, hidden)
            list.add("\(block).self_attn.o_proj.weight", hidden, hidden)
            list.add("\(block).input_layernorm.weight", hidden)
            list.add("\(block).post_attention_layernorm.weight", hidden)
            guard decoder.isSparse(layer: layer) else {
                list.addGated("\(block).mlp", hidden, decoder.intermediateSize)
                continue
            }
            list.add("\(block).mlp.gate.weight", decoder.routedExperts, hidden)
            for expert in 0..<decoder.routedExperts {
                list.addGated("\(block).mlp.experts.\(expert)", hidden, decoder.expertIntermediateSize)
            }
            let shared = decoder.expertIntermediateSize * decoder.sharedExperts
            list.addGated("\(block).mlp.shared_experts", hidden, shared)
        }
        list.add("model.norm.weight", hidden)
    }
}

private struct TensorList {
    private(set) var tensors: [ExpectedTensor] = []

    mutating func add(_ name: String, _ shape: Int...) {
        tensors.append(ExpectedTensor(name: name, shape: shape))
    }

    mutating func addLinear(_ name: String, _ outputs: Int, _ inputs: Int) {
        add("\(name).weight", outputs, inputs)
        add("\(name).bias", outputs)
    }

    mutating func addNorm(_ name: String, _ width: Int) {
        add("\(name).weight", width)
        add("\(name).bias", width)
    }

    mutating func addGated(_ name: String, _ width: Int, _ hidden: Int) {
        add("\(name).gate_proj.weight", hidden, width)
        add("\(name).up_proj.weight", hidden, width)
        add("\(name).down_proj.weight", width, hidden)
    }
}
