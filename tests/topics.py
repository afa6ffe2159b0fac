"""A table of any number of classes that BERT-tiny learns in seconds."""

import csv
from pathlib import Path

import numpy as np

from tests.conftest import NEUTRAL


def write_topics(path: Path, classes: int, texts: int) -> Path:
    """Write a CSV file of distinct texts; two words tell each class from all others.

    Args:
        path: where to.
        classes: at most 255.
        texts: of all classes together, each of the same number.
    """
    rng = np.random.default_rng(8)
    seen: set[str] = set()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        while len(seen) < texts:
            number = len(seen) % classes
            # Two letters, and a number: tokens that no other class has.
            own = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}", str(100 + number)]
            text = " ".join(rng.permutation([*rng.choice(NEUTRAL, 6), *own, *own]))
            if text not in seen:
                seen.add(text)
                writer.writerow([text, f"topic {number}"])
    return path
