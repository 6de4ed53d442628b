"""The files that are made and what is expected of each."""

FILES = {}       # path below variants/ -> bytes
EXPECTED = []    # (path, rule, argument)


def case(kind, name, data, *rules):
    """A file of a kind and its rules, each "rule" or "rule argument"; see expected.tsv's reader, FieldRule.swift."""
    path = f"{kind}/{name}"
    if path in FILES:
        raise SystemExit(f"{path} is made twice")
    FILES[path] = data
    for rule in rules:
        word, _, argument = rule.partition(" ")
        EXPECTED.append((path, word, argument))


def beside(kind, name, data):
    """A file that belongs to another, such as its password."""
    FILES[f"{kind}/{name}"] = data
