"""Prints what was measured on a GPU as a table (docs/gpu.md explains the columns): python3 gpu_table.py ROWS.jsonl

Needs nothing but Python.
"""
import argparse
import json

MODES, PARTS = ["tiny", "base", "gundam"], ["encode", "prefill", "decode", "page"]
YARDSTICKS = ["torch eager", "torch fair"]
HEADING = ["mode", "what", "batch", "implementation", "ms", "TB/s", "TFLOP/s", "pages/s", "pages/day", "of the ceiling"]


def is_measured(row):
    return row.get("milliseconds") is not None


def rate(row, name):
    """Bytes or operations a second."""
    return row.get(name, 0) / row["milliseconds"] * 1e3


def ceilings(rows):
    """The best that any program copied and multiplied."""
    return {name: max((rate(row, name) for row in rows if row["what"] == what and is_measured(row)), default=0)
            for what, name in (("copy", "bytes"), ("product", "flops"))}


def share(row, limits):
    """The larger of a row's shares of the ceilings, and which it is; None where neither is known."""
    shares = [(rate(row, name) / limits[name], word) for name, word in (("bytes", "copy"), ("flops", "product"))
              if row.get(name) and limits[name]]
    return max(shares, default=None)


def times_as_fast(row, other):
    """None where the other has no figure or did other work: operations a page that differ by more than a twentieth."""
    if other is None or not is_measured(other):
        return None
    work, others = (one.get("flops", 0) / one["pages"] for one in (row, other))
    if abs(work - others) > 0.05 * max(work, others):
        return None
    return other["milliseconds"] / other["pages"] / (row["milliseconds"] / row["pages"])


def line(row, rows, limits):
    name = [row.get("mode", ""), row["what"], str(row.get("batch", "")), row["implementation"]]
    if not is_measured(row):
        return name + [row.get("failure", "not measured")]
    per_second = row["pages"] / row["milliseconds"] * 1e3
    best = share(row, limits)
    found = name + [
        f"{row['milliseconds']:.3f}", f"{rate(row, 'bytes') / 1e12:.2f}" if row.get("bytes") else "",
        f"{rate(row, 'flops') / 1e12:.1f}" if row.get("flops") else "", f"{per_second:.2f}",
        f"{per_second * 86400:,.0f}" if row["what"] == "page" else "",
        f"{100 * best[0]:.0f} % of {best[1]}" if best else ""]
    for yardstick in YARDSTICKS:
        other = next((other for other in rows if other["implementation"] == yardstick
                      and all(other.get(key) == row.get(key) for key in ("mode", "what", "batch"))), None)
        ratio = times_as_fast(row, other) if row["implementation"] == "quire" else None
        found.append("" if ratio is None else f"{ratio:.2f}")
    return found


def table(rows):
    limits = ceilings(rows)
    parts = [row for row in rows if row["what"] in PARTS and row.get("mode") in MODES]
    parts.sort(key=lambda row: (MODES.index(row["mode"]), PARTS.index(row["what"]), row["batch"],
                                row["implementation"]))
    lines = [HEADING + [f"/ {yardstick}" for yardstick in YARDSTICKS]] + [line(row, parts, limits) for row in parts]
    # What failed has one cell for all figures, which makes no column wider.
    widths = [max(len(cells[i]) for cells in lines if i < 4 or len(cells) > 5) for i in range(len(lines[0]))]
    text = [f"Ceilings: copying {limits['bytes'] / 1e12:.2f} TB/s, "
            f"bfloat16 products {limits['flops'] / 1e12:.1f} TFLOP/s"]
    for cells in lines:
        is_whole = len(cells) > 5
        text.append("  ".join(cell.ljust(width) if i < 4 or not is_whole else cell.rjust(width)
                              for i, (cell, width) in enumerate(zip(cells, widths))).rstrip())
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    rows = []
    for path in parser.parse_args().files:
        with open(path) as file:
            rows += [json.loads(text) for text in file if text.strip()]
    print(table(rows))


if __name__ == "__main__":
    main()
