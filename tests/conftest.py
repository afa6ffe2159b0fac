"""Fixtures: a small world of texts that BERT-tiny learns in seconds."""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # tests never look for a hub
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]
GOOD = ("wonderful", "great", "loved", "superb", "delight", "moving")
BAD = ("awful", "boring", "hated", "terrible", "waste", "mess")
NEUTRAL = ("film", "actor", "scene", "plot", "music", "camera", "story", "the", "was", "very")


LONGEST = ("test_types.py", "test_kills.py", "test_history.py", "test_privacy.py")
"""Files with tests of up to a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no process waits for one at the end.

    The sort is stable: everything else stays in its order.
    """
    items.sort(key=lambda item: item.path.name not in LONGEST)


def review(rng: np.random.Generator, positive: bool) -> str:
    """A few words, two of which give the label away."""
    words = [*rng.choice(NEUTRAL, 6), *rng.choice(GOOD if positive else BAD, 2)]
    return " ".join(str(word) for word in rng.permutation(words))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this session's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDSEED_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of 300 distinct reviews, labels as words."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rng = np.random.default_rng(5)
    seen: set[str] = set()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        while len(seen) < 300:
            positive = len(seen) % 2 == 0
            text = review(rng, positive)
            if text not in seen:
                seen.add(text)
                writer.writerow([text, "positive" if positive else "negative"])
    return path


@pytest.fixture(scope="session")
def small(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options of a run that takes seconds."""
    recipe = tmp_path_factory.mktemp("recipe") / "given.toml"
    recipe.write_text("steps = 2\nbatch_size = 8\nmax_length = 16\n")
    return {
        "data": str(reviews), "recipe": str(recipe), "clients": 3, "newcomers": 1, "rounds": 2,
        "steps": 3, "participants_test_examples": 20, "workers": 1,
        "start": "random",
    }  # fmt: skip


@pytest.fixture
def command(
    small: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: status, stdout and stderr."""
    from fedseed.cli.federated import run_federated

    def run(*words: str, defaults: bool = True, **changes: Any) -> tuple[int, str, str]:
        options = (small if defaults else {}) | changes
        flags = [
            part
            for name, value in options.items()
            if value is not None
            for part in ("--" + name.replace("_", "-"), str(value))
        ]
        capfd.readouterr()
        status = run_federated([*flags, *words])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run
