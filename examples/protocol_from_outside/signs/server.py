"""The server side of ``signs``."""

from torch import nn

from fedseed.coding.vectors import Vector
from fedseed.protocols.base import Setup
from fedseed.protocols.shared_model import flat_weights
from fedseed.protocols.vector_server import VectorServer
from fedseed.seeds.assemble import grow
from signs import SignsOptions
from signs.messages import build_model, decode_signs, encode_state


class SignsServer(VectorServer):
    """Moves weights by the mean of the clients' signs."""

    sends_changes = True

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        assert isinstance(setup.options, SignsOptions)
        self._step = setup.options.step

    @property
    def size(self) -> int:
        """See :class:`VectorServer`."""
        return self.setup.parameters

    def start(self) -> Vector:
        """See :class:`VectorServer`: the seed's weights."""
        return flat_weights(grow(self.setup.seed))

    def decode(self, body: bytes) -> Vector:
        """See :class:`VectorServer`."""
        return decode_signs(body, self.size, self._step)

    def state(self) -> bytes:
        """See :class:`SharedModelServer`."""
        return encode_state(self._vector)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`."""
        return build_model(self.setup.seed, self.state())

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        return 1 + 4 * self.size, -(-self.size // 8)
