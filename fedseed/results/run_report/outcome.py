"""What came out of a federated run, in the words of its reports."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fedseed.results.markdown import interval
from fedseed.results.table import PRODUCTS, percent

Accuracy = Mapping[str, Any]
ROLES = ("newcomers", "pooled", "participants_mean")
"""Whose test counts, the first that there is: a model for somebody who took part in no round."""
_BETTER, _WORSE, _ALIKE = (
    "the whole interval of the run lies above it", "the whole interval of the run lies below it",
    "it lies within the interval of the run",
)  # fmt: skip


class Outcome(NamedTuple):
    """The accuracy that stands for a run."""

    role: str
    """Whose test it is, as the record calls it."""
    accuracy: Accuracy


def outcomes(results: Mapping[str, Any]) -> list[Outcome]:
    """The accuracies that may stand for a run: of what it ended with, newcomers' first."""
    made = results["aggregated"]
    return [Outcome(role, made[role]) for role in ROLES if made.get(role) is not None]


def outcome(results: Mapping[str, Any]) -> Outcome:
    """The accuracy that stands for a run: what it ended with, tested by newcomers if there are any.

    Raises:
        LookupError: nobody tested it.
    """
    return outcomes(results)[0]


def product_of(record: Mapping[str, Any]) -> str:
    """What a run ended with."""
    return PRODUCTS[record["protocol"]["ends_with"]]


def tested_words(record: Mapping[str, Any]) -> str:
    """Which model the accuracy of a run is of, and on what it was tested, as a sentence's start."""
    role, product = outcome(record["results"]).role, product_of(record)
    shared = record["protocol"]["ends_with"] == "model"
    if role == "pooled":
        return f"The {product}, tested by every client on texts of its own that it holds out,"
    if shared:
        return f"The {product}, tested on the common test split,"
    if role == "newcomers":
        return f"A newcomer's model, made from the {product} and its own texts,"
    return f"A participant's model, made from the {product} and its own texts,"


def share(accuracy: Accuracy) -> str:
    """An accuracy with its interval: ``84.4 % (83.3 to 85.4)``."""
    ends = interval(accuracy["ci95"], lambda end: f"{100 * end:.1f}", " to ")
    return f"{percent(accuracy['value'])} ({ends})"


def whole(accuracy: Accuracy) -> str:
    """The same with the number of test texts."""
    ends = interval(accuracy["ci95"], lambda end: f"{100 * end:.1f}", " to ")
    return f"{percent(accuracy['value'])} ({ends}; n = {accuracy['n']:,})"


def beside(accuracy: Accuracy, other: float) -> str:
    """Where another model's accuracy lies, seen from a run's interval."""
    low, high = accuracy["ci95"]
    if low > other:
        return _BETTER
    return _WORSE if high < other else _ALIKE


def best_baseline(results: Mapping[str, Any]) -> Accuracy | None:
    """The best of what needs no neural network, the majority class aside."""
    baselines = results.get("baselines", {})
    known = [one for name, one in baselines.items() if name != "majority"]
    return max(known, key=lambda one: float(one["value"]), default=None)


def is_quick(record: Mapping[str, Any]) -> bool:
    """Whether a run was made only to see that everything works."""
    return bool(record["config"].get("quick"))
