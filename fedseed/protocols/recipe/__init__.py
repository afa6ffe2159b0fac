"""The ``recipe`` protocol: seeds and recipes go down, metrics come up, never weights."""

from typing import Any

from pydantic import Field, field_validator

from fedseed.privacy.protection import GaussianNoise
from fedseed.protocols.description import Protocol, ProtocolOptions, Style
from fedseed.protocols.rows import Row
from fedseed.recipe import Recipe
from fedseed.recipe_search import search_names


class RecipeOptions(ProtocolOptions):
    """How recipes are searched for, and how finely clients report."""

    aggregator: str = Field(
        "log-mean", description="How recipes are searched for and aggregated: "
        f"{', '.join(search_names()[:-1])} or {search_names()[-1]}."
    )  # fmt: skip
    recipes_per_client: int = Field(
        1, ge=1, le=50, description="Recipes a client tries in one round; they share its steps."
    )
    metric_digits: int | None = Field(
        None, ge=0, le=6, description="Clients round the losses and accuracies that they send to "
        "so many decimals."
    )  # fmt: skip
    metric_threshold: int | None = Field(
        None, ge=1, description="A client with fewer validation examples than this answers "
        "nothing usable."
    )  # fmt: skip

    @field_validator("aggregator")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in search_names():
            raise ValueError(
                f"unknown aggregator '{value}': choose from {', '.join(search_names())}"
            )
        return value

    def check_steps(self, steps: int) -> None:
        """See :class:`ProtocolOptions`: every recipe is given a step."""
        if steps < self.recipes_per_client:
            raise ValueError("--recipes-per-client is larger than --steps: lower it")


def _scores(options: RecipeOptions) -> int:
    return options.recipes_per_client


def _refuse_threshold(options: RecipeOptions, _: Any) -> None:
    if options.metric_threshold is not None:
        raise ValueError(
            "--metric-threshold tells how few examples a client has, which --privacy client "
            "hides: leave one of them out"
        )


PROTOCOL = Protocol(
    name="recipe",
    summary="seeds and recipes travel down, metrics up",
    options=RecipeOptions,
    server="fedseed.protocols.recipe.server:RecipeServer",
    client="fedseed.protocols.recipe.client:RecipeClient",
    ends_with="recipe",
    style=Style(
        "#6a3d9a", "s", "only seeds, recipes and metrics travelled", "aggregated recipe",
        "given recipe",
    ),
    typical_upload=58,
    privacy={
        "client": GaussianNoise(
            "validation losses", needs_clip=False, releases=_scores, refuse=_refuse_threshold
        )
    },
    privacy_advice={
        "example": "--privacy example does not cover the validation scores of protocol recipe: "
        "use --privacy client, or --protocol weights, adapters or labels"
    },
    reveals=frozenset({"scores"}),
    numbers="fedseed.protocols.recipe.numbers:RecipeNumbers",
    rows={
        "recipe": Row(
            "seed and recipes down, metrics up; every client trains its own model",
            Recipe(), rounds=2, steps=90,
        ),
        "lexicon-recipe": Row(
            "a lexicon round, then recipes from its seed", Recipe(), {"start": "lexicon"},
            rounds=3, steps=90, attacked=False,
        ),
    },
)  # fmt: skip
