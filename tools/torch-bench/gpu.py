"""Measures DeepSeek-OCR in PyTorch on a GPU, with random weights of the released model's shape made there:

    python3 gpu.py --json rows.jsonl

First what the device can do: copying memory, multiplying bfloat16. Then, for each mode, pages through the encoder and
prompts through the decoder in groups, and decode steps of --batch pages in the middle of a page's text. Once `fair`, as
PyTorch does it well, once `eager`, as bench.py does it on a CPU. Every figure is the median of some runs by the
device's clock, written as a line of JSON as soon as it is known (docs/gpu.md).
"""
import argparse
import gc
import json
import statistics
import sys
import time
from pathlib import Path

import torch

import sam_attention
from arithmetic import Arithmetic
from check_weights import TINY
from costs import Costs
from decoder import Decoder
from gpu_decoder import SPAN, GraphDecoder, Recorded, fused, plain
from model import DeepseekOcr
from random_weights import RandomWeights
from weights import Config

TEXT_TOKENS = 11        # of a prompt: BOS and ten words
MODES = {"tiny": (512, None), "base": (1024, None), "gundam": (1024, 640)}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="the file to which rows are appended")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a miniature and short runs, to try the program")
    parser.add_argument("--implementations", nargs="+", choices=["fair", "eager"], default=["fair", "eager"])
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 64, 256, 512], help="pages decoded together")
    parser.add_argument("--groups", nargs="+", type=int, default=[1, 8, 32], help="pages encoded or prompted together")
    parser.add_argument("--tiles", nargs=2, type=int, default=[2, 3],
                        help="columns and rows of Gundam's tiles; as those of Quire's A4 page")
    parser.add_argument("--tokens", type=int, default=1000, help="output tokens of a page")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=240, help="nothing new is begun after so long")
    return parser.parse_args()


class Clock:
    """Milliseconds of a call: the median of some after two that do not count."""

    def __init__(self, device, runs):
        self.device, self.runs = device, runs

    def __call__(self, body):
        return statistics.median([self._once(body) for _ in range(self.runs + 2)][2:])

    def _once(self, body):
        if self.device.type != "cuda":
            start = time.perf_counter()
            body()
            return (time.perf_counter() - start) * 1e3
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        body()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)


class Rows:
    """The file of rows, one JSON object a line, and the time that is left."""

    def __init__(self, path, clock, seconds):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.clock, self.end = path, clock, time.monotonic() + seconds

    def add(self, row):
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")

    def measure(self, make, **row):
        """Times what `make` gives; returns the row, which says `failure` where there is no figure."""
        try:
            if time.monotonic() > self.end:
                raise RuntimeError("out of time")
            body, facts = make()
            row |= {**facts, "milliseconds": self.clock(body)}
        except torch.OutOfMemoryError:
            row["failure"] = "out of memory"
        except RuntimeError as error:
            row["failure"] = str(error).strip().splitlines()[0][:200]
        body = None
        gc.collect()    # caches and what steps through them refer to each other
        if self.clock.device.type == "cuda":
            torch.cuda.empty_cache()
        count = "batch" if "batch" in row else "pages"
        named = " ".join(str(row[key]) for key in ("implementation", "mode", "what", count) if key in row)
        print(f"{named}: " + (row.get("failure") or f"{row['milliseconds']:.3f} ms"), flush=True)
        return row


def measure_ceilings(device, rows, small):
    count, side = (1 << 20, 256) if small else (1 << 32, 8192)

    def copy():
        a = torch.ones(count, dtype=torch.uint8, device=device)
        b = torch.empty_like(a)
        return lambda: b.copy_(a), {"bytes": 2 * count}

    def product():
        # Not zeros: a device that multiplies zeros needs less power and is faster.
        a, b = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
        c = torch.empty_like(a)
        return lambda: torch.mm(a, b, out=c), {"flops": 2 * side ** 3}

    rows.add(rows.measure(copy, implementation="torch", what="copy"))
    rows.add(rows.measure(product, implementation="torch", what="product"))


def page(parts, batch):
    """The row of a whole page, reckoned from its parts."""
    sums = {name: sum(row.get(name, 0) / row["pages"] for row in parts) for name in ("milliseconds", "flops", "bytes")}
    return {key: parts[0][key] for key in ("implementation", "mode")} | {
        "what": "page", "batch": batch, "pages": 1, **sums}


class Measurement:
    """One implementation with its weights."""

    def __init__(self, name, cfg, device, rows, chosen):
        self.name, self.cfg, self.device, self.rows, self.options = name, cfg, device, rows, chosen
        self.costs = Costs(cfg)
        weights = RandomWeights(cfg, Arithmetic("bf16", "native"), device)
        if name == "fair":
            attend = sam_attention.Fastest([sam_attention.whole, sam_attention.folded], rows.clock)
            self.model = DeepseekOcr(cfg, weights, attend, GraphDecoder)
        else:
            self.model = DeepseekOcr(cfg, weights, sam_attention.whole, Decoder)
        self.random = torch.Generator(device).manual_seed(1)

    def record(self, body):
        """A graph of `body` where this implementation and the device have one."""
        decoder = self.model.decoder
        return Recorded(body) if self.name == "fair" and decoder.is_recordable() else body

    def measure(self, mode, what, make, **counts):
        return self.rows.measure(make, implementation=f"torch {self.name}", mode=mode, what=what, **counts)

    def numbers(self, *shape):
        return torch.randn(shape, generator=self.random, device=self.device).to(torch.bfloat16)

    def ids(self, *shape):
        return torch.randint(self.cfg.text.vocab_size, shape, generator=self.random, device=self.device)

    def run(self, mode):
        side, tile = MODES[mode]
        cols, rows = self.options.tiles
        image_tokens = (side // 64) * (side // 64 + 1) + 1
        if tile:
            image_tokens += rows * tile // 64 * (cols * tile // 64 + 1)
        prompt = image_tokens + TEXT_TOKENS
        encodings = [self.measure(mode, "encode", lambda: self.encoding(group, side, tile, cols, rows), pages=group)
                     for group in self.options.groups]
        prefills = [self.measure(mode, "prefill", lambda: self.prefill(group, prompt), pages=group)
                    for group in self.options.groups]
        for batch in self.options.batch:
            decode = self.measure(mode, "decode", lambda: self.decoding(batch, prompt), batch=batch,
                                  pages=batch / self.options.tokens)
            # Pages that are decoded together are encoded in the groups that are fastest a page.
            parts = [min((row for row in found if row["pages"] <= batch),
                         key=lambda row: row.get("milliseconds", float("inf")) / row["pages"])
                     for found in (encodings, prefills)] + [decode]
            for row in parts:
                self.rows.add({**row, "batch": batch})
            if all("milliseconds" in row for row in parts):
                self.rows.add(page(parts, batch))

    def encoding(self, group, side, tile, cols, rows):
        views = self.numbers(group, 3, side, side)
        tiles = self.numbers(group * cols * rows, 3, tile, tile) if tile else None
        flops = self.costs.view(side) + (cols * rows * self.costs.view(tile) if tile else 0)
        body = self.record(lambda: self.model.encoder.pages(views, tiles, (cols, rows)))
        return body, {"flops": group * flops, "tiles": cols * rows if tile else 0}

    def prefill(self, group, prompt):
        decoder = self.model.decoder
        x = decoder.embed(self.ids(group, prompt))
        cache = decoder.cache(group, prompt)

        def body():
            cache.lengths = []
            return decoder.prefill(x, cache).argmax(-1)

        return self.record(body), {
            "flops": group * self.costs.prefill(prompt), "bytes": 2 * self.costs.weights_read(group * prompt),
            "tokens": prompt}

    def decoding(self, batch, prompt):
        """One step in the middle of the text; caches have room for all of it."""
        decoder, context = self.model.decoder, prompt + self.options.tokens // 2
        cache = decoder.cache(batch, prompt + self.options.tokens)
        for pair in cache.layers:
            for values in pair:
                values.normal_(generator=self.random)
        facts = {
            "flops": batch * self.costs.decoding(context),
            "bytes": 2 * (self.costs.weights_read(batch) + batch * self.costs.cache_read(context)),
            "tokens": prompt, "context": context}
        ids = self.ids(batch)
        if self.name == "eager":
            def body():
                cache.lengths = [context - 1] * batch
                return decoder.step(ids, cache).argmax(-1)
            return body, facts
        cache.ids.copy_(ids)
        cache.positions.fill_(context - 1)
        found = {}
        for way in (fused, plain):
            decoder.attention = way
            cache.graphs.clear()
            found[way] = self.rows.clock(lambda: decoder.run(cache, batch, -(-context // SPAN) * SPAN))
        decoder.attention = min(found, key=found.get)
        cache.graphs.clear()
        return lambda: decoder.run(cache, batch, -(-context // SPAN) * SPAN), {
            **facts, "graph": decoder.is_recordable(), "attention": decoder.attention.__name__}


@torch.inference_mode()
def main():
    chosen = options()
    device = torch.device(chosen.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU here.")
    rows = Rows(chosen.json, Clock(device, chosen.runs), chosen.seconds)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    print(f"torch {torch.__version__} on {name}", flush=True)
    measure_ceilings(device, rows, chosen.small)
    cfg = TINY if chosen.small else Config()
    for implementation in chosen.implementations:
        measurement = Measurement(implementation, cfg, device, rows, chosen)
        for mode in chosen.mode:
            measurement.run(mode)
        del measurement     # before the next one's weights are made


if __name__ == "__main__":
    main()
