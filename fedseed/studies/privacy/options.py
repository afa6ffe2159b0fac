"""Options of the privacy study: who looks, at which row, with which attack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fedseed.attacks import attacks
from fedseed.attacks.observer import OBSERVERS
from fedseed.studies.options import RowOptions
from fedseed.studies.privacy.attacked_rows import (
    attackable_rows,
    fewest_clients,
    main_rows,
    protocol_of,
    sums_unseen,
)

_AUDITS = 5
"""Audits of one budget, at most."""
MOST_PLANTED = 27_000
"""Texts of one word each, all of them others: so many words there are."""


class PrivacyOptions(RowOptions):
    """Options of the privacy study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "clients": 3, "shard": 40, "most_steps": 4, "references": 31,
        "population": 100,
        "test_examples": 100, "audit_secrets": 40, "audit_answers": 40, "epsilons": "8",
        "audit_epsilons": "8", "shadow_runs": 4, "shadow_rows": "weights",
    }  # fmt: skip

    repeats: int = Field(
        6, ge=2, le=1000, description="Runs of every row, each with its own partition; every run "
        "is the target once, and the others are the attacker's shadow runs."
    )  # fmt: skip
    clients: int = Field(3, ge=1, le=1000, description="Clients of the attacked runs.")
    shard: int = Field(
        300, ge=10, le=100_000, description="Texts of one client; as many again are candidates "
        "that nobody holds."
    )  # fmt: skip
    scenario: str = Field("all", description=f"Observers, with commas: {', '.join(OBSERVERS)}.")
    protocol: str = Field(
        "main", description="Rows of the comparison, with commas: "
        f"{', '.join(attackable_rows())}; all; or main: {', '.join(main_rows())}."
    )  # fmt: skip
    attack: str = Field("all", description=f"Attacks, with commas: {', '.join(attacks())}.")
    defences: bool = Field(
        True, description="Also measure accuracy against epsilon, for protocols that bound what a "
        "client sends or train by DP-SGD."
    )  # fmt: skip
    epsilons: str = Field(
        "1,4,8", description="Budgets of differential privacy to defend with, with commas."
    )  # fmt: skip
    audit_epsilons: str = Field(
        "0.5,1,4,8", description="Budgets that are put to the test by audits, with commas."
    )  # fmt: skip
    delta: float = Field(1e-5, gt=0, lt=1, description="Delta of all budgets.")
    clip: float = Field(1.0, gt=0, le=1e6, description="Largest norm of an example's gradient.")
    population: int = Field(
        400, ge=10, le=100_000, description="Further texts, which attackers know to be nobody's."
    )
    references: int = Field(
        511, ge=7, le=100_000, description="Texts that a canary is ranked among."
    )
    shadow_runs: int = Field(
        64, ge=3, le=1000, description="Shadow runs of the attacker who has many; one more run is "
        "made, and each is the target once."
    )  # fmt: skip
    shadow_rows: str = Field(
        "weights,adapters@minilm", description="Rows of which so many runs are made, with commas; "
        "ROW@MODEL with another model than --model."
    )  # fmt: skip
    audit_secrets: int = Field(
        5000, ge=20, le=MOST_PLANTED, description="Planted texts of the one-run audit; a coin "
        "decides on each."
    )  # fmt: skip
    audit_answers: int = Field(
        400,
        ge=40,
        le=1_000_000,
        description="Answers of the repeated audit, with a text and as many without it; half as "
        "many of whole models.",
    )

    @property
    def length(self) -> int:
        """Tokens kept of each text: 64 without ``--max-length``, for time."""
        return self.max_length or 64

    @field_validator("epsilons", "audit_epsilons")
    @classmethod
    def _positive(cls, value: str) -> str:
        for word in value.split(","):
            try:
                good = 0 < float(word) <= 1e6
            except ValueError:
                good = False
            if not good:
                raise ValueError(f"'{word}' is no budget: give numbers above 0, with commas")
        return value

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        for option, words, known in (
            ("scenario", self.scenarios(), OBSERVERS), ("protocol", self.rows(), attackable_rows()),
            ("attack", self.attacks(), attacks()),
            ("row of --shadow-rows", self.shadowed(), attackable_rows()),
        ):  # fmt: skip
            for word in words:
                if word not in known:
                    raise ValueError(
                        f"unknown {option} '{word}': choose from {', '.join(known)}"
                        + (", or all" if option in type(self).model_fields else "")
                    )
        for attack in () if self.attack == "all" else self.attacks():
            self._refuse_impossible(attack)
        if not any(self.rows_of(attack) for attack in self.attacks()):
            needs = [
                f"{attack.name} needs {attack.needs_in_words}" for attack in attacks().values()
                if not attack.needs.keys().isdisjoint(self.scenarios())
            ]  # fmt: skip
            raise ValueError(
                f"no attack fits --scenario {self.scenario} with --protocol {self.protocol}: "
                f"{', '.join(needs)}"
            )
        return self

    def _refuse_impossible(self, name: str) -> None:
        if self.rows_of(name):
            return
        attack = attacks()[name]
        rows = [
            row for row in attackable_rows()
            if any(attack.applies(observer, protocol_of(row)) for observer in attack.needs)
        ]  # fmt: skip
        raise ValueError(
            f"--attack {name} needs {attack.needs_in_words}, which --scenario {self.scenario} with "
            f"--protocol {self.protocol} never sees: choose from {', '.join(attack.needs)} and "
            f"{', '.join(rows)}"
        )

    def scenarios(self) -> Sequence[str]:
        """Observers that are asked for."""
        return tuple(OBSERVERS) if self.scenario == "all" else self.scenario.split(",")

    def rows(self) -> Sequence[str]:
        """Rows that are attacked."""
        choices = {"all": attackable_rows(), "main": main_rows()}
        if self.protocol not in choices:
            return self.protocol.split(",")
        return [row for row in choices[self.protocol] if fewest_clients(row) <= self.clients]

    def attacks(self) -> Sequence[str]:
        """Attacks that are made."""
        return tuple(attacks()) if self.attack == "all" else self.attack.split(",")

    def pairs(self, attack: str) -> Iterator[tuple[str, str]]:
        """Observers and rows on which an attack that was asked for can be made."""
        if attack not in self.attacks():
            return
        for observer in self.scenarios():
            for row in self.rows():
                hidden = attacks()[attack].of_each and sums_unseen(row)
                if not hidden and attacks()[attack].applies(observer, protocol_of(row)):
                    yield observer, row

    def rows_of(self, *names: str) -> list[str]:
        """Rows on which any of some attacks is made."""
        attacked = {row for name in names for _, row in self.pairs(name)}
        return [row for row in self.rows() if row in attacked]

    def shadowed(self) -> dict[str, str]:
        """Rows of which many runs are made, each with its model; empty for the study's."""
        pairs = (word.partition("@") for word in self.shadow_rows.split(","))
        return {row: model for row, _, model in pairs}

    def budgets(self) -> list[float]:
        """Epsilons under which accuracy is measured, ascending."""
        return sorted({float(word) for word in self.epsilons.split(",")})

    def audited_budgets(self) -> list[float]:
        """Epsilons that are audited, ascending."""
        return sorted({float(word) for word in self.audit_epsilons.split(",")})

    @property
    def audit_runs(self) -> int:
        """Audits of one budget."""
        return 1 if self.quick else min(_AUDITS, self.repeats)

    @property
    def audit_confidence(self) -> float:
        """Of the bound of each audit, so that the largest of a budget's holds with 95 %."""
        return 1 - 0.05 / self.audit_runs
