"""The unigram seed: how often every token is, for a language model."""

from pydantic import Field

from fedseed.seeds.description import SeedKind, SeedOptions


class UnigramOptions(SeedOptions):
    """How exactly frequencies are kept."""

    step: float = Field(
        0.5, ge=0.05, le=8, description="Step of the logarithms of frequencies, nats."
    )


SEED_KIND = SeedKind(
    name="unigram",
    code=7,
    summary="how often each token is: what a language model knows without any context",
    made_from="counts",
    format=f"{__name__}.format:UnigramFormat",
    options=UnigramOptions,
    file_version=2,
)
