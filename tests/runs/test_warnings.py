"""What does not turn out as it was asked for: said in the plan, the run and the record."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fedseed.protocols.weights.strategies import STRATEGIES

Command = Callable[..., tuple[int, str, str]]
LEFT = "clients without an example: each was given one of the largest client's; raise --alpha"


@pytest.mark.parametrize(
    ("strategy", "fewest"),
    [("fedmedian", 3), ("fedtrimmedavg", 5), ("krum", 5), ("multikrum", 5)],
)
def test_a_strategy_with_too_few_clients(command: Command, strategy: str, fewest: int) -> None:
    few = {"protocol": "weights", "strategy": strategy, "clients": 9, "cohort": fewest - 1}
    status, out, _ = command("--dry-run", **few)
    assert status == 0
    assert f"warning: --strategy {strategy} needs {fewest} clients in a round" in out
    _, out, _ = command("--dry-run", "--json", **few)
    [warning] = json.loads(out)["warnings"]
    assert warning.startswith(f"--strategy {strategy} needs")
    _, out, _ = command("--dry-run", "--json", **few | {"cohort": fewest})
    assert json.loads(out)["warnings"] == []


def test_strategies_that_need_no_others() -> None:
    for name in ("fedavg", "fedadam"):
        assert STRATEGIES[name].warning(name, 1) is None


def test_clients_that_were_topped_up(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    skewed = {
        "partition": "quantity", "alpha": 0.02, "clients": 3, "rounds": 1, "out": out,
        "protocol": "weights",
    }  # fmt: skip
    status, printed, error = command(**skewed)
    assert status == 0, error
    provenance = json.loads((out / "record.json").read_text())["provenance"]
    topped_up = provenance["topped_up_clients"]
    assert 1 <= topped_up <= 3
    assert sum(sum(client) == 1 for client in provenance["label_counts"]) >= topped_up
    assert f"warning: --partition quantity left {topped_up} of 4 {LEFT}" in printed
    _, printed, _ = command("--dry-run", **skewed | {"out": None})
    assert f"left {topped_up} of 4 {LEFT}" in printed
    _, printed, _ = command("--dry-run", "--json")
    assert json.loads(printed)["warnings"] == []
