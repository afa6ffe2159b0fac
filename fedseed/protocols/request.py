"""Requests: the seed, or its digest for clients that hold it already, and recipes."""

from collections.abc import Sequence

from fedseed.errors import WireError
from fedseed.memory import Memory
from fedseed.recipe import RECIPE_BYTES, Recipe
from fedseed.seeds.base import digest
from fedseed.seeds.codec import decode

_DIGEST, _SEED = 0, 1
_MEMORY_KEY = "seed"


class SeedBroadcast:
    """The server's side of a seed that travels once to every client, and later as its sha256."""

    def __init__(self, seed: bytes) -> None:
        """Broadcast an encoded seed, which nobody holds yet."""
        self.seed = seed
        self.holders: set[int] = set()
        """Partitions whose reply shows that they hold the seed."""
        self._digest = digest(seed)

    def request(self, recipes: Sequence[Recipe], held: bool) -> bytes:
        """Bytes that go down: recipes, with the seed unless it is held.

        Args:
            recipes: at least one, at most 255.
            held: whether the client holds the seed.
        """
        head = bytes([_SEED]) + len(self.seed).to_bytes(4, "little") + self.seed
        if held:
            head = bytes([_DIGEST]) + self._digest
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
        _refuse_other_model(seed, architecture)
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
    starts = range(0, len(body), RECIPE_BYTES)
    return seed, [Recipe.decode(body[start : start + RECIPE_BYTES]) for start in starts]


def _refuse_other_model(seed: bytes, architecture: tuple[str, int] | None) -> None:
    """Refuse a seed that would have the client fetch and build another model than its own."""
    if architecture is None:
        return
    sent, (model, labels) = decode(seed), architecture
    if (sent.model, sent.labels) != architecture:
        raise WireError(
            f"the server's seed is for {sent.model} with {sent.labels} classes, this client's "
            f"options are for {model} with {labels}"
        )
