"""What tables show where there is no interval, and where cells are missing."""

from typing import Any

import pytest

from fedseed.results.class_counts import class_balance
from fedseed.results.figure import accuracy_limits
from fedseed.results.markdown import interval_in_points, on_task, with_interval
from fedseed.studies.budget.table import _verdict
from fedseed.studies.comparison.readings import robustness_grid


def test_a_share_with_and_without_an_interval() -> None:
    assert with_interval({"value": 0.7, "ci95": [0.65, 0.75]}) == "70.0 % (65.0 - 75.0)"
    assert with_interval({"value": 0.7, "ci95": None}) == "70.0 % (one run)"


def test_a_difference_of_a_single_run_has_no_interval() -> None:
    assert interval_in_points([-0.01, 0.02]) == "-1.0 to +2.0"
    assert interval_in_points(None) == "one run"


def test_values_that_are_all_alike_bound_nothing() -> None:
    assert with_interval({"value": 1.0, "ci95": [1.0, 1.0]}) == "100.0 % (all alike)"
    assert interval_in_points([0.0, 0.0]) == "all alike"


def test_many_classes_are_summarised() -> None:
    few, many = ["bad", "good"], [f"class {n}" for n in range(77)]
    assert class_balance([1200, 3], few) == "1,200 bad, 3 good"
    assert class_balance([0, 3], few) == "0 bad, 3 good"
    assert class_balance([2] * 77, many) == "2 of each of 77 classes"
    assert class_balance([*[5] * 76, 1234], many).startswith("of each of 77 classes from 5 (")
    assert class_balance([*[0] * 76, 4], many) == "4 class 76"


def test_a_title_names_the_task_of_a_record_that_names_one() -> None:
    assert on_task({"task": "imdb"}) == " on imdb"
    assert on_task({}) == ""


def test_an_axis_holds_all_that_is_drawn() -> None:
    assert accuracy_limits([0.5, 0.9], (45, 92)) == (45, 92)
    assert accuracy_limits([], (45, 92)) == (45, 92)
    low, high = accuracy_limits([0.01, 0.05, 0.97], (45, 92))
    assert low < 1
    assert high > 97
    low, high = accuracy_limits([0.013, 0.013], (45, 92))
    assert (low, high) == pytest.approx((0.3, 2.3))


def cell(name: str, condition: str | None, *repeats: float) -> dict[str, Any]:
    value = sum(repeats) / len(repeats)
    accuracy = {"value": value, "ci95": [value - 0.01, value + 0.01], "repeats": repeats}
    return {"row": name, "partition": "iid", "condition": condition, "accuracy": accuracy}


def test_changes_under_a_condition_are_paired_and_may_be_missing() -> None:
    cells = [
        cell("labels", None, 0.70, 0.80), cell("labels", "dropout", 0.69, 0.79),
        cell("labels", "poison", 0.60, 0.80), cell("median", None, 0.7, 0.8),
        cell("median", "poison", 0.7, 0.8),
    ]  # fmt: skip
    labels, median = robustness_grid(cells, "iid").splitlines()[2:]
    # Where all repeats move alike, the shards' spread of ten points is no doubt about the change.
    assert "74.0 % (73.0 - 75.0), -1.0 points (all alike)" in labels
    assert "-5.0 points (-68.5 to +58.5)" in labels
    assert median.split(" | ")[2] == "-"


def test_a_budget_without_few_steps_is_not_judged_by_them() -> None:
    accuracy = {"value": 0.8, "ci95": [0.7, 0.9]}
    words = _verdict([{"start": "pca", "samples": 500, "steps": 300, "after": accuracy}])
    assert "Up to 100 steps" not in words
    assert "Up to 100 examples" not in words
