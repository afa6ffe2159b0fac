"""The server side of ``adapters``: low-rank changes of a frozen seed go both ways.

Down: the seed (later its sha256), a recipe, rank and kind, and from round 2 on the mean of the
factors. Up: the number of examples, the training loss, and the client's factors. The server keeps
the mean. An observer learns each client's classification head and low-rank changes, among them
four numbers (the rank) for every word: words whose numbers stand still were not used.
``docs/protocols/adapters.md`` has the byte layout and what was measured.
"""

from torch import nn

from fedseed.coding.codecs import make_codec
from fedseed.coding.vectors import Parts, Vector
from fedseed.protocols.adapters import AdaptersOptions
from fedseed.protocols.adapters.low_rank import merged
from fedseed.protocols.adapters.messages import HEAD_BYTES, Layout, read_download
from fedseed.protocols.base import Setup
from fedseed.protocols.vector_server import VectorServer


class AdaptersServer(VectorServer):
    """Averages the factors and the head in proportion to the clients' examples."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        super().__init__(setup)
        assert isinstance(setup.options, AdaptersOptions)
        options = setup.options
        self._layout = Layout.of(setup.shapes, options.rank, options.adapter, options.target)
        self._codec = make_codec(options.codec, 1.0)
        self.sends_changes = self._codec.sends_changes

    @property
    def size(self) -> int:
        """See :class:`VectorServer`."""
        return self._layout.parts.size

    @property
    def parts(self) -> Parts:
        """See :class:`VectorServer`."""
        return self._layout.parts

    def start(self) -> Vector:
        """See :class:`VectorServer`: factors whose product is zero, and the seed's head."""
        return self._layout.start(self.setup.seed)

    def decode(self, body: bytes) -> Vector:
        """See :class:`VectorServer`."""
        return self._codec.decode(body, self._layout.parts.sizes)

    def state(self) -> bytes:
        """See :class:`SharedModelServer`: rank, kind and codec, and the mean after round 1."""
        head = self._layout.head(self._codec)
        if self._vector is None:
            return head
        values = self._vector - self.start() if self.sends_changes else self._vector
        return head + self._codec.down.encode(values, self._layout.parts.sizes)

    def model(self) -> nn.Module:
        """See :class:`SharedModelServer`: what a newcomer gets."""
        layout, _, vector = read_download(self.setup.seed, self.state())
        return merged(self.setup.seed, layout, vector)

    def body_estimate(self) -> tuple[int, int]:
        """See :class:`SharedModelServer`."""
        most = self._codec.estimate(self._layout.parts.size) + 600
        return HEAD_BYTES + most, most
