"""The server side of ``lexicon``: the mean of the clients' weighted words becomes a seed.

Down: the seed of the run (later its sha256), a recipe of which only ``max_length`` counts, how many
words of how many levels are asked for, and after round 1 the lexicon seed that the server has. Up:
the number of examples, and a lexicon: the words that say most in the client's own logistic
regression, and its biases. In later rounds a client sends what it has not sent yet. Kept: the
server keeps the sum of the rounds' means, a client what it has sent.
``docs/protocols/lexicon.md`` has the byte layout.
"""

import numpy as np
from torch import nn

from fedseed.errors import ConfigError, SeedError, WireError
from fedseed.linear.lexicon import fit_bytes, shortest_code
from fedseed.linear.token_weights import TokenWeights
from fedseed.protocols.base import Setup
from fedseed.protocols.lexicon import LexiconOptions
from fedseed.protocols.lexicon.messages import LARGEST, Asked, decode_words, nothing, seed_of
from fedseed.protocols.shared_model import HEAD_BYTES, SharedModelServer
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.lexicon.format import OVERHEAD, lexicon_seed, refuse_too_many_classes
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, columns_of

_WORD_BYTES = 2.0
"""About the most bytes that a word takes in one column, place and level."""


class LexiconServer(SharedModelServer):
    """Takes the mean of the clients' weighted words, in proportion to their examples."""

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
        if self._options.seed_bytes < least:
            raise ConfigError(
                f"--seed-bytes {self._options.seed_bytes}: a lexicon of {setup.classes} classes "
                f"takes at least {least} bytes"
            )
        self._total = nothing(setup.classes)
        self._round = nothing(setup.classes)
        self._examples = 0
        self._seed: bytes = b""
        """The encoded lexicon seed; empty before the first round has ended."""

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return Asked(self._options.words, self._options.levels, self._seed).encode()

    def take(self, examples: int, body: bytes) -> None:
        """See :class:`SharedModelServer`."""
        part = decode_words(body, self.setup.classes, self._options.words)
        self._round.weights[:] += examples * part.weights
        self._round.biases[:] += examples * part.biases
        self._examples += examples

    def finish_round(self, round_number: int) -> None:  # noqa: ARG002  # all rounds are alike
        """See :class:`SharedModelServer`."""
        weights = self._total.weights + self._round.weights / self._examples
        biases = self._total.biases + self._round.biases / self._examples
        self._total = TokenWeights(
            np.clip(weights, -LARGEST, LARGEST), np.clip(biases, -LARGEST, LARGEST)
        )
        self._round, self._examples = nothing(self.setup.classes), 0
        self._seed = self._make_seed()

    def _make_seed(self) -> bytes:
        """The largest lexicon seed that fits; empty where no word says anything."""
        setup, most = self.setup, self._options.seed_bytes - OVERHEAD
        try:
            lexicon, key = fit_bytes(self._total, most), key_of(setup.seed, 4)
            return encode(lexicon_seed(lexicon, setup.model, setup.classes, key, setup.shapes))
        except SeedError:  # no word says anything, or absurd weights were sent
            return b""

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`SharedModelServer`: how many words it has."""
        try:
            part = decode_words(contribution[HEAD_BYTES:], self.setup.classes)
        except WireError:
            return ""
        return f"{np.count_nonzero(part.weights.any(axis=1)):,} words"

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
        numbers = np.concatenate([self._total.weights.reshape(-1), self._total.biases])
        return numbers.astype("<f8").tobytes() + self._seed

    def load(self, data: bytes) -> None:
        """See :class:`SharedModelServer`."""
        columns = columns_of(self.setup.classes)
        count = (VOCABULARY + 1) * columns
        if len(data) < 8 * count:
            raise WireError("the checkpoint is of another number of classes")
        numbers = np.frombuffer(data[: 8 * count], "<f8").astype(np.float64)
        if not np.all(np.abs(numbers) <= LARGEST):  # NaN is not
            raise WireError(f"the checkpoint has weights not finite or beyond {LARGEST:g}")
        weights, biases = numbers[:-columns].reshape(-1, columns), numbers[-columns:]
        seed = data[8 * count :]
        if seed:
            seed_of(seed, self.setup.model, self.setup.classes)
        self._total = TokenWeights(weights.copy(), biases.copy())
        self._seed = seed

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        options, columns = self._options, columns_of(self.setup.classes)
        table = 2 * options.levels + 1 + columns + 20
        up = int(options.words * (_WORD_BYTES + columns * options.weight_bits / 8)) + table
        return len(Asked(1, 1, b"").encode()) + options.seed_bytes, up
