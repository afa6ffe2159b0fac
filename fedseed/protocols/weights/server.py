"""The server side of ``weights``: federated averaging (McMahan et al. 2017, algorithm 1).

Down: the seed, which names the architecture and is the start (later its sha256), a recipe, the
codec, and from round 2 on the server's weights: in fp32 or fp16 as they are; under int8 and topk
what they have changed since the seed. Up: the number of examples, the training loss and the
weights, or what training changed in them; under int8 and topk the client keeps what the codec lost
and adds it to its next change (error feedback). The server keeps the aggregated weights. An
observer learns each client's weights after training, more or less exactly, from which much about
its texts can be computed. ``docs/protocols/weights.md`` has the byte layout.

Under a codec of changes the server's weights move by the aggregated change. What the codec loses
on the way down stays in them, and so in the next state: error feedback of the server.
"""

import numpy as np
from torch import nn

from fedseed.coding.codecs import make_codec
from fedseed.coding.vectors import Parts, Vector
from fedseed.protocols.base import Setup
from fedseed.protocols.shared_model import flat_weights
from fedseed.protocols.vector_server import VectorServer
from fedseed.protocols.weights import WeightsOptions
from fedseed.protocols.weights.messages import HEAD_BYTES, build_model, encode_state
from fedseed.seeds.assemble import grow


class WeightsServer(VectorServer):
    """Aggregates weights, by default in proportion to the clients' examples."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        assert isinstance(setup.options, WeightsOptions)
        super().__init__(setup, setup.options.strategy)
        self._keep = setup.options.keep
        self._codec = make_codec(setup.options.codec, self._keep)
        self._sizes = [int(np.prod(shape)) for shape in setup.shapes.values()]
        self.sends_changes = self._codec.sends_changes

    @property
    def size(self) -> int:
        """See :class:`VectorServer`."""
        return self.setup.parameters

    @property
    def parts(self) -> Parts:
        """See :class:`VectorServer`."""
        return Parts(self.setup.shapes)

    def start(self) -> Vector:
        """See :class:`VectorServer`: the seed's weights."""
        return flat_weights(grow(self.setup.seed))

    def decode(self, body: bytes) -> Vector:
        """See :class:`VectorServer`."""
        return self._codec.decode(body, self._sizes)

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: the codec, and the weights after round 1."""
        return encode_state(self._codec, self._keep, self.setup.seed, self._vector, self._sizes)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a client is sent."""
        return build_model(self.setup.seed, self.state())

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        count = self.setup.parameters
        return HEAD_BYTES + self._codec.down.estimate(count), self._codec.estimate(count)
