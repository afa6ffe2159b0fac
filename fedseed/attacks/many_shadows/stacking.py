"""Scores of all targets, by each attack and by all of them stacked.

The stack is a logistic regression on the scores of the single attacks. Its attacker plays the game
with its own shadow models: one of them is the target, and the rest are the shadows. The real
target's membership is nowhere in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedseed.attacks.evidence import Floats
from fedseed.attacks.membership.judge import scores_of_model
from fedseed.attacks.membership.shadows import Shadows

STACKED = "stacked"
_REHEARSALS = 6
"""Shadow models that play the target, from which the stack learns."""
Members = NDArray[np.bool_]


@dataclass(frozen=True)
class Query:
    """What all runs' models say when they are asked in one way, such as about whole texts."""

    candidates: Floats
    """Logit-scaled confidence, shape ``(runs, candidates)``."""
    population: Floats
    """The same of texts that nobody holds, shape ``(runs, population)``."""


def all_scores(queries: Sequence[Query], members: Members) -> dict[str, Floats]:
    """Scores by attack, each of shape ``(runs, candidates)``; larger ones speak for membership.

    Args:
        queries: the first is the usual one, whose attacks stand alone too.
        members: whether a run's client held a candidate, ``(runs, candidates)``.

    Raises:
        ValueError: fewer than four runs.
    """
    runs = len(members)
    if runs < 4:
        raise ValueError(f"{runs} runs: an attack with shadow models needs 4 at least")
    found: dict[str, list[Floats]] = {}
    for target in range(runs):
        shadows = [other for other in range(runs) if other != target]
        single = _single(queries, members, target, shadows)
        own = dict(single[0])
        own[STACKED] = _stacked(queries, members, target, shadows, single)
        for name, scores in own.items():
            found.setdefault(name, []).append(scores)
    return {name: np.array(scores) for name, scores in found.items()}


def _single(
    queries: Sequence[Query], members: Members, target: int, shadows: Sequence[int]
) -> list[Mapping[str, Floats]]:
    """Scores of the single attacks on one run, for each query."""
    return [
        scores_of_model(
            query.candidates[target], query.population[target],
            Shadows(query.candidates[shadows], members[shadows]), query.population[shadows],
        )
        for query in queries
    ]  # fmt: skip


def _stacked(
    queries: Sequence[Query],
    members: Members,
    target: int,
    shadows: Sequence[int],
    single: Sequence[Mapping[str, Floats]],
) -> Floats:
    """Log odds of the stack for one run's candidates."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    places = [(target + 1 + number) % len(members) for number in range(len(shadows))]
    played = places[: min(_REHEARSALS, len(places) - 2)]
    rehearsed, truth = [], []
    for other in played:
        rest = [shadow for shadow in shadows if shadow != other]
        rehearsed.append(_features(_single(queries, members, other, rest)))
        truth.append(members[other])
    stack = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    stack.fit(np.concatenate(rehearsed), np.concatenate(truth))
    return np.asarray(stack.decision_function(_features(single)), dtype=np.float64)


def _features(single: Sequence[Mapping[str, Floats]]) -> Floats:
    """Scores of all attacks and queries, shape ``(candidates, attacks x queries)``."""
    return np.column_stack([scores for query in single for scores in query.values()])
