"""Prints what was measured on a GPU as tables (docs/gpu.md says what the columns mean): python3 gpu_table.py ROWS.jsonl

Needs nothing but Python.
"""
import argparse
import json
from dataclasses import dataclass

ORDER = ["tiny", "base", "gundam"]
PARTS = ["encode", "prefill", "decode"]
YARDSTICK = "torch fair"


@dataclass
class Ceilings:
    """What the device did at best: bytes and operations a millisecond."""
    bytes: float = 0
    flops: float = 0

    @classmethod
    def of(cls, rows):
        def best(what, name):
            return max((row[name] / row["milliseconds"] for row in rows if row["what"] == what and measured(row)),
                       default=0)
        return cls(best("copy", "bytes"), best("product", "flops"))

    def least(self, row):
        """Milliseconds that a row would take at least; None where nothing is known."""
        times = [row[name] / ceiling for name, ceiling in (("bytes", self.bytes), ("flops", self.flops))
                 if row.get(name) and ceiling]
        return max(times, default=None)


def measured(row):
    return row.get("milliseconds") is not None


def page(rows, batch, tokens, ceilings):
    """A page among `batch` that are decoded together, reckoned from its parts: milliseconds, the least they could be,
    tokens of the prompt. None where a part is missing.

    Pages are encoded and prompts run in the groups that were fastest a page, of those no larger than the batch."""
    total, least = 0, 0
    for what, count in ("encode", 1), ("prefill", 1), ("decode", tokens):
        found = [row for row in rows if row["what"] == what and measured(row)
                 and (row["batch"] == batch if what == "decode" else row["batch"] <= batch)]
        if not found:
            return None
        best = min(found, key=lambda row: row["milliseconds"] / row["batch"])
        total += count * best["milliseconds"] / best["batch"]
        bound = ceilings.least(best)
        least = None if least is None or bound is None else least + count * bound / best["batch"]
    return total, least, best.get("tokens")


def columns(heading, lines):
    widths = [max(len(line[i]) for line in [heading, *lines]) for i in range(len(heading))]
    for line in [heading, *lines]:
        print("  ".join(text.ljust(width) if i < 3 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())
    print()


def rate(row, name):
    return f"{row[name] / row['milliseconds'] / 1e9:.2f}" if row.get(name) else ""


def percent(least, milliseconds):
    return "" if least is None else f"{100 * least / milliseconds:.0f} %"


def show_parts(mode, rows, ceilings):
    lines = []
    for row in sorted(rows, key=lambda row: (PARTS.index(row["what"]), row["batch"], row["implementation"])):
        name = [row["what"], str(row["batch"]), row["implementation"]]
        if measured(row):
            lines.append(name + [f"{row['milliseconds']:.3f}", rate(row, "bytes"), rate(row, "flops"),
                                 percent(ceilings.least(row), row["milliseconds"])])
        else:
            lines.append(name + [row.get("failure", "not measured"), "", "", ""])
    print(f"{mode}: parts")
    columns(["what", "pages", "implementation", "ms", "TB/s", "TFLOP/s", "of the ceiling"], lines)


def show_pages(mode, rows, tokens, ceilings):
    by_name = {}
    for row in rows:
        by_name.setdefault(row["implementation"], []).append(row)
    lines = []
    for batch in sorted({row["batch"] for row in rows if row["what"] == "decode"}):
        found = {name: page(own, batch, tokens, ceilings) for name, own in sorted(by_name.items())}
        found = {name: figures for name, figures in found.items() if figures}
        for name, (milliseconds, least, prompt) in found.items():
            against = found.get(YARDSTICK)
            # Prompts of other lengths are other work.
            ratio = f"{against[0] / milliseconds:.2f}" if against and against[2] == prompt else ""
            lines.append([str(batch), name, str(prompt), f"{milliseconds:.2f}", f"{1e3 / milliseconds:.2f}",
                          f"{86400e3 / milliseconds:,.0f}", percent(least, milliseconds), ratio])
    print(f"{mode}: pages of {tokens} tokens, reckoned from the parts")
    columns(["together", "implementation", "prompt", "ms a page", "pages/s", "pages/day", "of the ceiling",
             f"times {YARDSTICK}"], lines)


def show_measured_pages(rows):
    lines = [[row.get("mode", ""), str(row["batch"]), row["implementation"], f"{row['milliseconds']:.1f}",
              f"{1e3 * row['batch'] / row['milliseconds']:.2f}",
              f"{86400e3 * row['batch'] / row['milliseconds']:,.0f}"] for row in rows if measured(row)]
    if lines:
        print("Whole pages, measured")
        columns(["mode", "pages", "implementation", "ms", "pages/s", "pages/day"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tokens", type=int, default=1000, help="output tokens of a page")
    found = parser.parse_args()
    rows = []
    for path in found.files:
        with open(path) as file:
            rows += [json.loads(line) for line in file if line.strip()]
    ceilings = Ceilings.of(rows)
    print(f"Ceilings: copying {ceilings.bytes / 1e9:.2f} TB/s, bfloat16 products {ceilings.flops / 1e9:.1f} TFLOP/s\n")
    for mode in ORDER:
        parts = [row for row in rows if row.get("mode") == mode and row["what"] in PARTS]
        if parts:
            show_parts(mode, parts, ceilings)
            show_pages(mode, parts, found.tokens, ceilings)
    show_measured_pages([row for row in rows if row["what"] == "page"])


if __name__ == "__main__":
    main()
