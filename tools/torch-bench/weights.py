"""Sizes and weights of a model directory in Hugging Face's layout."""
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class SamConfig:
    width: int = 768
    layers: int = 12
    heads: int = 12
    global_attn_indexes: tuple = (2, 5, 8, 11)
    downsample_channels: tuple = (512, 1024)
    image_size: int = 1024      # what the position tables were made for
    patch_size: int = 16
    window_size: int = 14
    neck_channels: int = 256


@dataclass
class ClipConfig:
    width: int = 1024
    layers: int = 24
    heads: int = 16
    image_size: int = 224
    patch_size: int = 14


@dataclass
class TextConfig:
    vocab_size: int = 129280
    hidden_size: int = 1280
    intermediate_size: int = 6848
    moe_intermediate_size: int = 896
    num_hidden_layers: int = 12
    num_attention_heads: int = 10
    num_key_value_heads: int = 10
    first_k_dense_replace: int = 1
    moe_layer_freq: int = 1
    n_routed_experts: int = 64
    n_shared_experts: int = 2
    num_experts_per_tok: int = 6
    norm_topk_prob: bool = False
    routed_scaling_factor: float = 1.0
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 8192
    bos_token_id: int = 0
    eos_token_id: int = 1

    @property
    def head_width(self):
        return self.hidden_size // self.num_attention_heads

    def is_sparse(self, layer):
        return layer >= self.first_k_dense_replace and layer % self.moe_layer_freq == 0


@dataclass
class Config:
    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    text: TextConfig = field(default_factory=TextConfig)
    image_token_id: int = 128815

    @classmethod
    def load(cls, path):
        """Reads config.json; keys that it leaves out keep the released model's values."""
        raw = json.loads(Path(path).read_text())

        def pick(kind, source):
            known = {k: v for k, v in source.items() if k in kind.__dataclass_fields__ and v is not None}
            return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})

        text = {**raw.get("language_config", {}), **raw}   # the top level wins
        towers = raw.get("vision_config", {}).get("width", {})
        return cls(pick(SamConfig, towers.get("sam_vit_b", {})), pick(ClipConfig, towers.get("clip-l-14-224", {})),
                   pick(TextConfig, text), raw.get("image_token_id", cls.image_token_id))


class Weights:
    """Tensors by name, each copied into memory of its own in the element type asked for."""

    def __init__(self, folder, arithmetic, device="cpu"):
        from safetensors import safe_open   # here, since random weights do without
        folder = Path(folder)
        self.arithmetic, self.device = arithmetic, device
        index = folder / "model.safetensors.index.json"
        files = json.loads(index.read_text())["weight_map"].values() if index.exists() else ["model.safetensors"]
        self.open = [safe_open(folder / name, framework="pt") for name in sorted(set(files))]
        self.where = {name: file for file in self.open for name in file.keys()}

    def close(self):
        self.open, self.where = [], {}

    def matrix(self, *names):
        """Weights of a product, [out, in], those of several names stacked along the outputs."""
        return self._copy(names, self.arithmetic.weights)

    def small(self, name):
        """Norms, biases, tables, convolutions: in the element type of activations."""
        return self._copy([name], self.arithmetic.activations)

    def _copy(self, names, dtype):
        parts = [self.where[name].get_slice(name) for name in names]
        shapes = [part.get_shape() for part in parts]
        out = torch.empty(sum(shape[0] for shape in shapes), *shapes[0][1:], dtype=dtype, device=self.device)
        start = 0
        for name, shape in zip(names, shapes):
            out[start:start + shape[0]] = self.where[name].get_tensor(name)
            start += shape[0]
        return out
