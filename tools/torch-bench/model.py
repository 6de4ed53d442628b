"""DeepSeek-OCR in PyTorch, written for speed on a CPU: the yardstick of `make bench-cpu`."""
from pathlib import Path

import torch

from decoder import Decoder
from encoder import DeepEncoder
from weights import Config, Weights


class DeepseekOcr:
    def __init__(self, folder, arithmetic):
        self.cfg = Config.load(Path(folder) / "config.json")
        weights = Weights(folder, arithmetic)
        self.encoder = DeepEncoder(weights, self.cfg)
        self.decoder = Decoder(weights, self.cfg.text)
        weights.close()

    def prompt(self, ids, images=()):
        """Ids to embeddings [1, n, hidden]; rows of images, already encoded, replace the image tokens in order."""
        ids = torch.tensor([ids])
        x = self.decoder.embed(ids)
        if images:
            x[ids == self.cfg.image_token_id] = torch.cat(list(images)).to(x.dtype)
        return x
