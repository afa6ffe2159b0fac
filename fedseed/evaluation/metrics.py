"""Accuracy that can be trusted: with n, its interval, class balance and majority baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.errors import DataError


@dataclass(frozen=True)
class Accuracy:
    """An accuracy and everything needed to judge it; ``to_record`` gives record.json's form."""

    value: float
    """Share of correct predictions; of several models the mean of their shares."""
    ci95: tuple[float, float]
    """Wilson's 95 % interval for ``value`` over ``n`` examples (Wilson 1927)."""
    n: int
    """Distinct test examples. Several models on the same examples do not add up."""
    balanced: float
    """Balanced accuracy: the mean over classes of the share of correct predictions."""
    majority_baseline: float
    """Share of the largest class in the test examples."""
    class_counts: tuple[int, ...]
    """Test examples of each class."""
    models: tuple[float, ...] = field(default=())
    """Accuracy of each model, when ``value`` is a mean over several."""

    def to_record(self) -> dict[str, Any]:
        """Return the accuracy object of record.json."""
        record = asdict(self) | {"ci95": list(self.ci95), "class_counts": list(self.class_counts)}
        models = [round(value, 6) for value in record.pop("models")]
        return record | ({"models": models} if models else {})


@dataclass(frozen=True)
class ClassCounts:
    """Correct predictions and examples by class: what one model's test run comes down to."""

    correct: tuple[int, ...]
    examples: tuple[int, ...]

    def to_record(self) -> dict[str, list[int]]:
        """The test run as JSON values."""
        return {"correct": list(self.correct), "examples": list(self.examples)}

    @classmethod
    def from_record(cls, record: Mapping[str, Sequence[int]]) -> "ClassCounts":
        """Read what :meth:`to_record` returned."""
        return cls(tuple(record["correct"]), tuple(record["examples"]))

    @property
    def accuracy(self) -> float:
        """Share of correct predictions."""
        return sum(self.correct) / sum(self.examples)


def count_correct(likelihoods: NDArray[np.float32], labels: NDArray[np.int64]) -> ClassCounts:
    """Count correct predictions by class.

    Args:
        likelihoods: scores of shape ``(examples, classes)``; the largest is the prediction.
        labels: class numbers, shape ``(examples,)``.
    """
    classes = likelihoods.shape[1]
    hits = labels[likelihoods.argmax(axis=1) == labels]
    correct = np.bincount(hits, minlength=classes)
    examples = np.bincount(labels, minlength=classes)
    return ClassCounts(tuple(correct.tolist()), tuple(examples.tolist()))


def accuracy(models: Sequence[ClassCounts], one_class: bool = False) -> Accuracy:
    """Judge one model, or the mean of several on the same test examples.

    The interval speaks of the test examples: how far this mean could be from the same models'
    mean on endlessly many examples. It does not speak of other models that the same procedure
    might have made; their spread is in ``models``.

    Args:
        models: test runs on the same examples.
        one_class: accept examples of one class: for a study that shows what such a test says.

    Raises:
        DataError: the test examples are all of one class, on which accuracy means nothing.
    """
    examples = models[0].examples
    if any(model.examples != examples for model in models):
        raise ValueError("these models were tested on different examples")
    if sum(count > 0 for count in examples) < 2 and not one_class:
        raise DataError("the test examples are all of one class: accuracy means nothing there")
    n = sum(examples)
    shares = [model.accuracy for model in models]
    value = float(np.mean(shares))
    interval = wilson(round(value * n), n)
    balanced = float(
        np.mean(
            [
                np.mean([c / e for c, e in zip(model.correct, examples, strict=True) if e])
                for model in models
            ]
        )
    )
    return Accuracy(
        value, interval, n, balanced, max(examples) / n, examples,
        tuple(shares) if len(shares) > 1 else (),
    )  # fmt: skip


def reweighted(model: ClassCounts, shares: Sequence[float]) -> Accuracy:
    """A model's accuracy on texts of another class mix than the test split's.

    The mean of its shares of correct predictions by class, weighted by ``shares``; the interval is
    that of a stratified sample (Wilson's by class, their half widths combined in quadrature).
    Classes without a test example are left out; the shares of the others then make up the whole.

    Args:
        model: a test run.
        shares: share of each class, summing to 1, for example those of a client's own texts.

    Raises:
        ValueError: no class that has a share was tested.
    """
    known = [share if n else 0.0 for share, n in zip(shares, model.examples, strict=True)]
    tested = sum(known)
    if not tested:
        raise ValueError("no class that has a share was tested")
    if any(n == 0 and share for share, n in zip(shares, model.examples, strict=True)):
        known = [share / tested for share in known]
    value = low = high = 0.0
    for correct, examples, share in zip(model.correct, model.examples, known, strict=True):
        if share:
            of_class, (below, above) = correct / examples, wilson(correct, examples)
            value += share * of_class
            low += (share * (of_class - below)) ** 2
            high += (share * (above - of_class)) ** 2
    interval = max(0.0, value - low**0.5), min(1.0, value + high**0.5)
    balanced = float(
        np.mean([c / e for c, e in zip(model.correct, model.examples, strict=True) if e])
    )
    return Accuracy(
        value, interval, sum(model.examples), balanced, max(known), tuple(model.examples)
    )


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest  # here, because clients that only count need not wait for it

    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
