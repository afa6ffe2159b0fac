"""Options that studies share. Light to import: they make the command line."""

from typing import ClassVar

from pydantic import Field

from fedseed.data.options import DataOptions
from fedseed.models.architecture import FROM_PRNG


class StudyOptions(DataOptions):
    """What every study takes."""

    subject: ClassVar[str] = "The study"

    repeats: int = Field(
        5, ge=1, le=1000, description="Repeats of every cell, each with its own key and order of "
        "examples."
    )  # fmt: skip
    original_steps: int | None = Field(
        None, ge=1, description="Train the original for so many steps, not for one epoch."
    )


class RowOptions(StudyOptions):
    """What studies of the comparison's rows take."""

    clients: int = Field(10, ge=1, le=10_000, description="Clients; one newcomer stands beside.")
    rounds: int = Field(2, ge=1, le=1000, description="Rounds of the protocols that have several.")
    body_rounds: int = Field(3, ge=1, le=1000, description="The same with a published body.")
    steps: int = Field(
        62, ge=1, le=1_000_000, description="Steps of a client in a round of federated averaging."
    )
    most_steps: int | None = Field(None, ge=1, description="Cut all trainings to so many steps.")

    def rounds_of(self, model: str) -> int:
        """Rounds of a model's rows that name no number of their own."""
        return self.rounds if model in FROM_PRNG else self.body_rounds

    def cut(self, steps: int) -> int:
        """So many steps, or fewer under ``--most-steps``."""
        return min(steps, self.most_steps or steps)
