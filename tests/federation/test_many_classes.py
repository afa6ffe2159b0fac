"""Every protocol on tasks of four and of seventy-seven classes: whole small runs."""

from pathlib import Path
from typing import Any

import pytest

from fedseed.protocols import protocol_names
from tests.federation.running import Run
from tests.topics import write_topics

OPTIONS: dict[str, dict[str, Any]] = {
    "labels": {"public": "reviews:80", "label_bits": 2, "distil_steps": 60},
    "mask": {"steps": 8},
    "scalars": {"steps": 4},
}
"""Options by protocol: what others need, and less of what is slow."""
LEARNERS = {4: ("adapters",), 77: ("weights", "labels", "recipe")}
"""Protocols that learn the task in a second, by its number of classes."""
RECIPE = """optimiser = "adamw"
learning_rate = 2e-3
embedding_multiplier = 10.0
steps = 40
batch_size = 32
max_length = 24
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Tables by their number of classes, and a recipe."""
    folder = tmp_path_factory.mktemp("tasks")
    texts = {4: 240, 77: 616}
    return {n: write_topics(folder / f"topics-{n}.csv", n, many) for n, many in texts.items()}


@pytest.mark.parametrize(
    ("classes", "protocol"), [*((77, name) for name in protocol_names()), (4, "adapters")]
)
def test_a_run_of_any_number_of_classes(
    run: Run, tasks: dict[int, Path], classes: int, protocol: str, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    options = {"steps": 40, **OPTIONS.get(protocol, {})}
    record = run(
        data=str(tasks[classes]), protocol=protocol, rounds=1, recipe=str(recipe), clients=2,
        **options,
    )  # fmt: skip
    assert len(record["provenance"]["dataset"]["classes"]) == classes
    assert {client["status"] for client in record["rounds"][0]["clients"]} == {"ok"}
    sent = record["ledger"]["payload_bytes"]["per_client_round_max"]
    assert 0 < sent["up"] <= record["ledger"]["fp32_model_bytes"] + 100
    newcomers = record["results"]["aggregated"]["newcomers"]
    assert len(newcomers["class_counts"]) == classes
    assert newcomers["majority_baseline"] < 2 / classes
    if protocol in LEARNERS[classes]:
        assert newcomers["ci95"][0] > min(0.5, 10 / classes)
    assert (tmp_path / "run0" / "figure.png").stat().st_size > 10_000
