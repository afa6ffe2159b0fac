"""Options of the ablation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from fedseed.recipe import Recipe
from fedseed.seeds.kinds.pca import DEFAULT_STEP
from fedseed.studies.options import StudyOptions
from fedseed.studies.recipes import GOOD

DOCUMENTS = Recipe()
"""The seed documents' recipe: Adam, 2e-5, 30 steps of 32."""


class AblationOptions(StudyOptions):
    """Options of the ablation."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 40, "most_steps": 2, "original_steps": 5,
    }  # fmt: skip

    recipe: str | None = Field(
        None, description="The good recipe, a TOML file; without it AdamW at 1e-3, word "
        "embeddings x10, linear decay, 120 steps of 32."
    )  # fmt: skip
    k: int = Field(10, ge=1, description="Components of the pca seed.")
    step: float = Field(
        DEFAULT_STEP, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    most_steps: int | None = Field(None, ge=1, description="Cut every recipe to so many steps.")

    def recipes(self) -> dict[str, Recipe]:
        """The documents' recipe and a good one, by name."""
        good = GOOD if self.recipe is None else Recipe.from_toml(Path(self.recipe))
        most = self.most_steps or good.steps
        return {
            name: recipe.replace(steps=min(recipe.steps, most), max_length=self.length)
            for name, recipe in (("documents", DOCUMENTS), ("good", good))
        }

    def seed_options(self) -> dict[str, dict[str, Any]]:
        """Options of seeds by the names of their rows."""
        return {"pca": {"k": self.k, "step": self.step}}
