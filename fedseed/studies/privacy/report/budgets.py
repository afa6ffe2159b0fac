"""Proven bounds beside what audits measured, and what each costs in accuracy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.view import Cell, Place, View, place_of

STRONG, LOOSE = 1.0, 4.0
"""Epsilons up to the first are a strong bound; above the second they are a loose one."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Budget:
    """One setting of one row: what is proven, what was audited, what it costs."""

    place: Place
    setting: str
    unit: str
    """What is protected: ``example`` or ``client``."""
    model: str
    max_length: int | None
    """Tokens kept of each text; None where the record does not say."""
    mechanism: str | None
    cells: Sequence[Cell]
    """One or more; all of this setting."""

    @property
    def claimed(self) -> float | None:
        """The largest claim of epsilon; None without differential privacy."""
        values = [c["epsilon_claimed"] for c in self.cells if c["epsilon_claimed"] is not None]
        return max(values, default=None)

    @property
    def delta(self) -> float:
        """The probability with which epsilon may fail, in (0, 1)."""
        return float(max(cell["delta"] for cell in self.cells))

    @property
    def accuracy(self) -> Any:
        """The accuracy as the record has it, or None."""
        return next((cell["accuracy"] for cell in self.cells if cell["accuracy"]), None)

    @property
    def payload_bytes(self) -> float | None:
        """Sent up by one client in the whole run; None if not measured."""
        sizes = (cell["payload_bytes"] for cell in self.cells)
        return next((size for size in sizes if size is not None), None)

    @property
    def audits(self) -> list[Cell]:
        """Cells that have a lower bound."""
        return [cell for cell in self.cells if cell["epsilon_lower_bound"]]

    @property
    def contradicted(self) -> bool:
        """Whether any audited run had a lower bound above its claim."""
        return any(
            cell["epsilon_audited"] is not None
            and largest_bound(cell) > cell["epsilon_audited"] + _ROUNDING
            for cell in self.audits
        )

    @property
    def useless(self) -> bool:
        """Whether the model is no better than always naming the most frequent class."""
        end = numbers.low_end(self.accuracy)
        return end is not None and bool(end <= self.accuracy["majority_baseline"])

    @property
    def protects(self) -> str:
        """The unit in plain words."""
        return numbers.protected(self.unit)

    @property
    def world(self) -> str:
        """Which model, on how much of each text, among how many clients."""
        length = [f"{self.max_length} tokens"] if self.max_length else []
        clients = [f"{self.clients} clients"] if any(cell["clients"] for cell in self.cells) else []
        return ", ".join([self.model, *length, *clients])

    @property
    def clients(self) -> str:
        """How many clients took part, where the record says so."""
        counts = dict.fromkeys(cell["clients"] for cell in self.cells if cell["clients"])
        return ", ".join(f"{count:,}" for count in counts) or "not in the record"

    @property
    def label(self) -> str:
        """Row, model, length and setting."""
        return f"{self.place.label}, {self.world}: {self.setting}"


def budgets(view: View) -> list[Budget]:
    """All settings in the order of rows, without differential privacy first, then by epsilon."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in view.budgets:
        key = (
            place_of(cell), cell["setting"], cell["unit"], cell["model"], cell["max_length"],
            cell["clients"],
        )  # fmt: skip
        groups.setdefault(key, []).append(cell)
    made = []
    for (place, setting, unit, model, length, _), cells in groups.items():
        mechanism = next((c["mechanism"] for c in cells if c["mechanism"]), None)
        made.append(Budget(place, setting, unit, model, length, mechanism, cells))
    order = {place: number for number, place in enumerate(view.places)}
    return sorted(made, key=lambda b: (order[b.place], b.unit, b.world, b.claimed or 0.0))


def best_bound(view: View, unit: str | None = None) -> Budget | None:
    """The smallest proven epsilon that no audit contradicts.

    Models that are of use come first, and of those the ones whose bound was audited.

    Args:
        view: the record.
        unit: what is protected, ``example`` or ``client``; any when None.
    """
    proven = [
        b for b in budgets(view)
        if b.claimed is not None and not b.contradicted and unit in (None, b.unit)
    ]  # fmt: skip
    of_any_use = [b for b in proven if b.accuracy and not b.useless]
    audited = [b for b in of_any_use if b.audits]
    return min(audited or of_any_use or proven, key=lambda b: b.claimed or 0.0, default=None)


def of_use(best: Budget) -> str:
    """What to add where the best bound was looked for among models that are of use."""
    return " under which the model is of use" if best.accuracy and not best.useless else ""


def largest_bound(cell: Cell) -> float:
    """The largest lower bound of an audited cell."""
    bound = cell["epsilon_lower_bound"]
    return float(max(bound.get("largest") or 0.0, bound.get("value") or 0.0))


def most_found(epsilon: float, delta: float, false_positive_rate: float = 0.01) -> float:
    """The true positive rate that no attack on membership can exceed (Kairouz et al. 2015).

    Args:
        epsilon: of differential privacy, at least 0.
        delta: of the same, in [0, 1).
        false_positive_rate: the share of the others who are wrongly accused, in [0, 1].

    Returns:
        A share in [0, 1].
    """
    if epsilon > 700:  # its exponential is no number any more
        return 1.0
    first = math.exp(epsilon) * false_positive_rate + delta
    second = 1 - math.exp(-epsilon) * (1 - delta - false_positive_rate)
    return min(1.0, first, second)
