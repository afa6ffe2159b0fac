"""The ``signs`` protocol: one bit a weight, the direction in which a client moved it.

After signSGD with majority vote (Bernstein et al. 2018, arXiv 1802.04434): the server moves every
weight by a fixed step to where the mean of the clients' signs points.
"""

from pydantic import Field

from fedseed.protocols.description import Protocol, ProtocolOptions, Style


class SignsOptions(ProtocolOptions):
    """How far a round moves the weights."""

    step: float = Field(1e-3, gt=0, le=1, description="How far a weight moves when all agree.")


PROTOCOL = Protocol(
    name="signs",
    summary="the sign of every weight's change travels up, weights down",
    options=SignsOptions,
    server="signs.server:SignsServer",
    client="signs.client:SignsClient",
    ends_with="model",
    style=Style("#00838f", "X", "signs of changes travelled", "voted weights"),
    typical_upload=5.5e5,
    reveals=frozenset({"model", "word_rows"}),
)
