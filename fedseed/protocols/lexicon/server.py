"""The server side of ``lexicon``: what clients know of words becomes a seed.

Down: the seed of the run (later its sha256), a recipe of which only ``max_length`` counts, what is
asked for, and after round 1 the lexicon seed that the server has. Up: the number of examples, and
a lexicon of the client's strongest words, of which the server takes the mean, or counts of its
texts, which the server adds up. Kept: the server keeps these sums, a client what it has sent.
``docs/protocols/lexicon.md`` has the byte layout.
"""

import struct

import numpy as np
from torch import nn

from fedseed.coding.vectors import Words
from fedseed.errors import ConfigError, SeedError, WireError
from fedseed.linear.lexicon import shortest_code
from fedseed.protocols.base import Setup
from fedseed.protocols.lexicon import LexiconOptions
from fedseed.protocols.lexicon.counts import SummedCounts
from fedseed.protocols.lexicon.estimates import Estimate
from fedseed.protocols.lexicon.logistic import MeanWeights
from fedseed.protocols.lexicon.messages import Asked, seed_of
from fedseed.protocols.lexicon.noisy_counts import NoisyCounts
from fedseed.protocols.shared_model import HEAD_BYTES, SharedModelServer
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.lexicon.format import OVERHEAD, lexicon_seed, refuse_too_many_classes
from fedseed.seeds.kinds.lexicon.words import columns_of

_LENGTH = "<I"


def _make_estimate(setup: Setup, options: LexiconOptions) -> Estimate:
    if options.estimate == "counts":
        size = setup.classes, options.buckets, setup.recipe.max_length
        return SummedCounts(*size) if setup.defence is None else NoisyCounts(*size, setup.defence)
    return MeanWeights(setup.classes, options)


class LexiconServer(SharedModelServer):
    """Makes the largest lexicon seed that fits of all that clients sent."""

    def __init__(self, setup: Setup) -> None:
        """Start a run.

        Raises:
            SeedError: the model cannot carry a lexicon of so many classes.
            ConfigError: the seed is too short for so many.
        """
        super().__init__(setup)
        assert isinstance(setup.options, LexiconOptions)
        refuse_too_many_classes(setup.model, setup.classes)
        self._options = setup.options
        least = OVERHEAD + shortest_code(columns_of(setup.classes))
        self._most = self._options.longest_seed(setup.classes)
        if self._most < least:
            raise ConfigError(
                f"--seed-bytes {self._most}: a lexicon of {setup.classes} classes "
                f"takes at least {least} bytes"
            )
        self._estimate = _make_estimate(setup, self._options)
        self._seed: bytes = b""
        """The encoded lexicon seed; empty before the first round has ended."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return self._asked(self._seed).encode()

    def _asked(self, seed: bytes) -> Asked:
        options = self._options
        if options.estimate == "counts":
            return Asked(0, 0, options.buckets, seed)
        return Asked(options.words, options.levels, options.buckets, seed)

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        self._estimate.take(examples, body)

    def body_length(self) -> int:
        """See :class:`SharedModelServer`."""
        return self._estimate.sum_length()

    def take_sum(self, examples: int, total: Words, clients: int) -> None:
        """See :class:`SharedModelServer`."""
        self._estimate.take_sum(examples, total.view(np.int32).astype(np.int64), clients)

    def finish_round(self, round_number: int) -> None:  # noqa: ARG002  # all rounds are alike
        """See :class:`SharedModelServer`."""
        self._estimate.finish_round()
        self._seed = self._make_seed()

    def _make_seed(self) -> bytes:
        """The largest lexicon seed that fits; empty where no word says anything."""
        setup, most = self.setup, self._most - OVERHEAD
        try:
            lexicon, key = self._estimate.lexicon(most), key_of(setup.seed, 4)
            return encode(lexicon_seed(lexicon, setup.model, setup.classes, key, setup.shapes))
        except SeedError:  # no word says anything, or absurd weights were sent
            return b""

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`SharedModelServer`."""
        return self._estimate.describe(contribution[HEAD_BYTES:])

    def seed(self) -> bytes | None:
        """See :class:`SharedModelServer`."""
        return self._seed or None

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what the seed assembles."""
        return grow(self._seed or self.setup.seed)

    def files(self) -> dict[str, bytes]:
        """See :class:`SharedModelServer`: the lexicon seed beside the model."""
        return super().files() | ({"lexicon.fseed": self._seed} if self._seed else {})

    def save(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return struct.pack(_LENGTH, len(self._seed)) + self._seed + self._estimate.save()

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        start = struct.calcsize(_LENGTH)
        if len(data) < start:
            raise WireError("the checkpoint is truncated")
        end = start + struct.unpack_from(_LENGTH, data)[0]
        seed = data[start:end]
        if seed:
            seed_of(seed, self.setup.model, self.setup.classes)
        self._estimate.load(data[end:])
        self._seed = seed

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        down = len(self._asked(b"").encode()) + self._most
        return down, self._estimate.upload_estimate()
