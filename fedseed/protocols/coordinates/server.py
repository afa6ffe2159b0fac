"""The server side of ``coordinates``: a few numbers of a space that the seed's key spans.

Down: the seed (later its sha256), a recipe, the rank and the codec, and from round 2 on the mean
of the numbers. Up: the number of examples, the training loss, and what training changed in the
numbers, with error feedback. The server keeps the mean. It ends with a seed: the run's, and the
mean. ``docs/protocols/coordinates.md`` has the byte layout and what was measured.
"""

from torch import nn

from fedseed.coding.codecs import make_codec
from fedseed.coding.vectors import Parts, Vector
from fedseed.protocols.base import Setup
from fedseed.protocols.coordinates import CoordinatesOptions
from fedseed.protocols.coordinates.messages import HEAD_BYTES, encode_state, seed_of
from fedseed.protocols.vector_server import VectorServer
from fedseed.seeds.assemble import grow
from fedseed.seeds.kinds.coordinates.format import Coded
from fedseed.seeds.kinds.coordinates.space import Space


class CoordinatesServer(VectorServer):
    """Moves along the mean of the clients' changes, in proportion to their examples."""

    sends_changes = True

    def __init__(self, setup: Setup) -> None:
        """Start a run.

        Raises:
            SeedError: the model has no matrix for a core, or the seed is a coordinates seed.
        """
        super().__init__(setup)
        assert isinstance(setup.options, CoordinatesOptions)
        self._space = Space.of(setup.shapes, setup.options.rank)
        self._codec = make_codec(setup.options.codec, 1.0)
        seed_of(setup.seed, self._coded())  # refuse now what cannot be a start

    @property
    def size(self) -> int:
        """See :class:`VectorServer`."""
        return self._space.parts.size

    @property
    def parts(self) -> Parts:
        """See :class:`VectorServer`."""
        return self._space.parts

    def start(self) -> Vector:
        """See :class:`VectorServer`: no change."""
        return self._space.start()

    def decode(self, body: bytes) -> Vector:
        """See :class:`VectorServer`."""
        return self._codec.decode(body, self._space.parts.sizes)

    def _coded(self) -> Coded:
        """The mean as it goes down and into the seed; empty before the first round has ended."""
        numbers = b""
        if self._vector is not None:
            numbers = self._codec.encode(self._vector, self._space.parts.sizes)
        return Coded(self._space.rank, self._codec, numbers)

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return encode_state(self._coded())

    def seed(self) -> bytes | None:
        """See :class:`SharedModelServer`."""
        coded = self._coded()
        return seed_of(self.setup.seed, coded) if coded.numbers else None

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what the seed assembles."""
        return grow(self.seed() or self.setup.seed)

    def files(self) -> dict[str, bytes]:
        """See :class:`SharedModelServer`: the seed beside the model."""
        seed = self.seed()
        return super().files() | ({} if seed is None else {"coordinates.fseed": seed})

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        tables = 4 * len(self._space.parts.sizes) + 600
        most = self._codec.estimate(self.size) + tables
        return HEAD_BYTES + most, most
