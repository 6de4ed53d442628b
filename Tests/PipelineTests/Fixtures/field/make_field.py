#!/usr/bin/env python3
"""Makes variants/ and expected.tsv: files of the 25 kinds of issue 15, other than those in given/, and sound neighbours.

A second run of the same versions writes the same bytes, but for files that are encrypted. Needs Debian's fonts-liberation and qpdf, and

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python make_field.py

given/ holds files of others, as they came, with their rules in given.tsv; the largest of them are left out, and
variants/ has smaller ones of their kinds. Rules are explained in Tests/PipelineTests/FieldRule.swift.
"""
import pathlib
import shutil

from make import cases, documents, fonts, images, scans, tiffs, undecodable

HERE = pathlib.Path(__file__).resolve().parent
MOST = 4 << 20


def main():
    for module in (undecodable, fonts, images, scans, tiffs, documents):
        module.make()
    folder = HERE / "variants"
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in cases.FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    rows = [f"variants/{path}\t{rule}\t{argument}".rstrip("\t") for path, rule, argument in cases.EXPECTED]
    given = [f"given/{line}" for line in (HERE / "given.tsv").read_text().splitlines()]
    (HERE / "expected.tsv").write_text("\n".join(sorted(rows) + given) + "\n")
    total = sum(len(data) for data in cases.FILES.values())
    print(f"{len(cases.FILES)} files, {total} bytes, {len(rows)} rules")
    for path, data in sorted(cases.FILES.items(), key=lambda item: -len(item[1]))[:8]:
        print(f"  {len(data):8} {path}")
    if total > MOST:
        raise SystemExit(f"more than {MOST} bytes")


if __name__ == "__main__":
    main()
