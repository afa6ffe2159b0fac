"""What travels under the ``recipe`` protocol: requests, and scores that may be lies."""

import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from fedseed.errors import WireError
from fedseed.privacy.mechanisms import coarse_metrics
from fedseed.protocols.base import Memory
from fedseed.recipe import RECIPE_BYTES, Recipe
from fedseed.seeds.base import digest
from fedseed.seeds.codec import decode

_DIGEST, _SEED = 0, 1
_SCORE = "<BIIIIdf"
SCORE_BYTES = struct.calcsize(_SCORE)
"""Length of one recipe's score on the wire."""
_MOST_EXAMPLES = 10_000_000
_MEMORY_KEY = "seed"


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


def encode_request(seed: bytes | None, seed_digest: bytes, recipes: Sequence[Recipe]) -> bytes:
    """Bytes that go down: the seed, or its digest when ``seed`` is None, and the recipes."""
    head = bytes([_DIGEST]) + seed_digest
    if seed is not None:
        head = bytes([_SEED]) + len(seed).to_bytes(4, "little") + seed
    return head + bytes([len(recipes)]) + b"".join(recipe.encode() for recipe in recipes)


def decode_request(
    payload: bytes, memory: Memory, architecture: tuple[str, int] | None = None
) -> tuple[bytes, list[Recipe]]:
    """Read what came down, and keep or look up the seed.

    Args:
        payload: what came down.
        memory: the client's.
        architecture: name and classes of the only model whose seed is taken.

    Returns:
        The encoded seed and the recipes.

    Raises:
        WireError: malformed bytes, the digest of a seed that was never sent, or a seed of another
            architecture.
    """
    if payload[:1] == bytes([_SEED]):
        end = 5 + int.from_bytes(payload[1:5], "little")
        seed, rest = payload[5:end], payload[end:]
        _refuse_other(seed, architecture)
        memory[_MEMORY_KEY] = seed
    elif payload[:1] == bytes([_DIGEST]):
        wanted, rest = payload[1:33], payload[33:]
        seed = memory.get(_MEMORY_KEY, b"")
        if digest(seed) != wanted:
            raise WireError("the server names a seed that it never sent to this client")
    else:
        raise WireError("the request starts with neither a seed nor a digest")
    count, body = (rest[0], rest[1:]) if rest else (0, b"")
    if count == 0 or len(body) != count * RECIPE_BYTES:
        raise WireError("the request's recipes are truncated or missing")
    parts = range(0, len(body), RECIPE_BYTES)
    return seed, [Recipe.decode(body[at : at + RECIPE_BYTES]) for at in parts]


def _refuse_other(seed: bytes, architecture: tuple[str, int] | None) -> None:
    """Refuse a seed that would have the client fetch and build another model than its own."""
    if architecture is None:
        return
    found, (model, labels) = decode(seed), architecture
    if (found.model, found.labels) != architecture:
        raise WireError(
            f"the server's seed is for {found.model} with {found.labels} classes, this client's "
            f"options are for {model} with {labels}"
        )


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
