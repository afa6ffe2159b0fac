"""The ``mask`` protocol: one bit a weight travels (FedPM, Isik et al. 2022)."""

from fedseed.protocols.description import Protocol, ProtocolOptions, Style, Sums
from fedseed.protocols.rows import BEST, USUAL, Row


class MaskOptions(ProtocolOptions):
    """There are none."""


PROTOCOL = Protocol(
    name="mask",
    summary="one bit a weight travels up, counts of them down",
    options=MaskOptions,
    server="fedseed.protocols.mask.server:MaskServer",
    client="fedseed.protocols.mask.client:MaskClient",
    ends_with="model",
    style=Style("#b8860b", "D", "one bit a weight travelled", "averaged masks"),
    typical_upload=1.0e6,
    sums=Sums("masks; all clients count alike"),
    reveals=frozenset({"model", "word_rows"}),
    rows={
        "mask": Row(
            "one bit a weight",
            BEST.replace(learning_rate=0.03),
            slowdown=1.3,
            body=Row("one bit a weight", USUAL.replace(learning_rate=0.03), slowdown=1.3),
        )
    },
)
