"""DeepSeek-OCR in PyTorch: the yardstick of `make bench-cpu` and `make gpu-check`."""
from pathlib import Path

import torch

from decoder import Decoder
from encoder import DeepEncoder
from sam_attention import by_head
from weights import Config, Weights


class DeepseekOcr:
    def __init__(self, cfg, weights, attend=by_head, decoder=Decoder):
        """`attend` is how SAM's blocks attend (sam_attention.py); `decoder` is Decoder or one that works as it does."""
        self.cfg = cfg
        self.encoder = DeepEncoder(weights, cfg, attend)
        self.decoder = decoder(weights, cfg.text)

    @classmethod
    def load(cls, folder, arithmetic, device="cpu", **parts):
        weights = Weights(folder, arithmetic, device)
        model = cls(Config.load(Path(folder) / "config.json"), weights, **parts)
        weights.close()
        return model

    def prompt(self, ids, images=()):
        """Ids to embeddings [1, n, hidden]; rows of images, already encoded, replace the image tokens in order."""
        ids = torch.tensor([ids], device=self.decoder.device)
        x = self.decoder.embed(ids)
        if images:
            x[ids == self.cfg.image_token_id] = torch.cat(list(images)).to(x.dtype)
        return x
