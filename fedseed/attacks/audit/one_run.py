"""Lower bounds on epsilon from one training run (Steinke, Nasr and Jagielski 2023).

Of m examples each is put into training by its own fair coin. Whoever sees what came out guesses
for some of them whether they were in. If training were (epsilon, delta) differentially private,
the number of correct guesses could not be much larger than that of coins which fall right with
probability e**epsilon / (1 + e**epsilon) each (arXiv 2305.08846, theorem 3.1); a larger number
refutes that epsilon. The bound holds for whatever attack makes the scores; a weak attack makes it
small, so that a small bound does not show that training is private. Where the noise is Gaussian,
:mod:`fedseed.attacks.audit.one_run_gaussian` comes nearer.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedseed.attacks.audit.one_run_gaussian import gaussian_lower_bound, level_of
from fedseed.errors import ConfigError
from fedseed.randomness import generator

SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)
"""Shares of examples guessed that :func:`audit` tries. Chosen beforehand: fixed, not fitted."""
_PRECISION = 1e-6
"""How closely a bound is searched for, in units of epsilon."""


def guesses(scores: ArrayLike, share: float) -> NDArray[np.int8]:
    """Guess membership of the examples with the highest and the lowest scores (algorithm 1).

    k = round(share * m / 2) examples on each side are guessed. Equal scores are ordered by a
    fixed shuffle, not by their place: the place may tell members apart.

    Args:
        scores: larger ones speak for membership, shape ``(m,)``.
        share: share of examples to guess, in [0, 1]; the others are abstained from.

    Returns:
        1 (guessed in), -1 (guessed out) or 0 (abstained), shape ``(m,)``.

    Raises:
        ValueError: ``share`` is outside [0, 1], or a score is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share lies in [0, 1], not {share}")
    if np.isnan(values).any():
        raise ValueError("a score is NaN")
    shuffled = generator(0, "audit ties").permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    side = min(round(share * len(values) / 2), len(values) // 2)
    signs = np.zeros(len(values), dtype=np.int8)
    signs[order[:side]] = -1
    signs[order[len(values) - side :]] = 1
    return signs


def p_value(correct: int, guessed: int, examples: int, epsilon: float, delta: float) -> float:
    """Chance of as many correct guesses if training is (epsilon, delta) private (theorem 3.1).

    P(W >= v) + 2 m delta alpha, with W binomial over ``guessed`` coins of probability
    e**epsilon / (1 + e**epsilon), v = ``correct``, m = ``examples`` and alpha the largest of
    P(v > W >= v - i) / i over i >= 1; at most 1 (appendix D has it as a program).
    """
    from scipy.stats import binom

    chance = 1.0 / (1.0 + np.exp(-epsilon))
    tail = float(binom.sf(correct - 1, guessed, chance))
    if delta > 0 and correct > 0:
        below = np.cumsum(binom.pmf(np.arange(correct - 1, -1, -1), guessed, chance))
        tail += 2 * examples * delta * float((below / np.arange(1, correct + 1)).max())
    return min(1.0, tail)


def epsilon_lower_bound(
    correct: int, guessed: int, examples: int, delta: float, confidence: float = 0.95
) -> float:
    """Largest epsilon that the correct guesses refute; training is not (this, delta) private.

    Args:
        correct: number of correct guesses.
        guessed: number of guesses, without abstentions, fixed before the scores were seen.
        examples: number of examples whose membership was drawn, m.
        delta: the delta of the guarantee that is put to the test, in [0, 1 / (2 m)].
        confidence: chance, in (0, 1), with which the bound holds.

    Returns:
        A number of at least 0, rounded down; 0 when the guesses refute nothing.

    Raises:
        ConfigError: ``delta`` is negative or larger than 1 / (2 m): the p-value then need not grow
            with epsilon, and the guarantee promises next to nothing anyway.
        ValueError: not 0 <= correct <= guessed <= examples, or ``confidence`` outside (0, 1).
    """
    level, low, high = level_of(correct, guessed, examples, confidence), 0.0, 1.0
    if not 0.0 <= delta * 2 * examples <= 1.0:
        raise ConfigError(f"delta {delta:g} cannot be audited with {examples} examples: "
                          "choose one between 0 and 1 / (2 * examples)")  # fmt: skip
    if p_value(correct, guessed, examples, 0.0, delta) >= level:
        return 0.0
    while p_value(correct, guessed, examples, high, delta) < level:
        low, high = high, 2 * high
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if p_value(correct, guessed, examples, middle, delta) < level:
            low = middle
        else:
            high = middle
    return low


def audit(
    scores: ArrayLike, members: ArrayLike, delta: float, confidence: float = 0.95,
    gaussian: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Bound epsilon from below by the best of a fixed list of abstention shares.

    Each of the ``SHARES`` is tested at its part of the error, (1 - confidence) / their number
    (Bonferroni), so that the best bound holds with ``confidence``; with two bounds of each, at half
    of that.

    Args:
        scores: an attack's scores, larger for membership, shape ``(m,)``.
        members: whether each example was in training, shape ``(m,)``. The theorem asks for a
            fair coin for each; a fixed half of the examples is not that.
        delta: the delta of the guarantee that is put to the test, in [0, 1 / (2 m)].
        confidence: chance, in (0, 1), with which the bound holds.
        gaussian: whether the noise is said to be Gaussian, and its curve is put to the test too.

    Returns:
        ``epsilon`` (the bound), ``delta``, ``confidence``, ``examples``, and of the share that
        gave the bound ``share``, ``guessed`` and ``correct``; without a bound above 0 those of
        the largest share.

    Raises:
        ConfigError: as :func:`epsilon_lower_bound`.
        ValueError: the shapes differ, or a score is NaN.
    """
    truth = np.where(np.asarray(members, dtype=np.bool_), 1, -1)
    if np.shape(scores) != truth.shape:
        raise ValueError("an audit needs one score for each example")
    bounds = [epsilon_lower_bound, gaussian_lower_bound] if gaussian else [epsilon_lower_bound]
    each = 1.0 - (1.0 - confidence) / (len(SHARES) * len(bounds))
    tried = []
    for share in SHARES:
        guess = guesses(scores, share)
        guessed, correct = int((guess != 0).sum()), int((guess == truth).sum())
        bound = max(one(correct, guessed, len(truth), delta, each) for one in bounds)
        tried.append({"epsilon": bound, "share": share, "guessed": guessed, "correct": correct})
    best = max(tried, key=lambda bound: bound["epsilon"])  # the first of equals
    return best | {"delta": delta, "confidence": confidence, "examples": len(truth)}
