"""Accuracy objects: numbers checked against published ones and by hand."""

import numpy as np
import pytest

from fedseed.errors import DataError
from fedseed.evaluation.metrics import (
    ClassCounts,
    accuracy,
    count_correct,
    reweighted,
    wilson,
)
from fedseed.evaluation.retention import chance_corrected, plain


def test_wilson_by_hand() -> None:
    # p = 0.8, n = 100, z = 1.959964: centre 0.78889, half-width 0.07780
    low, high = wilson(80, 100)
    assert low == pytest.approx(0.71112, abs=1e-4)
    assert high == pytest.approx(0.86663, abs=1e-4)


def test_counts() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32))
    labels = np.array([0, 0, 1, 1])
    assert count_correct(scores, labels) == ClassCounts((1, 1), (2, 2))


def test_unbalanced_test_split() -> None:
    judged = accuracy([ClassCounts((90, 0), (90, 10))])
    assert (judged.value, judged.balanced, judged.majority_baseline) == (0.9, 0.5, 0.9)
    assert judged.class_counts == (90, 10)
    assert "models" not in judged.to_record()


def test_several_models_do_not_multiply_the_examples() -> None:
    models = [ClassCounts((40, 40), (50, 50)), ClassCounts((30, 30), (50, 50))]
    judged = accuracy(models)
    assert judged.value == pytest.approx(0.7)
    assert judged.n == 100
    assert judged.ci95 == wilson(70, 100)
    assert judged.to_record()["models"] == [0.8, 0.6]


def test_a_one_class_test_set_is_refused() -> None:
    with pytest.raises(DataError, match="one class"):
        accuracy([ClassCounts((50, 0), (50, 0))])


def test_models_tested_on_different_examples() -> None:
    with pytest.raises(ValueError, match="different examples"):
        accuracy([ClassCounts((1, 1), (2, 2)), ClassCounts((1, 1), (3, 1))])


def test_retention() -> None:
    assert plain(0.5, 0.845) == pytest.approx(0.592, abs=1e-3)  # "59 % retained", says a coin
    assert chance_corrected(0.5, 0.845, 0.5) == 0
    assert chance_corrected(0.845, 0.845, 0.5) == 1
    assert chance_corrected(0.7, 0.5, 0.5) is None


def test_another_class_mix() -> None:
    model = ClassCounts((90, 30), (100, 50))
    even = reweighted(model, [0.5, 0.5])
    assert even.value == pytest.approx(0.75)
    skewed = reweighted(model, [1.0, 0.0])
    assert skewed.value == pytest.approx(0.9)
    assert skewed.ci95 == pytest.approx(wilson(90, 100))
    assert skewed.majority_baseline == 1.0
    assert even.ci95[0] < 0.75 < even.ci95[1]


def test_a_mix_with_a_class_that_was_not_tested() -> None:
    """The others make up the whole; without any other there is nothing to say."""
    model = ClassCounts((90, 60, 0), (100, 100, 0))
    judged = reweighted(model, [0.25, 0.25, 0.5])
    assert judged.value == pytest.approx(0.75)
    assert judged.majority_baseline == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no class"):
        reweighted(model, [0.0, 0.0, 1.0])
