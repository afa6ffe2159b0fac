"""The budget study: one training for all step counts, smallest budgets, break-even speeds."""

from pathlib import Path
from typing import Any

import pytest

from fedseed.errors import ConfigError
from fedseed.evaluation.costs import break_even, cost_analysis, transfer_seconds
from fedseed.studies.budget.options import BudgetOptions
from fedseed.studies.budget.study import Budget, smallest
from tests.studies.conftest import Run, lasting

SMALL: dict[str, Any] = {
    "samples": "8,40,all",
    "steps": "1,6,30",
    "starts": "random-scaled,pca",
}


def test_cells_and_baselines(run: Run) -> None:
    record = run(Budget, **SMALL)
    cells = record["results"]["cells"]
    assert len(cells) == 2 * 3 * 3
    assert {cell["samples"] for cell in cells} == {8, 40, 240}
    assert {cell["steps"] for cell in cells} == {1, 6, 30}
    by_place = {(c["start"], c["samples"], c["steps"]): c["after"]["value"] for c in cells}
    assert by_place["random-scaled", 240, 30] > 0.8
    assert by_place["random-scaled", 8, 1] < 0.8
    assert record["results"]["baselines"]["tfidf_full"]["value"] > 0.9
    one = next(s for s in record["results"]["smallest"] if s["target"] == 0.75)
    assert one["fewest_samples"]["samples"] <= 240
    assert lasting(record) == lasting(run(Budget, "again", workers=2, **SMALL))


def test_a_published_body_and_what_is_trained_of_it(run: Run) -> None:
    starts = "published,published-adapters,published-coordinates"
    record = run(
        Budget, model="minilm", starts=starts, samples="40", steps="0,25", repeats=1, max_length=16
    )
    cells = {(cell["start"], cell["steps"]): cell for cell in record["results"]["cells"]}
    before = {cells[start, 0]["after"]["value"] for start in starts.split(",")}
    assert len(before) == 1  # all begin with the same model
    for start in starts.split(","):
        assert cells[start, 25]["after"]["repeats"] != cells[start, 0]["after"]["repeats"], start
        assert cells[start, 25]["bytes"] is None
    rates = {r["learning_rate"] for r in record["provenance"]["recipes"].values()}
    assert rates == {1e-4, 3e-3, 4e-3}


def test_a_published_model_has_its_own_starts() -> None:
    starts = BudgetOptions.parse({"model": "minilm"}).starts.split(",")
    assert starts == ["published", "published-adapters", "published-coordinates", "minilm-frozen"]
    assert BudgetOptions.parse({}).starts.split(",")[0] == "random-scaled"


def test_a_seed_that_knows_needs_no_step(run: Run, tmp_path: Path) -> None:
    record = run(Budget, samples="40", steps="0,6", starts="random-scaled,lexicon", repeats=1)
    by_place = {(c["start"], c["steps"]): c for c in record["results"]["cells"]}
    assert by_place["lexicon", 0]["after"]["value"] > 0.8
    assert by_place["random-scaled", 0]["after"]["value"] < 0.7
    assert by_place["lexicon", 0]["seconds"] > 0
    assert {one["model"] for one in record["results"]["linear"]} >= {"lexicon"}
    fewest = next(
        one for one in record["results"]["smallest"]
        if (one["start"], one["target"]) == ("lexicon", 0.8)
    )  # fmt: skip
    assert fewest["fewest_steps"]["steps"] == 0
    assert "**lexicon**: a seed of the words" in (tmp_path / "run" / "table.md").read_text()


def test_a_step_budget_is_what_it_would_have_been_alone(run: Run) -> None:
    """The model after six of thirty steps is that of a budget of six."""
    options = SMALL | {"samples": "40", "starts": "random-scaled", "repeats": 1}
    many = run(Budget, "many", **options)
    few = run(Budget, "few", **(options | {"steps": "12"}))
    also = run(Budget, "also", **(options | {"steps": "12,30"}))

    def at(record: dict[str, Any], steps: int) -> Any:
        cells = record["results"]["cells"]
        return next(cell["after"] for cell in cells if cell["steps"] == steps)

    assert at(few, 12) == at(also, 12)
    assert at(many, 30) == at(also, 30)


def cell(samples: int, steps: int, value: float, seconds: float = 1.0) -> dict[str, Any]:
    return {
        "start": "a", "samples": samples, "steps": steps, "after": {"value": value},
        "seconds": seconds, "bytes": 100,
    }  # fmt: skip


def test_smallest_budgets() -> None:
    cells = [cell(10, 100, 0.76), cell(50, 10, 0.77), cell(50, 100, 0.81), cell(10, 300, 0.78)]
    budgets = smallest(cells, "a", 0.75)
    assert (budgets["fewest_samples"]["samples"], budgets["fewest_samples"]["steps"]) == (10, 100)
    assert (budgets["fewest_steps"]["samples"], budgets["fewest_steps"]["steps"]) == (50, 10)
    assert smallest(cells, "a", 0.95)["fewest_samples"] is None


def test_break_even() -> None:
    speed = break_even(17_544_712, 50, 12.0)
    whole = transfer_seconds(17_544_712, speed)
    assert whole == pytest.approx(transfer_seconds(50, speed) + 12.0)
    costs = cost_analysis([cell(10, 5, 0.8, 12.0), cell(50, 9, 0.9, 40.0)], (0.75, 0.95))
    assert costs[0]["budget"]["seconds"] == 12.0
    assert costs[0]["seconds"]["56 kbit/s"]["17.5 MB"] == pytest.approx(17_544_712 * 8 / 56e3)
    assert costs[1]["budget"] is None
    assert costs[0]["start"] == "a"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": "ten"}, "whole numbers"),
        ({"samples": "0"}, "whole numbers"),
        ({"steps": "all"}, "steps"),
        ({"steps": "0"}, "whole numbers"),
        ({"starts": "magic"}, "magic"),
        ({"starts": "published"}, "published --model"),
        ({"starts": "pca", "model": "minilm"}, "does not go with --model minilm"),
    ],
)
def test_bad_input(run: Run, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run(Budget, **(SMALL | changes))
