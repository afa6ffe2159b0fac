"""At a glance: every row against every reader, and what is proven of it."""

from collections.abc import Sequence

from fedseed.results.report.blocks import Badge, Content, Table
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import Budget, budgets
from fedseed.studies.privacy.report.findings import Finding, Kind, findings
from fedseed.studies.privacy.report.view import Place, View

_SHORT: dict[Kind, Badge] = {
    "texts": Badge("bad", "whole texts"), "words": Badge("bad", "words"),
    "members": Badge("bad", "members"), "planted": Badge("bad", "planted texts"),
    "mix": Badge("warning", "class mix"),
}  # fmt: skip
_NOT_FOUND, _NOT_TRIED = Badge("unknown", "nothing found"), "not tried"


def matrix_table(view: View) -> Table:
    """The worst that each reader found of each row, and the epsilons under which it is of use."""
    found, bounds = findings(view), budgets(view)
    observers = list(dict.fromkeys([*view.observers, *(one.observer for one in found)]))
    rows: list[list[Content]] = [
        [
            place.label,
            *(_cell(view, place, observer, found) for observer in observers),
            _proven(view, place, [one for one in bounds if one.place == place]),
        ]
        for place in view.places
    ]
    head = ["protocol", *(view.observer_name(one) for one in observers), "proven, and of use"]
    return Table(
        "matrix", "At a glance: the worst that each reader found", head, rows, folds=True,
        note="Attacks were made on runs without a guarantee, but where the last column says "
        "otherwise. Nothing found is not shown to be safe. Proven, and of use: under differential "
        "privacy, with a model that is better than always naming the most frequent class.",
    )  # fmt: skip


def _cell(view: View, place: Place, observer: str, found: Sequence[Finding]) -> Content:
    here = [one for one in found if (one.place, one.observer) == (place, observer)]
    if here:
        return _SHORT[here[0].kind]
    return _NOT_FOUND if view.of(place, observer) else _NOT_TRIED


def _proven(view: View, place: Place, bounds: Sequence[Budget]) -> Content:
    said = proven_words([b for b in bounds if b.accuracy and not b.useless])
    attacked = view.noised(place)
    if attacked:
        said = (*said, f"{attacked}, in the runs that were attacked")
    return said if said else "nothing"


def proven_words(bounds: Sequence[Budget]) -> tuple[str, ...]:
    """Claims of epsilon that no audit contradicts, a line for each unit and number of clients."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in bounds:
        if one.claimed is not None and not one.contradicted:
            many = [cell["clients"] for cell in one.cells if cell["clients"]]
            key = one.protects, f", {max(many):,} clients" if many else ""
            groups.setdefault(key, []).append(numbers.epsilon(one.claimed))
    return tuple(
        f"epsilon {numbers.listed(claims)} for {protects}{clients}"
        for (protects, clients), claims in groups.items()
    )
