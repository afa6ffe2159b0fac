"""Options of privacy: differential privacy, and sums of which nobody sees one answer."""

from typing import ClassVar, Literal

from pydantic import Field

from fedseed.options import Options


class DifferentialPrivacyOptions(Options):
    """What is protected, and how much may be spent. Field descriptions are help texts."""

    subject: ClassVar[str] = "Privacy"

    privacy: Literal["example", "client"] | None = Field(
        None, description="What differential privacy protects: one example of a client (DP-SGD), "
        "or all of a client's (noise on what it sends)."
    )  # fmt: skip
    epsilon: float | None = Field(
        None, gt=0, le=1e6, description="privacy: the budget of a whole run, for each client. "
        "Without --noise the noise is calibrated to it; with it the run ends before a round that "
        "would spend more."
    )  # fmt: skip
    delta: float | None = Field(
        None, gt=0, lt=1, description="privacy: delta of the budget; without it 1e-5."
    )
    clip: float | None = Field(
        None, gt=0, le=1e6, description="privacy: largest L2 norm of an example's gradient, or of "
        "a client's change of the weights."
    )  # fmt: skip
    noise: float | None = Field(
        None, ge=0, le=1e6, description="privacy: noise multiplier, the standard deviation in "
        "units of the clip (recipe: of the range of a score)."
    )  # fmt: skip


class SecureAggregationOptions(Options):
    """Whether the server sees sums alone. Field descriptions are help texts."""

    subject: ClassVar[str] = "Privacy"

    secure_aggregation: bool = Field(
        False, description="Let the server learn the sum of a round's contributions and none of "
        "them (SecAgg+), under a protocol whose contributions add up."
    )  # fmt: skip
    threshold: int | None = Field(
        None, ge=2, description="secure aggregation: fewest clients whose sum becomes known, more "
        "than half of a round's; without it two thirds."
    )  # fmt: skip
