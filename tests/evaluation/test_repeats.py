"""Intervals over repeats and paired tests, against scipy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from fedseed.errors import DataError
from fedseed.evaluation.metrics import ClassCounts, wilson
from fedseed.evaluation.repeats import holm, mean_interval, over_repeats, paired, paired_answers


def counts(*shares: float, n: int = 1000) -> list[ClassCounts]:
    return [ClassCounts((round(share * n / 2),) * 2, (n // 2, n // 2)) for share in shares]


def test_one_repeat_has_wilsons_interval() -> None:
    record = over_repeats(counts(0.7))
    assert record["ci95"] == pytest.approx(list(wilson(700, 1000)))
    assert record["repeats"] == [0.7]


def test_the_interval_covers_examples_and_repeats() -> None:
    record = over_repeats(counts(0.6, 0.7, 0.8))
    half = float(stats.t.ppf(0.975, 2)) * 0.1 / math.sqrt(3)
    low, high = wilson(700, 1000)
    assert record["value"] == pytest.approx(0.7)
    assert record["ci95"] == pytest.approx(
        [0.7 - math.hypot(half, 0.7 - low), min(1.0, 0.7 + math.hypot(half, high - 0.7))]
    )


def test_one_class_only_by_name() -> None:
    models = [ClassCounts((10, 0), (10, 0)), ClassCounts((0, 0), (10, 0))]
    with pytest.raises(DataError, match="one class"):
        over_repeats(models)
    record = over_repeats(models, one_class=True)
    assert record["repeats"] == [1.0, 0.0]
    assert record["majority_baseline"] == 1.0


def test_paired_equals_scipy() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    first, second = rng.normal(0.7, 0.05, 6).tolist(), rng.normal(0.65, 0.05, 6).tolist()
    comparison = paired(first, second)
    test = stats.ttest_rel(first, second)
    interval = test.confidence_interval(0.95)
    assert comparison["p_value"] == pytest.approx(test.pvalue)
    assert comparison["ci95"] == pytest.approx([interval.low, interval.high])


def test_pairs_without_spread() -> None:
    assert paired([0.5, 0.5], [0.5, 0.5])["p_value"] == 1.0
    assert paired([0.75, 0.75], [0.5, 0.5])["p_value"] is None
    assert paired([0.6], [0.5])["p_value"] is None


def test_the_interval_of_a_mean_equals_scipys() -> None:
    values = [0.5, 0.61, 0.7, 0.72]
    wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx([wanted.low, wanted.high])


def test_a_single_value_has_no_interval() -> None:
    assert mean_interval([0.7]) is None
    assert paired([0.6], [0.5])["ci95"] is None


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.02, None]) == [0.04, None]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_differences_that_rounding_alone_tells_apart_are_the_same() -> None:
    first, second = [2 / 77, 3 / 77], [1 / 77, 2 / 77]
    assert first[0] - second[0] != first[1] - second[1]
    assert paired(first, second)["p_value"] is None


def test_answers_are_compared_text_by_text() -> None:
    found = paired_answers([(30, 10)], 1000)
    assert found["difference"] == pytest.approx(0.02)
    half = 1.96 * math.sqrt((41 / 1002 - (20 / 1002) ** 2) / 1002)
    assert found["ci95"] == pytest.approx([0.02 - half, 0.02 + half], abs=1e-5)
    assert found["p_values"] == [pytest.approx(stats.binomtest(30, 40).pvalue)]
    spread = paired_answers([(30, 10), (10, 30), (20, 20)], 1000)
    assert spread["difference"] == 0.0
    assert spread["ci95"][1] > found["ci95"][1] - 0.02
    assert spread["repeats"] == [0.02, -0.02, 0.0]


@pytest.mark.parametrize("gained", [0, 1, 4])
def test_few_changes_show_nothing(gained: int) -> None:
    found = paired_answers([(gained, 0)], 4980)
    assert found["p_values"][0] > 0.1
    low, high = found["ci95"]
    assert low < 0 < high


def test_models_that_answer_alike_do_not_differ() -> None:
    found = paired_answers([(0, 0), (0, 0)], 50)
    assert (found["difference"], found["p_values"]) == (0.0, [1.0, 1.0])
