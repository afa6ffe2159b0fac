"""Fixtures: three sites with tables that have nothing in common but the task."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import review


def texts(count: int, seed: int) -> list[tuple[str, bool]]:
    """Distinct reviews and whether they are positive."""
    rng = np.random.default_rng(seed)
    found: dict[str, bool] = {}
    while len(found) < count:
        positive = len(found) % 2 == 0
        found.setdefault(review(rng, positive), positive)
    return list(found.items())


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    """A folder of three sites' files and tables."""
    folder = tmp_path / "sites"
    folder.mkdir()
    with (folder / "north.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "sentiment"])
        rows.writerows((text, "positive" if good else "negative") for text, good in texts(60, 1))
    with (folder / "south.txt").open("w", newline="") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(["nr", "body", "stars"])
        rows.writerows((n, text, 5 if good else 1) for n, (text, good) in enumerate(texts(50, 2)))
    lines = [{"said": t, "how": "POSITIVE" if good else "Negative"} for t, good in texts(40, 3)]
    (folder / "west.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "north.toml").write_text('data = "north.csv"\ntell-labels = true\n')
    (folder / "south.toml").write_text(
        'name = "South bank"\ndata = "south.txt"\nseparator = ";"\ntext-column = "body"\n'
        'label-column = "stars"\nlabels = { "1" = "negative", "5" = "positive" }\n'
    )
    (folder / "west.toml").write_text(
        'data = "west.jsonl"\ntext-column = "said"\nlabel-column = "how"\nheld-out = 0.4\n'
    )
    return folder


@pytest.fixture
def of_sites(small: dict[str, Any]) -> dict[str, Any]:
    """Options of a small run of three sites, but for ``data``."""
    options = {name: small[name] for name in ("recipe", "steps", "start")}
    return options | {
        "clients": 3, "newcomers": 0, "rounds": 2, "data": "sites", "max_length": 16,
    }  # fmt: skip


def node_configs(sites: Path, **more: Any) -> list[dict[str, Any]]:
    """What the nodes of the sites are started with."""
    return [
        {"partition-id": number, "site": str(path), **more}
        for number, path in enumerate(sorted(sites.glob("*.toml")))
    ]
