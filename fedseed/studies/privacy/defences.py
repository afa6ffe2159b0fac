"""Settings of differential privacy whose cost is measured: of which row, for whom, among how many.

Every attacked row whose protocol bounds what a client sends has one of itself. Counts of words and
the head of a published body have further ones: there privacy is cheap, and the number of clients
and what they sum unseen decide what it costs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fedseed.attacks import attacks
from fedseed.models.architecture import FROM_PRNG
from fedseed.privacy.protection import (
    CountingNoise,
    DpSgd,
    GaussianNoise,
    Protection,
    RandomisedResponse,
    Unit,
)
from fedseed.studies.privacy.attacked_rows import (
    attacked_row,
    defended_unit,
    main_rows,
    protocol_of,
)
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.rows import StudyRow

_MECHANISMS: Mapping[type[Protection], str] = {
    DpSgd: "DP-SGD", GaussianNoise: "Gaussian noise", CountingNoise: "discrete Gaussian noise",
    RandomisedResponse: "randomised response",
}  # fmt: skip
_FEWEST_UNDER_QUICK = 3
Audit = Literal["one-run audit", "repeated audit"]
ONE_RUN: Audit = "one-run audit"
REPEATED: Audit = "repeated audit"


@dataclass(frozen=True)
class Setting:
    """One defence of one row, under every budget that is asked for."""

    row: str
    unit: Unit
    secure: bool = False
    """Whether clients noise a sum that nobody sees the parts of, and not each its own."""
    clients: int = 0
    """Clients; those of the study when 0."""
    model: str = ""
    """The model; that of the study when empty."""
    max_length: int = 0
    """Tokens kept of a text; those of the study when 0."""
    clip: float = 0.0
    """Largest norm; that of the study, where the protocol needs one, when 0."""
    test_examples: int = 0
    """Texts of the test; those of the study when 0."""
    learning_rate: float = 0.0
    """Of the recipe; the row's when 0."""
    repeats: int = 2
    """Runs of one budget, at most."""
    plain: bool = True
    """Whether it is measured without a budget too."""
    least: float = 0.0
    """Smallest budget that is measured."""

    @property
    def name(self) -> str:
        """Unique among the settings of a study."""
        parts = [self.row, self.unit]
        parts += [f"{self.clients} clients"] if self.clients else []
        return " ".join([*parts, "unseen"] if self.secure else parts)

    @property
    def protection(self) -> Protection:
        """How the row's protocol protects the unit."""
        return protocol_of(self.row).privacy[self.unit]

    @property
    def mechanism(self) -> str:
        """In the words of the record."""
        return _MECHANISMS[type(self.protection)]

    @property
    def audits(self) -> tuple[Audit, ...]:
        """How its budgets are put to the test; the first one stands beside the accuracy."""
        if self.unit != "example":
            return ()
        if isinstance(self.protection, CountingNoise) or self.keeps_features:
            return (REPEATED,)
        audited = attacks()["audit"].applies("server", protocol_of(self.row))
        whole = (ONE_RUN, REPEATED) if self.row in main_rows() else (ONE_RUN,)  # training is alike
        return whole if audited else ()

    def answers(self, config: PrivacyOptions) -> int:
        """Answers of a repeated audit on either side: half as many where each is a whole model."""
        return config.audit_answers // (2 if ONE_RUN in self.audits else 1)

    @property
    def trains_by_dp_sgd(self) -> bool:
        """Whether the defence slows training down."""
        return isinstance(self.protection, DpSgd)

    @property
    def keeps_features(self) -> bool:
        """Whether all budgets are measured together, since a frozen body's features are kept."""
        return self.row == _HEAD

    def arguments(self) -> dict[str, Any]:
        """Arguments of its cells."""
        return asdict(self)

    def on(self, config: PrivacyOptions) -> PrivacyOptions:
        """The study's options as they are here."""
        return config.replace(
            clients=self.clients or config.clients, model=self.model or config.model,
            max_length=self.max_length or config.max_length, protocol=self.row, attack="all",
            test_examples=self.test_examples or config.test_examples,
        )  # fmt: skip

    def study_row(self, config: PrivacyOptions) -> StudyRow:
        """The row that is run."""
        row, model = attacked_row(self.row), self.model or config.model
        there = row if model in FROM_PRNG else row.on(model)
        assert there is not None  # settings name rows that have one
        if not self.learning_rate:
            return there
        return replace(there, recipe=there.recipe.replace(learning_rate=self.learning_rate))

    def options(self, config: PrivacyOptions, epsilon: float | None) -> dict[str, Any]:
        """Options of the run under a budget; of one without when None."""
        options: dict[str, Any] = {"secure_aggregation": True} if self.secure else {}
        if epsilon is None:
            return options
        options |= {"privacy": self.unit, "epsilon": epsilon, "delta": config.delta}
        if self.protection.needs_clip:
            options["clip"] = self.clip or config.clip
        return options


_COUNTS, _HEAD = "lexicon-counts", "head"
_WHOLE = 512
"""Tokens kept of a text where words are counted."""
_FURTHER: Mapping[str, tuple[Setting, ...]] = {
    _COUNTS: (
        Setting(_COUNTS, "example", secure=True, clients=10, max_length=_WHOLE),
        Setting(_COUNTS, "example", clients=10, plain=False, max_length=_WHOLE),
        Setting(
            _COUNTS, "client", secure=True, clients=100, clip=160, plain=False, max_length=_WHOLE,
            least=4.0,
        ),
        Setting(
            _COUNTS, "client", secure=True, clients=1000, clip=30, plain=False, repeats=1,
            max_length=_WHOLE, least=4.0,
        ),
    ),
    "adapters": (
        Setting(
            _HEAD, "example", clients=10, model="minilm", test_examples=1000, learning_rate=0.1,
            repeats=1,
        ),
    ),
}  # fmt: skip
"""By the attacked row beside which they are measured.

Clips and rates were chosen on training texts."""


def budgets_of(config: PrivacyOptions, setting: Setting) -> list[float | None]:
    """Budgets under which a setting is measured; None for no differential privacy."""
    budgets = [budget for budget in config.budgets() if budget >= setting.least]
    return [None, *budgets] if setting.plain else list(budgets)


def settings(config: PrivacyOptions) -> Iterator[Setting]:
    """All settings that are measured."""
    if not config.defences or "audit" not in config.attacks():
        return
    for row in config.rows():
        unit = defended_unit(row)
        if unit is not None:
            setting = Setting(row, unit)
            yield replace(setting, repeats=1) if setting.trains_by_dp_sgd else setting
        yield from _within_reach(config, _FURTHER.get(row, ()))


def _within_reach(config: PrivacyOptions, further: tuple[Setting, ...]) -> Iterator[Setting]:
    """Under ``--quick`` those of few clients, with fewer and with the study's own model."""
    for setting in further:
        if not config.quick:
            yield setting
        elif setting.clients <= 10:
            few = {
                "clients": _FEWEST_UNDER_QUICK, "model": "", "max_length": 0, "test_examples": 0,
            }  # fmt: skip
            yield Setting(**(setting.arguments() | few))
