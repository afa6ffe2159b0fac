"""A client of one sum: four answers, each to what the server has passed on from the others."""

import json
import os
from collections.abc import Collection, Mapping
from typing import Self

import numpy as np

from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.federation.secure_aggregation.keys import (
    PRIVATE_BYTES,
    PUBLIC_BYTES,
    SHARE_BYTES,
    KeyPair,
    opened,
    raw,
    sealed,
    shares_of,
)
from fedseed.federation.secure_aggregation.masks import KEY_BYTES, mask_of


class Participant:
    """One client's part in one sum; it answers each question once, and in order."""

    def __init__(self, number: int, least: int = 2) -> None:
        """Draw keys.

        Args:
            number: the client's own.
            least: the fewest clients whose sum it takes part in: its own limit.
        """
        self._number, self._least = number, least
        self._sealing, self._masking = KeyPair(), KeyPair()
        self._seed = os.urandom(KEY_BYTES)
        self._threshold = 0
        self._public: dict[int, bytes] = {}
        """Public keys of the neighbours that it shared its secrets with."""
        self._received: dict[int, tuple[bytes, bytes]] = {}
        """Of every neighbour that shared: shares of its seed and of its masking key."""
        self._next = "advertise"

    def save(self) -> bytes:
        """Everything, secrets included, for the client's own memory between two questions."""
        return json.dumps({
            "number": self._number, "least": self._least, "next": self._next,
            "threshold": self._threshold,
            "secrets": [part.hex() for part in
                        (self._sealing.private, self._masking.private, self._seed)],
            "public": {str(n): key.hex() for n, key in self._public.items()},
            "received": {str(n): [part.hex() for part in pair]
                         for n, pair in self._received.items()},
        }).encode()  # fmt: skip

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Go on from what :meth:`save` gave."""
        values = json.loads(data)
        person = cls(values["number"], values["least"])
        sealing, masking, seed = map(bytes.fromhex, values["secrets"])
        person._sealing, person._masking = map(KeyPair.from_private, (sealing, masking))
        person._seed, person._next = seed, values["next"]
        person._threshold = values["threshold"]
        person._public = {int(n): bytes.fromhex(key) for n, key in values["public"].items()}
        person._received = {
            int(n): (bytes.fromhex(pair[0]), bytes.fromhex(pair[1]))
            for n, pair in values["received"].items()
        }
        return person

    def _begin(self, stage: str, then: str) -> None:
        """Refuse a question out of turn: to a second one it would say too much."""
        if self._next != stage:
            raise WireError(f"secure aggregation: {stage} was asked for, {self._next} is next")
        self._next = then

    def advertise(self) -> bytes:
        """The public keys, for sealing and for masking: 98 bytes."""
        self._begin("advertise", "share")
        return self._sealing.public + self._masking.public

    def share(self, keys: Mapping[int, bytes], threshold: int) -> dict[int, bytes]:
        """Share both secrets among the neighbours.

        Args:
            keys: what every neighbour has advertised, the client's own among them.
            threshold: shares that give a secret back.

        Returns:
            By neighbour, its own share sealed for it.

        Raises:
            WireError: too few neighbours, its own keys are not among them, or keys that are none.
        """
        self._begin("share", "mask")
        own = self._sealing.public + self._masking.public
        if keys.get(self._number) != own:
            raise WireError("secure aggregation: the keys that came back are not mine")
        if len(set(keys.values())) < len(keys) or any(map(_malformed, keys.values())):
            raise WireError("secure aggregation: two clients of one key, or a malformed one")
        if not max(2, len(keys) // 2 + 1) <= threshold <= len(keys) or len(keys) < self._least:
            raise WireError(
                f"secure aggregation: {len(keys)} clients with a threshold of {threshold} are "
                "fewer than this client takes part with"
            )
        self._threshold, self._public = threshold, dict(keys)
        numbers = sorted(keys)
        of_seed = shares_of(self._seed, threshold, len(numbers))
        of_key = shares_of(self._masking.private, threshold, len(numbers))
        pairs = dict(zip(numbers, zip(of_seed, of_key, strict=True), strict=True))
        self._received[self._number] = pairs.pop(self._number)
        return {
            other: sealed(self._sealed_for(other), b"".join(pair)) for other, pair in pairs.items()
        }

    def _sealed_for(self, other: int) -> bytes:
        return self._sealing.shared(self._public[other][:PUBLIC_BYTES])

    def mask(self, shares: Mapping[int, bytes], vector: Words) -> Words:
        """Hide a vector.

        Args:
            shares: what neighbours have sealed for this client.
            vector: integers modulo 2 ** 32, whose sum with the others' is asked for.

        Returns:
            The vector, plus a mask of the client's own, plus or minus one with every neighbour
            that has shared: these cancel out in the sum.

        Raises:
            WireError: too few neighbours have shared, or what one has sealed is damaged.
        """
        self._begin("mask", "reveal")
        for other, cipher in shares.items():
            if other not in self._public or other == self._number:
                raise WireError(
                    f"secure aggregation: shares of client {other}, who is no neighbour"
                )
            plain, size = opened(self._sealed_for(other), cipher), SHARE_BYTES[KEY_BYTES]
            if len(plain) != size + SHARE_BYTES[PRIVATE_BYTES]:
                raise WireError("secure aggregation: shares of another length")
            self._received[other] = plain[:size], plain[size:]
        if len(self._received) < max(self._threshold, self._least):
            raise WireError("secure aggregation: too few neighbours have shared their secrets")
        masked = vector + mask_of(self._seed, len(vector))
        for other in shares:
            mask = self._mask_with(other, len(vector))
            masked = masked + mask if self._number < other else masked - mask
        return masked.astype(np.uint32, copy=False)

    def _mask_with(self, other: int, length: int) -> Words:
        return mask_of(raw(self._masking.shared(self._public[other][PUBLIC_BYTES:])), length)

    def reveal(self, survivors: Collection[int], lost: Collection[int]) -> dict[int, bytes]:
        """Give shares of what is needed to take the masks off the sum, and of nothing else.

        Args:
            survivors: neighbours whose masked vectors are in the sum: of their own seeds.
            lost: neighbours that shared but sent none: of their masking keys.

        Raises:
            WireError: a client in both, which would undo its masks; one that did not share; this
                client itself among the lost; or a sum of too few.
        """
        self._begin("reveal", "nothing")
        kept, gone = set(survivors), set(lost)
        if kept & gone or (kept | gone) - self._received.keys() or self._number in gone:
            raise WireError("secure aggregation: asked for both secrets of a client")
        if len(kept) < max(self._threshold, self._least):
            raise WireError(f"secure aggregation: a sum of {len(kept)} neighbours is of too few")
        of_seeds = {other: self._received[other][0] for other in kept}
        return of_seeds | {other: self._received[other][1] for other in gone}


def _malformed(key: bytes) -> bool:
    return len(key) != 2 * PUBLIC_BYTES
