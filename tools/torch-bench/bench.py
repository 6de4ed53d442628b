"""Measures a page through DeepSeek-OCR in PyTorch on a CPU:

    tools/torch-bench/run bench.py --model DIR --dtype f32 --batch 16 --json out/bench/torch.json

`quire-bench weights DIR` writes a directory of the released model's shape. A page is a made-up view of the mode's size,
a prompt (its image tokens, BOS and nine tokens of text) and as many output tokens as asked for. A batch of them is
decoded together. Decoding is timed in the middle of equal parts of the output, a few steps each, on caches filled with
random numbers; each sequence is given tokens of its own, so that rows spread over experts as those of different pages.
"""
import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch

from arithmetic import Arithmetic
from generate import NgramRule, Sequence, choose
from model import DeepseekOcr
from preprocess import MODES, Prepared
from weights import Config

TEXT_TOKENS = 9     # "\n<|grounding|>Convert the document to markdown." in the released vocabulary
RULE = NgramRule(30, 90)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="a model directory in Hugging Face's layout")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="the weights' element type")
    parser.add_argument("--batch", type=int, default=1, help="pages decoded together")
    parser.add_argument("--mode", choices=[m for m in MODES if not MODES[m].crop], default="base")
    parser.add_argument("--tokens", type=int, default=1000, help="output tokens of a page")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--depths", type=int, default=5, help="into how many parts the output is cut")
    parser.add_argument("--steps", type=int, default=3, help="steps timed in each part, after one that is not")
    parser.add_argument("--repeat", type=int, default=2, help="how often encoding and prefill run; the best counts")
    parser.add_argument("--prefill-batch", type=int, help="prompts in one prefill; without it 1 and 4 are tried")
    parser.add_argument("--arithmetic", choices=["auto", "native", "widened"], default="auto",
                        help="for bf16: products of bfloat16, or of weights widened to float32 piece by piece")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    found = parser.parse_args()
    for name in ("batch", "tokens", "threads", "depths", "steps", "repeat", "prefill_batch"):
        value = getattr(found, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return found


def timed(body):
    start = time.perf_counter()
    result = body()
    return time.perf_counter() - start, result


def peak_bytes(reset=False):
    """The most memory that this process has had since the last reset; mapped files count while they are mapped."""
    peak = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return peak


def check_memory(folder, cfg, dtype, slots, capacity):
    """Leaves with a sentence where model and caches do not fit what is free."""
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    text = cfg.text
    cache = 2 * 4 * text.num_hidden_layers * slots * capacity * text.num_key_value_heads * text.head_width
    needed = stored * (2 if dtype == "f32" else 1) + cache + (2 << 30) * (stored > 1 << 30)
    free = next(int(line.split()[1]) << 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    if needed > free:
        sys.exit(f"A batch of {slots} in {dtype} takes about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of memory "
                 "are free. Choose a smaller --batch.")


def yardstick(threads):
    """Operations a second of float32's product of large matrices."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048 ** 3 / min(timed(lambda: a @ b)[0] for _ in range(4))


class Page:
    """What a made-up page brings to the model."""

    def __init__(self, cfg, mode, seed):
        random = torch.Generator().manual_seed(seed)
        side = MODES[mode].base
        self.image = Prepared(torch.rand(3, side, side, generator=random) * 2 - 1)
        n = side // 64
        words = torch.randint(0, cfg.text.vocab_size, (TEXT_TOKENS + 1,), generator=random)
        words = [word for word in words.tolist() if word != cfg.image_token_id][:TEXT_TOKENS]
        self.prompt = [cfg.text.bos_token_id] + [cfg.image_token_id] * (n * (n + 1) + 1) + words


def measure_prefill(model, prompts, group, repeat):
    """Seconds a page for `group` prompts in one pass."""
    x = torch.cat([prompts[i % len(prompts)] for i in range(group)])
    best = float("inf")
    for _ in range(repeat):
        cache = model.decoder.cache(group, x.shape[1])
        best = min(best, timed(lambda: model.decoder.prefill(x, cache).argmax(-1).tolist())[0])
    return best / group


def fill(cache, length):
    """Random keys and values, the same numbers shifted for each sequence; only the first `length` count."""
    random = torch.Generator().manual_seed(1)
    for pair in cache.layers:
        for values in pair:
            _, heads, capacity, width = values.shape
            block = torch.randn(heads, capacity, width, generator=random).to(values.dtype)
            for slot in range(len(values)):
                values[slot] = block.roll(slot * 37 + 1, 1)
    cache.lengths = [length] * len(cache.layers[0][0])


def measure_decode(model, options, prompt_length):
    """Step times at several depths, and how many experts had rows."""
    text = model.cfg.text
    cache = model.decoder.cache(options.batch, prompt_length + max(options.tokens, options.steps + 1))
    fill(cache, 0)
    random = torch.Generator().manual_seed(2)
    sparse = [layer.mlp for i, layer in enumerate(model.decoder.layers) if text.is_sparse(i)]
    results = []
    cache.lengths = [prompt_length] * options.batch
    for _ in range(2):      # the first steps fetch memory from the system
        model.decoder.step(torch.zeros(options.batch, dtype=torch.int64), cache)
    for part in range(options.depths):
        depth = prompt_length + int(options.tokens * (part + 0.5) / options.depths)
        last = prompt_length + options.tokens - options.steps - 1
        start = max(prompt_length, min(depth - options.steps // 2 - 1, last))
        cache.lengths = [start] * options.batch
        # As long a text as the n-gram rule would look at, here.
        histories = [torch.randint(0, text.vocab_size, (start - prompt_length,), generator=random).tolist()
                     for _ in range(options.batch)]
        sequences = [Sequence([], [], RULE, options.tokens, generated=history) for history in histories]
        inputs = torch.randint(0, text.vocab_size, (options.steps + 1, options.batch), generator=random)
        for mlp in sparse:
            mlp.touched = []
        times = [timed(lambda: choose(model.decoder.step(ids, cache), sequences))[0] for ids in inputs]
        touched = [count for mlp in sparse for count in mlp.touched]
        results.append({"depth": depth, "seconds": statistics.median(times[1:]), "all_seconds": times,
                        "experts_touched": statistics.mean(touched) if touched else None})
    return results


@torch.inference_mode()
def measure(options):
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    if not (options.model / "config.json").is_file():
        sys.exit(f"{options.model} holds no config.json: write a model there with `quire-bench weights DIR`.")
    cfg = Config.load(options.model / "config.json")
    page = Page(cfg, options.mode, 1)
    prompt_length = len(page.prompt)
    if prompt_length + options.tokens > cfg.text.max_position_embeddings:
        sys.exit(f"The model holds {cfg.text.max_position_embeddings} tokens, prompt and output together: choose fewer "
                 "--tokens.")
    check_memory(options.model, cfg, options.dtype, options.batch, prompt_length + options.tokens)
    arithmetic = Arithmetic(options.dtype, options.arithmetic)
    before = yardstick(options.threads)
    load_seconds, model = timed(lambda: DeepseekOcr.load(options.model, arithmetic))
    loaded = peak_bytes(reset=True)

    encoding = [timed(lambda: model.encoder(page.image)) for _ in range(options.repeat)]
    encode_seconds, embeddings = min(encoding, key=lambda run: run[0])
    # Pages of one batch differ; shifting the rows is enough for that.
    prompts = [model.prompt(page.prompt, [embeddings.roll(i, 0)]) for i in range(min(options.batch, 4))]
    groups = [options.prefill_batch] if options.prefill_batch else sorted({1, min(options.batch, 4)})
    prefill = {group: measure_prefill(model, prompts, group, options.repeat) for group in groups}
    decode = measure_decode(model, options, prompt_length)

    step = statistics.mean(part["seconds"] for part in decode)
    prefill_seconds = min(prefill.values())
    page_seconds = encode_seconds + prefill_seconds + options.tokens * step / options.batch
    return {
        "what": "torch", "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability(),
        "model": json.loads((options.model / "config.json").read_text()).get("random_weights"),
        "dtype": options.dtype, "arithmetic": arithmetic.way, "native_rows": arithmetic.native_rows,
        "product_seconds": {str(rows): pair for rows, pair in arithmetic.seconds.items()},
        "activations": str(arithmetic.activations).removeprefix("torch."),
        "threads": options.threads, "mode": options.mode, "batch": options.batch, "tokens": options.tokens,
        "prompt_tokens": prompt_length, "load_seconds": load_seconds, "encode_seconds": encode_seconds,
        "encode_all_seconds": [seconds for seconds, _ in encoding],
        "prefill_seconds": prefill_seconds, "prefill_by_group": {str(group): s for group, s in prefill.items()},
        "decode": decode, "step_seconds": step, "tokens_per_second": options.batch / step,
        "page_seconds": page_seconds, "pages_per_hour": 3600 / page_seconds,
        "sgemm_per_second": max(before, yardstick(options.threads)),
        "load_peak_bytes": loaded, "peak_bytes": peak_bytes(),
    }


def show(figures):
    rows = [("pages/hour", f"{figures['pages_per_hour']:.2f}"), ("page s", f"{figures['page_seconds']:.2f}"),
            ("encode s", f"{figures['encode_seconds']:.2f}"), ("prefill s", f"{figures['prefill_seconds']:.2f}"),
            ("step s", f"{figures['step_seconds']:.4f}"), ("tokens/s", f"{figures['tokens_per_second']:.2f}"),
            ("load s", f"{figures['load_seconds']:.1f}"), ("peak GB", f"{figures['peak_bytes'] / 1e9:.2f}"),
            ("sgemm GFLOP/s", f"{figures['sgemm_per_second'] / 1e9:.1f}")]
    print(f"torch {figures['torch']}, {figures['dtype']} ({figures['arithmetic']}), {figures['mode']}, "
          f"batch {figures['batch']}, {figures['threads']} threads, {figures['tokens']} tokens a page")
    for name, value in rows:
        print(f"  {name:16s}{value:>10s}")
    for part in figures["decode"]:
        experts = "" if part["experts_touched"] is None else f", {part['experts_touched']:.1f} experts a layer"
        print(f"  at {part['depth']} tokens: {part['seconds']:.4f} s a step{experts}")


def main():
    found = options()
    figures = measure(found)
    show(figures)
    if found.json:
        found.json.parent.mkdir(parents=True, exist_ok=True)
        found.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
