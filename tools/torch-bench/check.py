"""Holds this implementation against golden files: every generated token has to be the same.

    tools/torch-bench/run check.py [GOLDEN] [--dtype f32|bf16] [--decoder loop|graph] [--device cpu|cuda]

All cases are decoded one by one, four together and all together; the scores of each case's first token are compared
too.
"""
import argparse
import functools
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

import preprocess
import sam_attention
from arithmetic import Arithmetic
from decoder import Decoder
from generate import NgramRule, Sequence, generate
from gpu_decoder import GraphDecoder
from model import DeepseekOcr

GOLDEN = Path(__file__).resolve().parents[2] / "Tests/InferenceTests/Fixtures/golden"
DECODERS = {"loop": Decoder, "graph": GraphDecoder}
ATTENDING = {"by-head": sam_attention.by_head, "whole": sam_attention.whole, "folded": sam_attention.folded}


@functools.cache
def prepared(path, mode, max_tiles):
    return preprocess.prepare(preprocess.load(path), mode, max_tiles)


def sequences(golden, cases):
    for case in cases:
        image = prepared(golden / case["image_file"], case["mode"], case["max_tiles"])
        rule = case["rule"]
        if rule:
            rule = NgramRule(rule["size"], rule["window"], frozenset(rule["exempt"]), rule["over_prompt"])
        yield Sequence(case["prompt_ids"], [image], rule or None, len(case["generated"]), case["name"])


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden", nargs="?", type=Path, default=GOLDEN)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--arithmetic", choices=["auto", "native", "widened"], default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--decoder", choices=DECODERS, default="loop",
                        help="loop: bench.py's, and gpu.py's eager one; graph: gpu.py's fair one")
    parser.add_argument("--attend", choices=ATTENDING, default="by-head", help="how SAM's blocks attend")
    return parser.parse_args()


def main():
    found = options()
    torch.set_num_threads(found.threads)
    # Convolutions round to 10 bits of fraction otherwise.
    torch.backends.cudnn.allow_tf32 = False
    failures = 0
    for checkpoint in ("tiny-f32", "tiny-bf16"):
        if not (found.golden / checkpoint / "model.safetensors").exists():
            print(f"{checkpoint}: not in {found.golden}")
            continue
        answers = found.golden / f"generate-{checkpoint}.json"
        if not answers.exists():
            # The two are one model, rounded in one and not in the other, and margins are wide: the answers are the
            # same.
            answers = found.golden / "generate-tiny-bf16.json"
        cases = json.loads(answers.read_text())
        model = DeepseekOcr.load(
            found.golden / checkpoint, Arithmetic(found.dtype, found.arithmetic), torch.device(found.device),
            attend=ATTENDING[found.attend], decoder=DECODERS[found.decoder])
        for slots in (1, 4, len(cases)):
            pages = list(sequences(found.golden, cases))
            generate(model, pages, slots)
            wrong = [s.name for s, case in zip(pages, cases) if s.generated != case["generated"]]
            failures += len(wrong)
            tokens = sum(len(s.generated) for s in pages)
            print(f"{checkpoint} in {found.dtype}, {slots} together: {len(pages) - len(wrong)} of {len(pages)} cases "
                  f"identical, {tokens} tokens in all" + (f"; not {', '.join(wrong)}" if wrong else ""))
        failures += check_scores(found, checkpoint, cases, model)
    sys.exit(1 if failures else 0)


def check_scores(options, checkpoint, cases, model):
    """The scores of each case's first token; in float32 within 5e-5 of the largest."""
    path = options.golden / f"scores-{checkpoint}.safetensors"
    if not path.exists():
        return 0
    stored, worst = load_file(path), 0
    with torch.inference_mode():
        for sequence in sequences(options.golden, cases):
            wanted = stored.get(sequence.name)
            if wanted is None:
                continue
            cache = model.decoder.cache(1, len(sequence.prompt))
            x = model.prompt(sequence.prompt, [model.encoder(image) for image in sequence.images])
            found = model.decoder.prefill(x, cache)[0].cpu()
            allowed = wanted[0].isfinite()
            worst = max(worst, ((found - wanted[0])[allowed].abs().max() / wanted[0][allowed].abs().max()).item())
    limit = 5e-5 if options.dtype == "f32" else 5e-2
    print(f"{checkpoint} in {options.dtype}: first scores differ by {worst:.1e} of the largest (limit {limit:.0e})")
    return int(worst > limit)


if __name__ == "__main__":
    main()
