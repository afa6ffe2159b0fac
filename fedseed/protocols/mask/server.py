"""The server side of ``mask``: clients learn which of the seed's weights to keep.

Down: the seed (later its sha256), a recipe, and from round 2 on how many of the last round's masks
kept each weight, entropy coded. Up: the number of examples, the training loss and one mask, a
sample of what the client learned, entropy coded: at most one bit a weight. The server keeps the
counts. An observer learns one draw for each weight of each client: a coin's for words that the
client does not use, a loaded one where it learned something. The draws of a word's row together
can show which. ``docs/protocols/mask.md`` has the byte layout.
"""

import math

import numpy as np
from torch import nn

from fedseed.coding.packing import packed_length, unpack
from fedseed.coding.vectors import Words
from fedseed.errors import WireError
from fedseed.protocols.base import Setup
from fedseed.protocols.mask.masked_model import build_model, masked_matrices
from fedseed.protocols.mask.messages import (
    MOST_MASKS,
    decode_counts,
    decode_mask,
    encode_counts,
)
from fedseed.protocols.shared_model import SharedModelServer
from fedseed.seeds.assemble import grow


class MaskServer(SharedModelServer):
    """Counts in how many masks a weight was kept."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        self._sizes = [part.numel() for part in masked_matrices(grow(setup.seed)).values()]
        self._counts = np.zeros(sum(self._sizes), dtype=np.uint16)
        self._masks = 0
        """Masks that are counted; 0 before the first round has ended."""
        self._round = np.zeros_like(self._counts)
        self._taken = 0

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: the counts."""
        return encode_counts(self._counts, self._masks, self._sizes)

    def take(self, examples: int, body: bytes) -> None:  # noqa: ARG002  # all count alike
        """See :class:`SharedModelServer`."""
        if self._taken == MOST_MASKS:
            raise WireError(f"a round takes {MOST_MASKS:,} masks")
        self._round += decode_mask(body, self._sizes)
        self._taken += 1

    def body_length(self) -> int:
        """See :class:`SharedModelServer`: a count for each weight."""
        return packed_length(sum(self._sizes), self.setup.cohort_size)

    def take_sum(self, examples: int, total: Words, clients: int) -> None:  # noqa: ARG002
        """See :class:`SharedModelServer`."""
        counts = unpack(total, sum(self._sizes), self.setup.cohort_size)
        if clients > MOST_MASKS or counts.max(initial=0) > clients:
            raise WireError(f"not believable: counts of more than {clients} masks")
        self._round, self._taken = counts.astype(np.uint16), clients

    def finish_round(self, round_number: int) -> None:  # noqa: ARG002  # all rounds are alike
        """See :class:`SharedModelServer`. Earlier rounds are forgotten."""
        self._counts, self._masks = self._round, self._taken
        self._round, self._taken = np.zeros_like(self._counts), 0

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a newcomer gets."""
        return build_model(self.setup.seed, self.state())

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return self.state()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._counts, self._masks = decode_counts(data, self._sizes)

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        masks, tensors = self.setup.cohort_size, len(self._sizes)
        bits = math.log2(min(masks, MOST_MASKS) + 1)
        down = int(sum(self._sizes) * bits / 8) + 2 * (masks + 1) * tensors
        return down, sum(self._sizes) // 8 + 2 * tensors + 8
