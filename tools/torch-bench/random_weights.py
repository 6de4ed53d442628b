"""Random weights of a model's shape: those that `quire-bench weights` writes, bit for bit, made where they are used.

All tensors are one long row of elements, in the order of their list, each a function of the seed and its place alone.
"""
import torch

PIECE = 1 << 26     # elements made at a time: their counters take 512 MB


def fill(out, first, centre, width, seed=1):
    """Makes bfloat16 elements of places `first` on, as quire_fill_random_bf16 does."""
    assert out.dtype == torch.bfloat16 and out.is_contiguous()
    out = out.view(-1).view(torch.int16)
    low = 0xFFFFFFFF
    for start in range(0, len(out), PIECE):
        part = out[start:start + PIECE]
        begin = first + start
        base = (begin & low) + (begin >> 32) * 0x85EBCA6B
        # The low 32 bits of a 64-bit product that wraps are right.
        z = torch.arange(len(part), dtype=torch.int64, device=out.device)
        z.add_(base & low).mul_(0x9E3779B1).add_((seed ^ seed >> 32) & low).bitwise_and_(low)
        z.bitwise_xor_(z >> 16).mul_(0x85EBCA6B).bitwise_and_(low)
        z.bitwise_xor_(z >> 13).mul_(0xC2B2AE35).bitwise_and_(low)
        value = (z >> 9 | 1).float().mul_(2.0 ** -22).sub_(1.0).mul_(width).add_(centre)
        part.copy_((value.view(torch.int32) + 0x8000) >> 16)


def tensors(cfg):
    """Every tensor of the model, (name, shape), in the order of their elements."""
    sam, clip, text = cfg.sam, cfg.clip, cfg.text
    hidden = text.hidden_size

    def linear(name, outputs, inputs):
        yield f"{name}.weight", (outputs, inputs)
        yield f"{name}.bias", (outputs,)

    def norm(name, width):
        yield f"{name}.weight", (width,)
        yield f"{name}.bias", (width,)

    def gated(name, width):
        yield f"{name}.gate_proj.weight", (width, hidden)
        yield f"{name}.up_proj.weight", (width, hidden)
        yield f"{name}.down_proj.weight", (hidden, width)

    yield "lm_head.weight", (text.vocab_size, hidden)

    prefix, width, neck = "model.sam_model", sam.width, sam.neck_channels
    table = sam.image_size // sam.patch_size
    yield f"{prefix}.pos_embed", (1, table, table, width)
    yield f"{prefix}.patch_embed.proj.weight", (width, 3, sam.patch_size, sam.patch_size)
    yield f"{prefix}.patch_embed.proj.bias", (width,)
    for i in range(sam.layers):
        block = f"{prefix}.blocks.{i}"
        side = table if i in sam.global_attn_indexes else sam.window_size
        yield from norm(f"{block}.norm1", width)
        yield from linear(f"{block}.attn.qkv", 3 * width, width)
        yield from linear(f"{block}.attn.proj", width, width)
        for axis in "hw":
            yield f"{block}.attn.rel_pos_{axis}", (2 * side - 1, width // sam.heads)
        yield from norm(f"{block}.norm2", width)
        yield from linear(f"{block}.mlp.lin1", 4 * width, width)
        yield from linear(f"{block}.mlp.lin2", width, 4 * width)
    first, second = sam.downsample_channels
    yield f"{prefix}.neck.0.weight", (neck, width, 1, 1)
    yield from norm(f"{prefix}.neck.1", neck)
    yield f"{prefix}.neck.2.weight", (neck, neck, 3, 3)
    yield from norm(f"{prefix}.neck.3", neck)
    yield f"{prefix}.net_2.weight", (first, neck, 3, 3)
    yield f"{prefix}.net_3.weight", (second, first, 3, 3)

    prefix, width = "model.vision_model", clip.width
    yield f"{prefix}.embeddings.class_embedding", (width,)
    yield f"{prefix}.embeddings.patch_embedding.weight", (width, 3, clip.patch_size, clip.patch_size)
    yield f"{prefix}.embeddings.position_embedding.weight", ((clip.image_size // clip.patch_size) ** 2 + 1, width)
    yield from norm(f"{prefix}.pre_layrnorm", width)
    for i in range(clip.layers):
        block = f"{prefix}.transformer.layers.{i}"
        yield from linear(f"{block}.self_attn.qkv_proj", 3 * width, width)
        yield from linear(f"{block}.self_attn.out_proj", width, width)
        yield from linear(f"{block}.mlp.fc1", 4 * width, width)
        yield from linear(f"{block}.mlp.fc2", width, 4 * width)
        yield from norm(f"{block}.layer_norm1", width)
        yield from norm(f"{block}.layer_norm2", width)

    yield from linear("model.projector.layers", hidden, clip.width + second)
    yield "model.image_newline", (hidden,)
    yield "model.view_seperator", (hidden,)

    yield "model.embed_tokens.weight", (text.vocab_size, hidden)
    for i in range(text.num_hidden_layers):
        block = f"model.layers.{i}"
        kept = text.num_key_value_heads * text.head_width
        for part, outputs in ("q", hidden), ("k", kept), ("v", kept), ("o", hidden):
            yield f"{block}.self_attn.{part}_proj.weight", (outputs, hidden)
        yield f"{block}.input_layernorm.weight", (hidden,)
        yield f"{block}.post_attention_layernorm.weight", (hidden,)
        if not text.is_sparse(i):
            yield from gated(f"{block}.mlp", text.intermediate_size)
            continue
        yield f"{block}.mlp.gate.weight", (text.n_routed_experts, hidden)
        for expert in range(text.n_routed_experts):
            yield from gated(f"{block}.mlp.experts.{expert}", text.moe_intermediate_size)
        yield from gated(f"{block}.mlp.shared_experts", text.n_shared_experts * text.moe_intermediate_size)
    yield "model.norm.weight", (hidden,)


class RandomWeights:
    """Gives tensors as Weights does."""

    def __init__(self, cfg, arithmetic, device="cpu", seed=1):
        self.arithmetic, self.device, self.seed = arithmetic, device, seed
        self.where, self.count = {}, 0
        for name, shape in tensors(cfg):
            self.where[name] = self.count, shape
            self.count += torch.Size(shape).numel()

    def tensor(self, name):
        """One tensor as it is in a file: bfloat16."""
        _, shape = self.where[name]
        out = torch.empty(shape, dtype=torch.bfloat16, device=self.device)
        self._fill(out, name)
        return out

    def matrix(self, *names):
        return self._stack(names).to(self.arithmetic.weights)

    def small(self, name):
        return self.tensor(name).to(self.arithmetic.activations)

    def _stack(self, names):
        shapes = [self.where[name][1] for name in names]
        rows = [shape[0] for shape in shapes]
        out = torch.empty(sum(rows), *shapes[0][1:], dtype=torch.bfloat16, device=self.device)
        for part, name in zip(out.split(rows), names):
            self._fill(part, name)
        return out

    def _fill(self, out, name):
        first, shape = self.where[name]
        if len(shape) == 1:     # norms' weights lie about 1
            centre, width = (1.0, 0.1) if name.endswith(".weight") else (0.0, 0.02)
        else:                   # matrices keep the variance of what they multiply
            inputs = torch.Size(shape[1:]).numel()
            centre, width = 0.0, (torch.tensor(3.0) / inputs).sqrt().item()
        fill(out, first, centre, width, self.seed)
