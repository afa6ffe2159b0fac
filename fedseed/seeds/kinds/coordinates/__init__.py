"""The coordinates seed: another seed, and where its model has moved in a space that a key spans."""

from fedseed.seeds.description import SeedKind

LARGEST_RANK = 256

SEED_KIND = SeedKind(
    name="coordinates",
    code=8,
    summary="another seed, and a few trained numbers of a space that its key spans",
    made_from="rounds",
    format=f"{__name__}.format:CoordinatesFormat",
    file_version=2,
)
