"""Three sites' tables, made of the bundled reviews: each with columns and labels of its own."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedseed.data.sources import open_source
from fedseed.randomness import generator

Review = tuple[str, int]
SIZES = {"north": 1500, "south": 1200, "west": 800}


def write_sites(folder: Path) -> list[Path]:
    """Write a table and a site's file for each of three sites; returns the files.

    Args:
        folder: gets a folder for each site, as if they were different machines.
    """
    read = open_source("bundled").read()
    order = generator(0, "example deployment").permutation(len(read.texts))
    parts = np.split(order, np.cumsum(list(SIZES.values())))
    writers = {"north": _north, "south": _south, "west": _west}
    files = []
    for (name, write), rows in zip(writers.items(), parts, strict=False):
        site = folder / name
        site.mkdir(parents=True)
        text = write(site, [(read.texts[row], read.labels[row]) for row in rows])
        files.append(site / f"{name}.toml")
        files[-1].write_text(text, encoding="utf-8")
    return files


def _north(folder: Path, reviews: Sequence[Review]) -> str:
    """Comma-separated, with the usual names; its labels may be told."""
    with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        writer.writerows((text, ("negative", "positive")[label]) for text, label in reviews)
    return 'name = "North clinic"\ndata = "reviews.csv"\ntell-labels = true\n'


def _south(folder: Path, reviews: Sequence[Review]) -> str:
    """Semicolons, stars for labels, and an epsilon that it does not go beyond."""
    with (folder / "export.txt").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["id", "body", "stars"])
        writer.writerows((n, text, 1 + 4 * label) for n, (text, label) in enumerate(reviews))
    return """name = "South bank"
data = "export.txt"
text-column = "body"
label-column = "stars"
separator = ";"
labels = { "1" = "negative", "5" = "positive" }
tests = "summed"
most-epsilon = 20
"""


def _west(folder: Path, reviews: Sequence[Review]) -> str:
    """Tabs, other names, capital letters; at most 20 rounds of any study."""
    with (folder / "posts.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["verdict", "opinion"])
        writer.writerows((("Negative", "Positive")[label], text) for text, label in reviews)
    return """name = "West paper"
data = "posts.tsv"
text-column = "opinion"
label-column = "verdict"
held-out = 0.3
most-rounds = 20
"""


def node_configs(files: Sequence[Path], state: Path) -> list[dict[str, str | int | float | bool]]:
    """What each node is started with: its number, its file, and where it remembers things."""
    return [
        {"partition-id": number, "site": str(file), "state": str(state / file.stem)}
        for number, file in enumerate(files)
    ]


def accuracy_line(record: Path) -> str:
    """What a record says, in a line."""
    results = json.loads(record.read_text(encoding="utf-8"))["results"]
    parts = []
    for name, words in (("given", "each with its own texts"), ("aggregated", "together")):
        one = results[name]["pooled"]
        low, high = one["ci95"]
        parts.append(f"{words} {100 * one['value']:.1f} % ({100 * low:.1f} - {100 * high:.1f})")
    return f"{', '.join(parts)}; n = {one['n']:,}, majority {100 * one['majority_baseline']:.1f} %"
