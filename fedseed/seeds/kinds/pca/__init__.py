"""The pca seed: leading components of every matrix, moments, and which rows matter."""

from collections.abc import Mapping
from fnmatch import fnmatch

from pydantic import Field, field_validator

from fedseed.options import is_whole
from fedseed.seeds.description import SeedKind, SeedOptions, SeedRow

DEFAULT_STEP = 0.004


def read_budget(words: str) -> dict[str, int]:
    """Read ``PATTERN=K,PATTERN=K``: components by pattern of a tensor's name.

    Raises:
        ValueError: not of that form.
    """
    parts = [part.rpartition("=") for part in words.split(",") if part]
    if not all(pattern and is_whole(number) for pattern, _, number in parts) or (
        words and not parts
    ):
        raise ValueError("write PATTERN=K, such as *word_embeddings*=4")
    return {pattern: int(number) for pattern, _, number in parts}


class PcaOptions(SeedOptions):
    """What is kept. Whether it fits is known only beside the weights: extraction says so."""

    k: int = Field(
        10, description="Components of each matrix; a smaller matrix keeps all of its own."
    )
    step: float = Field(
        DEFAULT_STEP, description="Quantiser's step, as a share of a tensor's norm; larger is "
        "coarser."
    )  # fmt: skip
    max_bytes: int | None = Field(
        None, ge=1, description="Raise the step until the payload fits, bytes."
    )
    budget: Mapping[str, int] | None = Field(
        None, description="Components by pattern of a tensor's name, the first "
        "that fits, such as *word_embeddings*=2,*=16."
    )  # fmt: skip
    fill: bool = Field(
        False, description="Fill what the components leave out with noise of the same deviation."
    )

    @field_validator("budget", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        return read_budget(value) if isinstance(value, str) else value

    def components_of(self, name: str) -> int:
        """Components of a matrix: those of the first pattern that fits its name, else ``k``."""
        budget = self.budget or {}
        return next((k for pattern, k in budget.items() if fnmatch(name, pattern)), self.k)


SEED_KIND = SeedKind(
    name="pca",
    code=5,
    summary="leading components, moments and sparsity of every tensor",
    made_from="weights",
    format=f"{__name__}.format:PcaFormat",
    options=PcaOptions,
    rows={"pca": SeedRow("pca: components, moments, sparsity", drawn=False)},
)
