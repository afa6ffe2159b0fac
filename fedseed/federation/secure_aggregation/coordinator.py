"""The server of one sum: passes on what it cannot read, and takes the masks off the sum."""

from collections.abc import Iterable, Mapping

import numpy as np

from fedseed.coding.vectors import Words
from fedseed.errors import RunError, WireError
from fedseed.federation.secure_aggregation.keys import (
    PRIVATE_BYTES,
    PUBLIC_BYTES,
    SHARE_BYTES,
    KeyPair,
    raw,
    secret_of,
)
from fedseed.federation.secure_aggregation.masks import KEY_BYTES, mask_of
from fedseed.federation.secure_aggregation.neighbours import Graph


class Coordinator:
    """The four stages, as the server sees them; clients may be missing from any of them on."""

    def __init__(self, graph: Graph, length: int, least: int = 2) -> None:
        """Begin a sum.

        Args:
            graph: the cohort and who shares keys with whom.
            length: numbers of a vector.
            least: fewest clients in the sum; of a client's neighbours the graph has a threshold.
        """
        self._graph, self._length = graph, length
        self._least = max(least, graph.threshold)
        self._keys: dict[int, bytes] = {}
        self._sealed: dict[int, dict[int, bytes]] = {}
        self._masked: dict[int, Words] = {}

    @property
    def members(self) -> list[int]:
        """The clients whose vectors are in the sum."""
        return sorted(self._masked)

    def advertised(self, keys: Mapping[int, bytes]) -> dict[int, dict[int, bytes]]:
        """Take the public keys.

        Returns:
            For every client that answered: its neighbours' keys, its own among them.

        Raises:
            RunError: too few clients are left.
        """
        self._keys = {n: key for n, key in keys.items() if len(key) == 2 * PUBLIC_BYTES}
        return {
            number: {other: self._keys[other] for other in self._around(number, self._keys)}
            for number in self._enough(self._keys)
        }

    def shared(self, sealed: Mapping[int, Mapping[int, bytes]]) -> dict[int, dict[int, bytes]]:
        """Take what every client has sealed for its neighbours.

        Returns:
            For every client that answered: what the neighbours that answered have sealed for it.

        Raises:
            RunError: too few clients are left.
        """
        self._sealed = {
            number: dict(parts)
            for number, parts in sealed.items()
            if number in self._keys
            and parts.keys() == set(self._around(number, self._keys)) - {number}
        }  # whoever shares with some alone would leave masks that do not cancel out
        return {
            number: {
                other: self._sealed[other][number]
                for other in self._around(number, self._sealed)
                if other != number
            }
            for number in self._enough(self._sealed)
        }

    def masked(self, vectors: Mapping[int, Words]) -> dict[int, tuple[set[int], set[int]]]:
        """Take the masked vectors.

        Returns:
            For every client that answered: its neighbours that did, and those that shared but did
            not.

        Raises:
            RunError: too few clients are left.
        """
        self._masked = {
            n: v for n, v in vectors.items() if n in self._sealed and v.shape == (self._length,)
        }
        questions = {}
        for number in self._enough(self._masked):
            around = set(self._around(number, self._sealed))
            questions[number] = around & self._masked.keys(), around - self._masked.keys()
        return questions

    def sum(self, revealed: Mapping[int, Mapping[int, bytes]]) -> Words:
        """Take the shares, and the masks off the sum of all masked vectors.

        Raises:
            RunError: a secret cannot be put together: the sum stays hidden.
        """
        shares: dict[int, list[bytes]] = {}
        for number, parts in revealed.items():
            if number in self._masked:
                for owner, share in parts.items():
                    if len(share) == SHARE_BYTES[self._size_of_secret(owner)]:
                        shares.setdefault(owner, []).append(share)
        total = np.zeros(self._length, dtype=np.uint32)
        for number, vector in self._masked.items():
            total += vector - mask_of(self._secret(number, shares), self._length)
        for number in self._sealed.keys() - self._masked.keys():
            total += self._left_by(number, shares)
        return total

    def _left_by(self, number: int, shares: Mapping[int, list[bytes]]) -> Words:
        """Minus what a lost client's masks have left in the sum."""
        around = [other for other in self._around(number, self._masked) if other != number]
        left = np.zeros(self._length, dtype=np.uint32)
        if not around:
            return left
        pair = self._pair_of(number, shares)
        for other in around:
            mask = mask_of(raw(pair.shared(self._keys[other][PUBLIC_BYTES:])), self._length)
            left += mask if number < other else np.uint32(0) - mask
        return left

    def _pair_of(self, number: int, shares: Mapping[int, list[bytes]]) -> KeyPair:
        """The keys of a lost client, whose public one is known."""
        try:
            pair = KeyPair.from_private(self._secret(number, shares))
        except WireError as error:
            raise _hidden(number, error) from error
        if pair.public != self._keys[number][PUBLIC_BYTES:]:
            raise _hidden(number, "the shares are of another key")
        return pair

    def _size_of_secret(self, owner: int) -> int:
        return KEY_BYTES if owner in self._masked else PRIVATE_BYTES

    def _secret(self, owner: int, shares: Mapping[int, list[bytes]]) -> bytes:
        try:
            threshold, size = self._graph.threshold, self._size_of_secret(owner)
            return secret_of(shares.get(owner, []), threshold, size)
        except WireError as error:
            raise _hidden(owner, error) from error

    def _around(self, number: int, among: Iterable[int]) -> list[int]:
        """The neighbours of a client, itself counted, that are among some."""
        return [other for other in self._graph.of[number] if other in set(among)]

    def _enough(self, left: Mapping[int, object]) -> list[int]:
        """The clients that go on: those around whom there are enough.

        Raises:
            RunError: there are none.
        """
        able = [n for n in left if len(self._around(n, left)) >= self._graph.threshold]
        if len(able) < self._least:
            raise RunError(
                f"secure aggregation: {len(left)} clients are left, too few for the threshold of "
                f"{self._least}: no sum is known, and no answer"
            )
        return able


def _hidden(owner: int, why: object) -> RunError:
    """What is said when a secret cannot be put together."""
    return RunError(
        f"secure aggregation: the masks of client {owner} cannot be taken off ({why}): "
        "no sum is known, and no answer"
    )
