"""What comes up under ``recipe``: scores, which may be lies."""

import math
import struct
from dataclasses import asdict, dataclass, replace

from fedseed.privacy.mechanisms import coarse_metrics
from fedseed.recipe import Recipe

_SCORE = "<BIIIIdf"
SCORE_BYTES = struct.calcsize(_SCORE)
"""Length of one recipe's score on the wire."""
_MOST_EXAMPLES = 10_000_000


@dataclass(frozen=True)
class RecipeScore:
    """How one recipe did on one client, as it travels."""

    diverged: bool
    """Whether the training loss left the finite numbers."""
    steps: int
    train_examples: int
    validation_examples: int
    validation_correct: int
    validation_loss: float
    """Mean cross-entropy in nats; infinity when training diverged."""
    train_loss: float

    def encode(self) -> bytes:
        """Return the 29 bytes of the score."""
        return struct.pack(_SCORE, *asdict(self).values())

    @classmethod
    def decode(cls, data: bytes) -> "RecipeScore":
        """Read 29 bytes; the values may be absurd (see :func:`why_absurd`)."""
        diverged, *rest = struct.unpack(_SCORE, data)
        return cls(bool(diverged), *rest)


def why_absurd(score: RecipeScore, recipe: Recipe, classes: int) -> str | None:
    """Say why a score cannot be believed; None when it can.

    A wrong prediction costs at least ln 2, whatever the number of classes, so that errors
    bound the loss from below. From above a loss is implausible from 100 times that of
    guessing: honest training that ends there has diverged, and says so.
    """
    if not 1 <= score.validation_examples <= _MOST_EXAMPLES:
        return f"{score.validation_examples} validation examples"
    if not 1 <= score.train_examples <= _MOST_EXAMPLES:
        return f"{score.train_examples} training examples"
    if score.validation_correct > score.validation_examples:
        return "more correct predictions than examples"
    if score.steps > recipe.steps:
        return f"{score.steps} steps of {recipe.steps}"
    if score.diverged:
        return None
    if not 0 <= score.train_loss <= 100 * math.log(classes):
        return f"training loss {score.train_loss:g}"
    wrong = 1 - score.validation_correct / score.validation_examples
    if score.validation_loss < wrong * math.log(2) * 0.999:
        return f"validation loss {score.validation_loss:g} with {100 * wrong:.0f} % errors"
    if not 0 <= score.validation_loss <= 100 * math.log(classes):
        return f"validation loss {score.validation_loss:g}"
    return None


def coarse(score: RecipeScore, digits: int) -> RecipeScore:
    """The score with rounded losses and accuracy."""
    if score.diverged:
        return score
    loss, correct = coarse_metrics(
        score.validation_loss, score.validation_correct, score.validation_examples, digits
    )
    train_loss = round(score.train_loss, digits)
    return replace(
        score, validation_loss=loss, validation_correct=correct, train_loss=train_loss
    )  # fmt: skip
