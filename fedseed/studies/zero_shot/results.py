"""What a zero-shot study's cells come down to, over their repeats."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.evaluation.metrics import ClassCounts
from fedseed.evaluation.repeats import mean_interval, over_repeats


def linear_accuracy(result: Mapping[str, Any], test_set: str) -> dict[str, Any] | None:
    """Accuracy of the linear model that a lexicon is; None for seeds of other kinds."""
    if "linear" not in result:
        return None
    counts = ClassCounts.from_record(result["linear"][test_set])
    return over_repeats([counts], one_class=test_set == "one_class")


def language_cell(
    row: str, repeats: Sequence[Mapping[str, Any]], chance: float, original: float
) -> dict[str, Any]:
    """One row over its repeats, against a uniform guess's loss and the original's, in nats."""
    losses = [result["loss_nats"] for result in repeats]
    known = None not in losses
    loss = float(np.mean(losses)) if known else None
    first = repeats[0]
    return {
        "part": "language", "row": row, "bytes": first.get("bytes"),
        "reconstruction_error": mean_of(repeats, "reconstruction_error"),
        "loss_nats": loss, "loss_repeats": losses,
        "loss_ci95": mean_interval(losses) if known else None,
        "perplexity": _exp(loss), "infinite": _exp(loss) is None,
        "perplexity_per_word": _exp(loss, first["tokens"] / first["words"]),
        "context": first["context"], "stride": first["stride"],
        "tokens": first["tokens"], "words": first["words"],
        "retention_chance_corrected": (chance - loss) / (chance - original)
        if loss is not None and chance > original else None,
    }  # fmt: skip


def _exp(loss: float | None, times: float = 1.0) -> float | None:
    try:
        return None if loss is None else math.exp(loss * times)
    except OverflowError:
        return None


def mean_of(results: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The mean of some results' values of a name; None where one is not finite, or all lack it."""
    values = [result[name] for result in results if result.get(name) is not None]
    return float(np.mean(values)) if values and np.isfinite(values).all() else None
