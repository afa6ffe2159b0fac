"""Tables of made-up reviews in the shapes that people have."""

import csv
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = (
    "the", "was", "very", "and", "it", "with", "this", "that", "came", "on", "our", "small", "shop",
    "near", "river", "while", "rain",
)  # fmt: skip
GOOD, BAD = ("red kettle", "blue lamp", "green chair"), ("grey drawer", "pink curtain", "gold bell")


def rows(*per_class: int, seed: int = 0) -> list[tuple[str, int]]:
    """Texts, no two alike, with their class numbers, shuffled."""
    rng, made = random.Random(seed), []
    for label, count in enumerate(per_class):
        for n in range(count):
            words = rng.choices(WORDS, k=rng.randint(6, 14))
            words.insert(rng.randrange(len(words)), rng.choice((BAD, GOOD)[label % 2]))
            made.append((f"note {label} {n} {' '.join(words)}", label))
    rng.shuffle(made)
    return made


def separated(
    body: Sequence[Sequence[object]], header: Sequence[str] | None = ("text", "label"), **how: Any
) -> str:
    """Rows as separated values."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", **how)
    writer.writerows([header, *body] if header else body)
    return out.getvalue()


def json_lines(records: Sequence[object]) -> str:
    """Records as JSON Lines."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


def put(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path
