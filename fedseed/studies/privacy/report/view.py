"""What the record of a privacy study says, sorted for its report; older records are read alike."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from fedseed.studies.privacy.budget_table import budgeted
from fedseed.studies.privacy.report import numbers
from fedseed.studies.rows import noised_rows

Cell = Mapping[str, Any]
Cells = Sequence[Cell]
MEMBERSHIP = "membership, "
_CHECKS = ("memorising model", "texts never seen")
"""Settings in which the attacks themselves are tested."""


class Place(NamedTuple):
    """One row of the report: a protocol with its options."""

    row: str
    sums: bool
    """Whether contributions are summed under secure aggregation."""

    @property
    def label(self) -> str:
        """How it is called in the report."""
        said = "secure aggregation" in self.row
        return f"{self.row}, secure aggregation" if self.sums and not said else self.row


def place_of(cell: Cell) -> Place:
    """The row that a cell belongs to."""
    return Place(cell["row"], bool(cell.get("secure_aggregation", False)))


class View:
    """A record, sorted by what its cells are about."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Look at a record; nothing of it is changed."""
        self.record = record
        self.config: Mapping[str, Any] = record["config"]
        self.provenance: Mapping[str, Any] = record["provenance"]
        self._results: Mapping[str, Any] = record["results"]

    @cached_property
    def cells(self) -> Cells:
        """All of them."""
        return list(self._results["cells"])

    @cached_property
    def observers(self) -> Mapping[str, str]:
        """Names of the readers, and what each reads."""
        return dict(self._results["observers"])

    @cached_property
    def places(self) -> list[Place]:
        """Rows in the record's order: those that were attacked, and those with a budget."""
        listed = dict.fromkeys(place_of(cell) for cell in [*self.cells, *self.budgets])
        order = list(self._results["rows"])
        unseen = [row for row in order if row not in {place.row for place in listed}]
        known = {row: number for number, row in enumerate(order)}
        places = [*listed, *(Place(row, False) for row in unseen)]
        return sorted(places, key=lambda place: (known.get(place.row, len(known)), place.sums))

    def travels(self, place: Place) -> str:
        """What travels in a row, in the record's words."""
        return str(self._results["rows"].get(place.row, "not described in the record"))

    def noised(self, place: Place) -> str:
        """The guarantee under which a row was attacked, in words; empty of a row without one.

        An older record does not say: there it is what the row of that name is now.
        """
        known = self._results.get("noised_rows", noised_rows([place.row]))
        if place.row not in known:
            return ""
        its = known[place.row]
        return f"epsilon {its['epsilon']:g} for {numbers.protected(its['unit'])}"

    @cached_property
    def watched(self) -> Cells:
        """Cells of attacks on runs as they are, and on the same runs with more shadow runs."""
        return [cell for cell in self.cells if _is_watched(cell)]

    @cached_property
    def strong(self) -> Cells:
        """Attacks on membership that say how well each single text is found."""
        return [cell for cell in self.watched if "per_record" in cell]

    @cached_property
    def checks(self) -> Cells:
        """Attacks where it is known what they ought to find."""
        return [cell for cell in self.cells if _is_check(cell)]

    @cached_property
    def inversions(self) -> Cells:
        """Words and texts from one client's first update of a few texts."""
        return [c for c in self.cells if c["attack"] == "tokens" and c["setting"] is not None]

    @cached_property
    def crafted(self) -> Cells:
        """What seeds of the server's choice found out."""
        return [cell for cell in self.cells if cell["attack"] == "crafted seed"]

    @cached_property
    def budgets(self) -> Cells:
        """Cells with and without a proven epsilon, in the newer record's shape."""
        return [self._filled(cell) for cell in budgeted(self.cells)]

    @cached_property
    def deliberate(self) -> Cells:
        """Tests of the audit: mechanisms that were given too little noise on purpose."""
        return [cell for cell in self.cells if "caught" in cell]

    def of(self, place: Place, observer: str | None = None) -> list[Cell]:
        """Watched cells of a row, of one observer or of all."""
        return [
            cell for cell in self.watched
            if place_of(cell) == place and observer in (None, cell["observer"])
        ]  # fmt: skip

    def observer_name(self, observer: str) -> str:
        """A reader's name without what it reads."""
        return self.observers.get(observer, observer).partition(":")[0]

    def row_of(self, place: Place) -> str:
        """A row's name, with what travels."""
        return f"{place.label} ({self.travels(place)})"

    @cached_property
    def classes(self) -> Sequence[str]:
        """Names of the task's classes; empty where the record has none."""
        return self.provenance.get("dataset", {}).get("classes") or ()

    @cached_property
    def task(self) -> str:
        """What was learnt from, in the data's own words."""
        source = self.provenance.get("dataset", {}).get("source") or self.config["data"]
        return str(self.record.get("task") or source)

    @property
    def majority(self) -> float | None:
        """The majority baseline, where all accuracies have the same."""
        shares = {b["accuracy"]["majority_baseline"] for b in self.budgets if b["accuracy"]}
        return shares.pop() if len(shares) == 1 else None

    @property
    def majority_words(self) -> str:
        """The same in words, for an axis."""
        return "" if self.majority is None else numbers.majority(self.majority)

    def _filled(self, cell: Cell) -> dict[str, Any]:
        missing = {
            "unit": "example", "mechanism": "none" if cell["epsilon_claimed"] is None else None,
            "model": self.config["model"], "clients": None, "max_length": None,
            "secure_aggregation": False, "accuracy": None, "payload_bytes": None,
        }  # fmt: skip
        missing |= {"epsilon_lower_bound": None, "epsilon_audited": cell["epsilon_claimed"]}
        return {**missing, **cell}


def _is_check(cell: Cell) -> bool:
    return (cell["setting"] or "").startswith(_CHECKS)


def _is_watched(cell: Cell) -> bool:
    if "epsilon_claimed" in cell or "caught" in cell:
        return False
    with_more = cell["attack"].startswith(MEMBERSHIP) and not _is_check(cell)
    plainly = cell["setting"] is None
    return plainly or (with_more and not cell["setting"].startswith("epsilon"))
