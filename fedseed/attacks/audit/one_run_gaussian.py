"""Lower bounds on epsilon from one training run whose noise is said to be Gaussian.

What is put to the test is the whole trade-off curve of the mechanism, not (epsilon, delta) alone
(Mahloujifar, Melis and Chaudhuri 2024, arXiv 2410.22235): the bound comes nearer to the truth with
the same guesses. Of m examples each is in training by a fair coin, and c of the coins are guessed.
Let p_i be the chance that i guesses are right, and F(x) = Phi(Phi^-1(x) + mu) the most that a
chance x can become by one example more or less under Gaussian noise of signal mu. An example
guessed rightly while i guesses are right is, with its coin the other way round, an example guessed
wrongly while i - 1 are; the mean over the examples, F being concave, says for every k

    sum over i >= k of (i / m) p_i  <=  F(sum over i >= k of ((c - i + 1) / m) p_(i - 1)).

From the top down this bounds what stands below a tail of a given chance. If that is more than all
there is, such a tail is impossible under mu.
"""

import math

from scipy.special import ndtr, ndtri

from fedseed.privacy.accounting import spent
from fedseed.privacy.search import edge

_PRECISION = 1e-4
"""How closely a signal is searched for, as a share of it."""
_LEAST = 1e-3
"""Signals below are none."""


def level_of(correct: int, guessed: int, examples: int, confidence: float) -> float:
    """The chance with which a bound may fail.

    Raises:
        ValueError: not 0 <= correct <= guessed <= examples, or ``confidence`` outside (0, 1).
    """
    if not 0 <= correct <= guessed <= examples:
        raise ValueError("audit counts need 0 <= correct <= guessed <= examples")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence lies in (0, 1), not {confidence}")
    return 1.0 - confidence


def possible(correct: int, guessed: int, examples: int, signal: float, level: float) -> bool:
    """Whether so many right guesses may have a chance of ``level`` under Gaussian noise.

    Args:
        correct: number of correct guesses, in [0, guessed].
        guessed: number of guesses, without abstentions, in [0, examples].
        examples: number of examples whose membership was drawn.
        signal: what an example moves, in standard deviations of the noise, at least 0.
        level: a chance in (0, 1).
    """
    right = level * correct / examples
    wrong = level * (guessed - correct) / examples
    for count in range(correct - 1, -1, -1):
        # Never fewer than above: the tail only grows.
        more = max(wrong, float(ndtr(ndtri(right) - signal)))
        right += count / (guessed - count) * (more - wrong)
        wrong = more
        if right + wrong > guessed / examples:
            return False
    return True


def gaussian_lower_bound(
    correct: int, guessed: int, examples: int, delta: float, confidence: float = 0.95
) -> float:
    """Largest epsilon that the correct guesses refute, where the noise is Gaussian.

    Args:
        correct: number of correct guesses.
        guessed: number of guesses, without abstentions, fixed before the scores were seen.
        examples: number of examples whose membership was drawn.
        delta: of the guarantee, in (0, 1).
        confidence: chance, in (0, 1), with which the bound holds.

    Returns:
        A number of at least 0; 0 when the guesses refute nothing.

    Raises:
        ValueError: not 0 <= correct <= guessed <= examples, or ``confidence`` outside (0, 1).
    """
    level = level_of(correct, guessed, examples, confidence)

    def refuted(signal: float) -> bool:
        return not possible(correct, guessed, examples, signal, level)

    if guessed == 0 or not refuted(_LEAST):
        return 0.0
    low = _LEAST
    while refuted(2 * low):
        low *= 2
    signal = edge(refuted, low, 2 * low, _PRECISION)
    return 0.0 if math.isinf(signal) else spent(1 / signal, 1.0, 1, delta)
