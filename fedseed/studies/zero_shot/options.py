"""Options of the zero-shot study."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from fedseed.errors import ConfigError
from fedseed.options import is_whole, refuse_no_path
from fedseed.recipe import Recipe
from fedseed.seeds.kinds.lexicon import LARGEST, SMALLEST, can_carry
from fedseed.seeds.kinds.pca import DEFAULT_STEP, read_budget
from fedseed.seeds.kinds.unigram import UnigramOptions
from fedseed.studies.options import StudyOptions

TRAINING = Recipe(
    optimiser="adamw", learning_rate=2e-3, schedule="linear", warmup=0.1, steps=600,
    batch_size=16, max_length=128, weight_decay=0.01,
)  # fmt: skip
"""How the small language model is trained."""


class ZeroShotOptions(StudyOptions):
    """Options of the zero-shot study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "test_examples": 60, "original_steps": 20, "k": "2,10",
        "lexicon_bytes": "200", "texts": 400, "language_steps": 10, "test_tokens": 3000,
    }  # fmt: skip

    part: Literal["both", "classifier", "language"] = Field(
        "both", description="Measure the classifier, the causal language model, or both. --model "
        "NAME alone measures what NAME is."
    )  # fmt: skip
    language_model: str | None = Field(
        None, description="A causal language model, such as gpt2: an id on the hub or a folder; "
        "without it a small GPT-2 that is trained on the text and kept in the cache."
    )  # fmt: skip
    text: str = Field(
        "bundled", description="Text for perplexity: bundled (the reviews), wikitext-2 (from the "
        "hub), hub:NAME, or a UTF-8 file."
    )  # fmt: skip
    texts: int | None = Field(
        None, ge=1, description="Documents of the text to use, about, in each part."
    )
    test_tokens: int = Field(
        40_000, ge=2, description="Tokens of the text to score; the first so many."
    )
    context: int | None = Field(
        None, ge=2, description="Tokens in a window; without it as many as the model takes."
    )
    stride: int | None = Field(
        None, ge=1, description="Tokens from one window to the next; without it half a context."
    )
    k: str = Field(
        "2,5,10,16,32,64", description="Components of the pca seeds, separated by commas."
    )
    step: float = Field(
        DEFAULT_STEP, gt=0, description="Step of the pca seed's quantiser, as a share of a "
        "tensor's norm."
    )  # fmt: skip
    budget: str = Field(
        "*word_embeddings*=2,*=16", description="One more pca seed with so many components by "
        "pattern of a tensor's name; empty for none."
    )  # fmt: skip
    lexicon_bytes: str = Field(
        "200,600,1500,4096", description="Sizes of the lexicon seeds, separated by commas; empty "
        "for none."
    )  # fmt: skip
    unigram_steps: str = Field(
        "0.25,1,3", description="Steps of the language model's unigram seeds, nats, separated by "
        "commas; empty for none."
    )  # fmt: skip
    seed_file: str | None = Field(None, description="A .fseed file to measure as well.")
    language_steps: int = Field(
        TRAINING.steps, ge=1, description="Steps that the small language model is trained for."
    )

    @field_validator("text", "seed_file", "language_model")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)

    @field_validator("k")
    @classmethod
    def _is_a_list(cls, value: str) -> str:
        if not value or not all(is_whole(word.strip()) for word in value.split(",")):
            raise ValueError("write whole numbers separated by commas, such as 2,10,32")
        return value

    @field_validator("lexicon_bytes")
    @classmethod
    def _are_sizes(cls, value: str) -> str:
        for word in value.split(",") if value else ():
            if not is_whole(word.strip()) or not SMALLEST <= int(word) <= LARGEST:
                raise ValueError(
                    f"write bytes from {SMALLEST} to {LARGEST:,} separated by commas, such as "
                    "200,1500"
                )
        return value

    @field_validator("unigram_steps")
    @classmethod
    def _are_steps(cls, value: str) -> str:
        try:
            for word in value.split(",") if value else ():
                UnigramOptions.parse({"step": float(word)})
        except (ValueError, ConfigError) as error:
            raise ValueError("write steps in nats separated by commas, such as 0.25,1") from error
        return value

    @field_validator("budget")
    @classmethod
    def _is_a_budget(cls, value: str) -> str:
        read_budget(value)
        return value

    @property
    def components(self) -> list[int]:
        """Numbers of components to measure."""
        return [int(word) for word in self.k.split(",")]

    def lexicon_rows(self, classes: int) -> dict[str, dict[str, Any]]:
        """Options of lexicon seeds by the names of their rows; none where the model takes none."""
        if not self.lexicon_bytes or not can_carry(self.model, classes):
            return {}
        sizes = [int(word) for word in self.lexicon_bytes.split(",")]
        return {f"lexicon({size})": {"max_bytes": size} for size in sizes}

    def unigram_rows(self) -> dict[str, dict[str, Any]]:
        """Options of unigram seeds by the names of their rows."""
        steps = self.unigram_steps.split(",") if self.unigram_steps else []
        return {f"unigram({float(step):g})": {"step": float(step)} for step in steps}

    def pca_rows(self, language: bool) -> dict[str, dict[str, Any]]:
        """Options of pca seeds by the names of their rows."""
        rows: dict[str, dict[str, Any]] = {
            f"pca({k})": {"k": k, "step": self.step} for k in self.components
        }
        if self.budget and not language:
            budget = read_budget(self.budget)
            rows["pca by budget"] = {
                "k": min(budget.values()), "step": self.step, "budget": budget,
            }  # fmt: skip
        return rows
