"""Which words a client uses, read from the rows of the word embedding that its model moved.

A row of the word embedding has a gradient only when its word is in a batch. Of a vocabulary of
30,522 a client uses a few thousand, so that nearly all rows show what an unused row does: nothing,
or what weight decay, a codec's rounding or added noise do to all. Words whose rows do more were
used. Melis et al. 2019 (arXiv 1805.04049, section 4.1) describe the leak; here it is read from the
state that went down and the one that came up.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

WORDS = "bert.embeddings.word_embeddings.weight"
SPECIAL = (0, 100, 101, 102)
"""[PAD], [UNK], [CLS] and [SEP] of bert-base-uncased's vocabulary, in which nobody has secrets."""
CLS, SEP = SPECIAL[2:]
FIRST_WORD = 2000
"""Whole words begin about there, in the same vocabulary; parts of words stand among them."""
FALSE_POSITIVE_RATE = 1e-4
"""Share of unused words that may be called used: three words of the vocabulary."""
_TO_SIGMA = 1.4826
"""A Gaussian's standard deviation in units of its median absolute deviation."""
_SINGLE, _HALF = 2.0**-22, 2.0**-12
"""Rounding of a row, as a share of its size."""


def row_scores(
    before: State, after: State, prior: float | NDArray[Any] = 0.5, name: str = WORDS
) -> Floats:
    """How far each row moved beyond what an unused row does, in standard deviations of the latter.

    Weights in fp32, fp16 or int8, and adapters merged into the seed's model, are all read alike:
    what multiplies every row by the same factor (weight decay) is divided out, fp16's rounding is
    repeated on the old weights, and the spread of most rows is the unit. A state whose weights are
    a share of the old ones or exactly zero is a mask: see :func:`mask_scores`.

    Args:
        before: the state that went down.
        after: the state that came up.
        prior: what :func:`mask_scores` takes, of masks.
        name: of the matrix, shape ``(words, features)``.

    Returns:
        Shape ``(words,)``; about 0 for an unused word, standard normal under Gaussian noise.
    """
    old, new = before[name].astype(np.float64), after[name].astype(np.float64)
    if _is_mask(old, new):
        return mask_scores(before, after, prior, name)
    expected = _shrinkage(old, new) * old
    half = np.array_equal(new, new.astype(np.float16))
    if half:
        expected = expected.astype(np.float16).astype(np.float64)
    moved = _root_mean_square(new - expected)
    # Rounding is no reason to call a word used; of fp16, the few entries that tip over.
    precision = _HALF if half else _SINGLE
    rounding = precision * _root_mean_square(old) + float(np.finfo(np.float32).tiny)
    middle = np.median(moved)
    return np.asarray((moved - middle) / (_spread(moved) + rounding), dtype=np.float64)


def mask_scores(
    before: State, after: State, prior: float | NDArray[Any] = 0.5, name: str = WORDS
) -> Floats:
    """How loaded each row's bits are along the direction that loads most rows' bits.

    A bit of an unused word is a coin of known prior. With a prior of a half every row of bits is
    as likely as any other, and their mean says nothing: a used word's bits go up as often as down,
    as the gradient and the sign of the seed's weight have it. But words of one task are pushed
    along few directions. Bits times the weights that they keep, in standard deviations, are vectors
    whose leading principal direction is that push; each row's component along it is the score.

    Args:
        before: the state that went down: weights times their prior.
        after: the state that came up: weights times bits.
        prior: probability that a weight is kept, a number or of the matrix' shape. In round 1 it
            is the protocol's; later the share of masks that kept the weight, which went down.
        name: of the matrix.

    Returns:
        Shape ``(words,)``: size of a standard normal for unused words, less its median, in units
        in which :func:`suspicious_rows` has the right false positive rate.
    """
    old, new = before[name].astype(np.float64), after[name].astype(np.float64)
    kept = np.clip(np.broadcast_to(np.asarray(prior, dtype=np.float64), old.shape), 0.01, 0.99)
    bits = (new != 0).astype(np.float64)
    pushed = (bits - kept) / np.sqrt(kept * (1 - kept)) * np.sign(old)
    _, _, directions = np.linalg.svd(pushed.T @ pushed)
    return _folded(pushed @ directions[0])


def moved_rows(
    before: State,
    after: State,
    special: Iterable[int] = SPECIAL,
    false_positive_rate: float = FALSE_POSITIVE_RATE,
    prior: float | NDArray[Any] = 0.5,
) -> NDArray[np.int64]:
    """Words that a client used, judging by two states.

    Args:
        before: the state that went down, see :func:`fedseed.models.registry.to_state`.
        after: the state that came up.
        special: word ids that are known anyway, and left out.
        false_positive_rate: of unused words.
        prior: of masks, see :func:`mask_scores`.

    Returns:
        Word ids, ascending.
    """
    rows = suspicious_rows(row_scores(before, after, prior), false_positive_rate)
    return np.setdiff1d(rows, np.fromiter(special, dtype=np.int64))


def suspicious_rows(
    scores: Floats, false_positive_rate: float = FALSE_POSITIVE_RATE
) -> NDArray[np.int64]:
    """Rows whose scores are beyond what chance explains.

    Args:
        scores: shape ``(rows,)``, in standard deviations; most rows are unused. Should they spread
            wider than that, their own median absolute deviation is the unit.
        false_positive_rate: share of unused rows that may be called used, in (0, 1).

    Returns:
        Row numbers, ascending.
    """
    from scipy.stats import norm

    threshold = float(norm.isf(false_positive_rate))
    scaled = (scores - np.median(scores)) / max(1.0, _spread(scores))
    return np.asarray(np.flatnonzero(scaled > threshold), dtype=np.int64)


def vocabulary_recovery(
    named: Iterable[int], true_words: Iterable[int], special: Iterable[int] = SPECIAL
) -> dict[str, float | int | None]:
    """How much of a client's vocabulary was named; special tokens count on neither side.

    Args:
        named: word ids.
        true_words: ids of all words in the texts that were trained on.
        special: ids left out.

    Returns:
        ``precision`` and ``recall`` in [0, 1], ``found`` and ``true``, numbers of words. A share of
        nothing is None: precision when nothing was named, recall when nothing was there.
    """
    known = set(special)
    claimed, true = set(map(int, named)) - known, set(map(int, true_words)) - known
    right = len(claimed & true)
    return {
        "precision": right / len(claimed) if claimed else None,
        "recall": right / len(true) if true else None,
        "found": len(claimed),
        "true": len(true),
    }


def _is_mask(old: Floats, new: Floats) -> bool:
    """Whether weights that were not zero are zero in nearly every row."""
    dropped = ((new == 0) & (old != 0)).any(axis=1)
    return bool(dropped.mean() > 0.9)


def _shrinkage(old: Floats, new: Floats) -> float:
    """The factor by which most rows were multiplied; 1 for rows of zeros."""
    energy = np.square(old).sum(axis=1)
    some = energy > 0
    if not some.any():
        return 1.0
    return float(np.median((old[some] * new[some]).sum(axis=1) / energy[some]))


def _root_mean_square(rows: Floats) -> Floats:
    return np.asarray(np.sqrt(np.square(rows).mean(axis=1)), dtype=np.float64)


def _spread(values: Floats) -> float:
    """Standard deviation of the bulk of some values."""
    return _TO_SIGMA * float(np.median(np.abs(values - np.median(values))))


def _folded(values: Floats) -> Floats:
    """Two-sided scores of a normal sample as one-sided ones with the same tail probabilities."""
    from scipy.stats import norm

    scaled = np.abs(values - np.median(values)) / max(_spread(values), 1e-300)
    tail = np.minimum(2 * norm.sf(scaled), 1.0)
    return np.asarray(norm.isf(np.clip(tail, 1e-300, 1 - 1e-16)), dtype=np.float64)
