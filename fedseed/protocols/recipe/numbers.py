"""Payloads of the ``recipe`` protocol as numbers: scores that came up, recipes that went down."""

import numpy as np

from fedseed.protocols.base import Setup
from fedseed.protocols.recipe.messages import SCORE_BYTES, RecipeScore
from fedseed.protocols.request import decode_request

_MOST_LOSS = 10.0
"""Losses are cut to this, in nats: one that diverged is infinite."""


class RecipeNumbers:
    """Reads what travels in one run; see :class:`fedseed.attacks.replay.Numbers`."""

    def __init__(self, setup: Setup) -> None:
        """Read the messages of a run.

        Args:
            setup: what is public; the seed is needed, since later messages hold its digest alone.
        """
        self._memory: dict[str, bytes] = {"seed": setup.seed}

    def of_contribution(self, payload: bytes) -> list[float]:
        """Four numbers a score: share right, losses of validation and training, divergence.

        Losses are in nats, at most 10.
        """
        parts = range(0, len(payload), SCORE_BYTES)
        scores = [RecipeScore.decode(payload[at : at + SCORE_BYTES]) for at in parts]
        return [number for score in scores for number in _numbers(score)]

    def of_download(self, payload: bytes) -> list[float]:
        """Two numbers a recipe: the logarithms of learning rate and embedding multiplier."""
        _, recipes = decode_request(payload, self._memory)
        rates = [(recipe.learning_rate, recipe.embedding_multiplier) for recipe in recipes]
        return [float(np.log(rate)) for pair in rates for rate in pair]


def _numbers(score: RecipeScore) -> list[float]:
    share_right = score.validation_correct / max(1, score.validation_examples)
    losses = [min(_MOST_LOSS, loss) for loss in (score.validation_loss, score.train_loss)]
    return [share_right, *losses, float(score.diverged)]
