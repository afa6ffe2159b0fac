"""Baselines beside a federated run: those of the official ablation when it has the same split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.runs import baselines

CONFIG: dict[str, Any] = {"max_length": 16}


@pytest.fixture
def official(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An official record of the small reviews; measuring again would fail."""
    dataset = open_dataset(RunConfig.parse({"data": str(reviews), **CONFIG}))
    record = {
        "provenance": {"dataset": {"sha256": dataset.sha256}},
        "config": {"test_examples": None, "max_length": 16, "quick": False},
        "results": {"baselines": {"majority": {"value": 0.5}}},
    }
    monkeypatch.setattr(baselines, "read_record", lambda _: record)
    monkeypatch.setattr(baselines, "find_baselines", lambda *_: {"measured": True})
    return record


def baselines_of(reviews: Path, tests: int | None = None, **changes: Any) -> dict[str, Any]:
    config = RunConfig.parse({"data": str(reviews), **CONFIG, **changes})
    dataset = open_dataset(config)
    rows = np.asarray(dataset.test)[:tests]
    return baselines.known_or_measured_baselines(config, dataset, rows, config.max_length or 128)


def test_known(reviews: Path, official: dict[str, Any]) -> None:
    assert baselines_of(reviews) == official["results"]["baselines"]


@pytest.mark.parametrize("change", [{"tests": 10}, {"max_length": 12}])
def test_another_split_or_length_is_measured(
    reviews: Path, official: dict[str, Any], change: dict[str, Any]
) -> None:
    assert baselines_of(reviews, **change) == {"measured": True}


@pytest.mark.parametrize(
    "place", [("provenance", "dataset", "sha256"), ("config", "quick"), ("config", "test_examples")]
)
def test_another_record_is_not_used(
    reviews: Path, official: dict[str, Any], place: tuple[str, ...]
) -> None:
    inner = official
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "other"
    assert baselines_of(reviews) == {"measured": True}
