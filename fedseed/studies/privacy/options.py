"""Options of the privacy study: who looks, at which protocol, with which attack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from fedseed.attacks.observer import OBSERVERS
from fedseed.studies.options import RowOptions

ROW_NAMES = ("weights", "weights-int8", "adapters", "mask", "scalars", "labels", "recipe")
"""Rows of the comparison that are attacked."""
MAIN_ROWS = tuple(name for name in ROW_NAMES if name != "weights-int8")
_ALL = tuple(name for name in OBSERVERS if name != "malicious-server")
ATTACKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "membership": (_ALL, ROW_NAMES, ""),
    "tokens": (
        ("server", "eavesdropper"),
        ("weights", "weights-int8", "adapters", "mask", "scalars"),
        "weights or what stands for them, from a client",
    ),
    "label-distribution": (("server", "eavesdropper"), ROW_NAMES, "a client's replies"),
    "canaries": (("server", "newcomer"), ROW_NAMES, "a model"),
    "audit": (("server",), ("weights",), "a model trained with differential privacy"),
    "crafted": (("malicious-server",), ("recipe",), "a seed of the server's choice"),
}
"""Attacks: which observers can make them, on which rows, and what they need."""


class PrivacyOptions(RowOptions):
    """Options of the privacy study."""

    small: ClassVar[Mapping[str, Any]] = {
        "repeats": 2, "clients": 2, "shard": 40, "most_steps": 4, "references": 31,
        "population": 100,
        "test_examples": 100, "audit_secrets": 40, "epsilons": "8",
    }  # fmt: skip

    repeats: int = Field(
        6, ge=2, le=1000, description="Runs of every protocol, each with its own deal; every run "
        "is the target once, and the others are the attacker's shadow runs."
    )  # fmt: skip
    clients: int = Field(3, ge=1, le=1000, description="Clients of the attacked runs.")
    shard: int = Field(
        300, ge=10, le=100_000, description="Texts of one client; as many again are candidates "
        "that nobody holds."
    )  # fmt: skip
    scenario: str = Field("all", description=f"Observers, with commas: {', '.join(OBSERVERS)}.")
    protocol: str = Field(
        "main", description=f"Protocols, with commas: {', '.join(ROW_NAMES)}; all; or main, which "
        "leaves out weights-int8."
    )  # fmt: skip
    attack: str = Field("all", description=f"Attacks, with commas: {', '.join(ATTACKS)}.")
    defences: bool = Field(
        True, description="Also measure accuracy against epsilon for weights, labels and recipe."
    )
    epsilons: str = Field(
        "1,4,8", description="Budgets of differential privacy to audit and to defend with, with "
        "commas."
    )  # fmt: skip
    delta: float = Field(1e-5, gt=0, lt=1, description="Delta of all budgets.")
    clip: float = Field(1.0, gt=0, le=1e6, description="Largest norm of an example's gradient.")
    population: int = Field(
        400, ge=10, le=100_000, description="Further texts, which attackers know to be nobody's."
    )
    references: int = Field(
        511, ge=7, le=100_000, description="Texts that a canary is ranked among."
    )
    audit_secrets: int = Field(
        500, ge=20, le=100_000, description="Secrets of the one-run audit; a coin decides on each."
    )

    @property
    def length(self) -> int:
        """Tokens kept of each text: 64 without ``--max-length``, for time."""
        return self.max_length or 64

    @field_validator("epsilons")
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
            ("scenario", self.scenarios(), OBSERVERS), ("protocol", self.rows(), ROW_NAMES),
            ("attack", self.attacks(), ATTACKS),
        ):  # fmt: skip
            for word in words:
                if word not in known:
                    raise ValueError(
                        f"unknown {option} '{word}': choose from {', '.join(known)}, or all"
                    )
        named = [] if self.attack == "all" else self.attacks()
        for attack in named:
            if not list(self.pairs(attack)):
                observers, rows, needs = ATTACKS[attack]
                raise ValueError(
                    f"--attack {attack} needs {needs}, which --scenario {self.scenario} with "
                    f"--protocol {self.protocol} never sees: choose from {', '.join(observers)} "
                    f"and {', '.join(rows)}"
                )
        if not any(True for attack in self.attacks() for _ in self.pairs(attack)):
            raise ValueError(
                f"no attack fits --scenario {self.scenario} with --protocol {self.protocol}: "
                "crafted seeds are for recipe"
            )
        return self

    def scenarios(self) -> Sequence[str]:
        """Observers that are asked for."""
        return tuple(OBSERVERS) if self.scenario == "all" else self.scenario.split(",")

    def rows(self) -> Sequence[str]:
        """Rows that are attacked."""
        return {"all": ROW_NAMES, "main": MAIN_ROWS}.get(self.protocol) or self.protocol.split(",")

    def attacks(self) -> Sequence[str]:
        """Attacks that are made."""
        return tuple(ATTACKS) if self.attack == "all" else self.attack.split(",")

    def pairs(self, attack: str) -> Iterator[tuple[str, str]]:
        """Observers and rows on which an attack that was asked for can be made."""
        observers, rows, _ = ATTACKS[attack]
        for observer in self.scenarios():
            for row in self.rows():
                if observer in observers and row in rows and attack in self.attacks():
                    yield observer, row

    def budgets(self) -> list[float]:
        """Epsilons, ascending."""
        return sorted({float(word) for word in self.epsilons.split(",")})
