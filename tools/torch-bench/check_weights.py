"""Whether the random weights made here are those that Quire makes, bit for bit:

    tools/torch-bench/run check_weights.py [DIR] [--device cpu|cuda]

Without DIR the elements of Quire's miniature (`quire-bench weights --tiny`) are compared with their digest, which a
test of Quire holds too; with it every tensor of a directory that `quire-bench weights` wrote.
"""
import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch

from arithmetic import Arithmetic
from random_weights import RandomWeights
from weights import ClipConfig, Config, SamConfig, TextConfig, Weights

TINY = Config(
    SamConfig(width=64, layers=4, heads=2, global_attn_indexes=(1, 3), downsample_channels=(64, 96), image_size=512,
              window_size=7, neck_channels=32),
    ClipConfig(width=96, layers=2, heads=3, image_size=112),
    TextConfig(vocab_size=1280, hidden_size=128, intermediate_size=352, moe_intermediate_size=64, num_hidden_layers=3,
               num_attention_heads=4, num_key_value_heads=4, n_routed_experts=16, num_experts_per_tok=4),
    image_token_id=3)
# Of all elements of seed 1, in order, as bytes of a file.
TINY_DIGEST = "bd3717daa4a81f95f71876b3f774c9bbe89b677c0a6cb3d7f6662b9f6819fb2d"


def check_digest(device):
    made = RandomWeights(TINY, Arithmetic("bf16", "native"), device)
    digest = hashlib.sha256()
    for name in made.where:
        digest.update(made.tensor(name).view(torch.int16).cpu().numpy().tobytes())
    print(f"the miniature's {len(made.where)} tensors, {made.count} elements: {digest.hexdigest()}")
    return digest.hexdigest() == TINY_DIGEST


def check_folder(folder, device):
    text = json.loads((folder / "config.json").read_text())
    arithmetic = Arithmetic("bf16", "native")
    made = RandomWeights(Config.load(folder / "config.json"), arithmetic, device, text["random_weights"]["seed"])
    stored = Weights(folder, arithmetic, device)
    if sorted(made.where) != sorted(stored.where):
        print(f"{folder} holds other tensors.")
        return False
    wrong = [name for name in made.where
             if not torch.equal(made.tensor(name).view(torch.int16), stored.matrix(name).view(torch.int16))]
    print(f"{len(made.where) - len(wrong)} of {len(made.where)} tensors are equal"
          + (f"; not {', '.join(wrong[:5])}" if wrong else ""))
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--device", default="cpu")
    found = parser.parse_args()
    device = torch.device(found.device)
    sys.exit(not (check_folder(found.folder, device) if found.folder else check_digest(device)))


if __name__ == "__main__":
    main()
