"""The first page of the report: five questions and their answers."""

import math
from collections.abc import Sequence

from fedseed.results.markdown import size
from fedseed.results.report.blocks import (
    Answer,
    Answers,
    Badge,
    Section,
)
from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import (
    Budget,
    best_bound,
    budgets,
    most_found,
    of_use,
)
from fedseed.studies.privacy.report.findings import KINDS, findings
from fedseed.studies.privacy.report.matrix import proven_words
from fedseed.studies.privacy.report.verdicts import (
    NOTHING,
    ORDER,
    UNKNOWN,
    bound_badge,
    verdicts,
)
from fedseed.studies.privacy.report.view import View, place_of


def in_short(view: View) -> Section:
    """Five answers for somebody who has to decide."""
    items = [
        Answer("May this be used with these texts?", _may_be_used(view), "verdicts",
               "All verdicts"),
        Answer("What is the worst that is known?", _worst(view), "attacks", "What attacks found"),
        Answer("What is not known?", _unknown(view), "not-tried", "What was not tried"),
        Answer("What does the guarantee mean?", [_meaning(view)], "guarantee", "The guarantee"),
        Answer("What does it cost?", _cost(view), "cost", "Accuracy and bytes"),
    ]  # fmt: skip
    return Section("in-short", "In short", [Answers(items)])


def _may_be_used(view: View) -> list[str]:
    judged = verdicts(view)
    rows: dict[tuple[Badge, bool], list[str]] = {}
    for badge in ORDER:
        for verdict in judged:
            noised = view.noised(verdict.place)
            if verdict.badge == badge:
                label = f"{verdict.place.label} ({noised})" if noised else verdict.place.label
                rows.setdefault((badge, bool(noised)), []).append(label)
    found = [
        f"{badge.words}{'' if badge in _ADVICE else _GUARANTEE[noised]}: "
        f"{numbers.listed(labels)}.{_ADVICE.get(badge, '')}"
        for (badge, noised), labels in rows.items()
    ]  # fmt: skip
    away = any(badge not in _ADVICE for badge, _ in rows)
    return [*_with_a_bound(view), *found, *([_AWAY] if away else [])]


_ADVICE = {
    NOTHING: " No attack made here found anything. That is not shown to be safe.",
    UNKNOWN: " It cannot be said.",
}
_GUARANTEE = {True: ", within the guarantee", False: ", without a guarantee"}
_AWAY = (
    "What gives something away, by attacks, may be used only where the readers who found it may "
    "learn that about the texts: the table says who found what."
)


def _with_a_bound(view: View) -> list[str]:
    bounded = [budget for budget in budgets(view) if budget.claimed is not None]
    if not bounded:
        return ["With a guarantee: no row of this record has one, so nothing here is bounded."]
    doubted = [budget.label for budget in bounded if budget.contradicted]
    lines = []
    if doubted:
        lines.append(f"Not with {numbers.listed(doubted)}: an audit contradicts the guarantee.")
    held = [b for b in bounded if not b.contradicted and b.accuracy and not b.useless]
    for loose, words in ((False, "a guarantee"), (True, "a loose guarantee alone")):
        these = [budget for budget in held if (bound_badge(budget).level == "warning") is loose]
        if these:
            lines.append(
                f"With {words}, and better than always naming the most frequent class: "
                f"{_short(these)}. Whether that bound is enough is for the reader to decide."
            )
    useless = [b for b in bounded if not b.contradicted and b.useless]
    if useless:
        lines.append(
            "With a guarantee, but not shown to be better than always naming the most frequent "
            f"class, so not shown to be of use: {_short(useless)}."
        )
    return lines


def _short(group: Sequence[Budget]) -> str:
    """Rows with the epsilons of their settings."""
    rows: dict[str, list[Budget]] = {}
    for budget in group:
        rows.setdefault(budget.place.label, []).append(budget)
    return "; ".join(f"{row} ({'; '.join(proven_words(of))})" for row, of in rows.items())


def _worst(view: View) -> list[str]:
    """The strongest finding of each kind over all rows."""
    found = findings(view)
    if not found:
        return ["No attack made here found anything. That proves nothing about a better one."]
    strongest = {finding.kind: finding for finding in reversed(found)}  # the first of each is left
    worst = sorted(strongest.values(), key=lambda finding: list(KINDS).index(finding.kind))
    most = max(found, key=lambda finding: finding.rate)
    if most.rate > 0 and most.rate > strongest["members"].highest_rate:
        worst.insert(1 + worst.index(strongest["members"]), most)
    return [
        f"{KINDS[one.kind].capitalize()}: {view.observer_name(one.observer)}, under "
        f"{one.place.label}: {one.words}."
        for one in worst
    ]  # fmt: skip


def _unknown(view: View) -> list[str]:
    found = budgets(view)
    models = {str(view.config["model"]), *(str(cell.get("model") or "") for cell in view.cells)}
    named = numbers.listed(sorted(models - {""}))
    lines = [
        "Whether a better attack finds more: an attack that fails proves nothing about a better "
        "one.",
        f"What other data, longer texts or other models than {named} give away.",
    ]
    silent = [b for b in found if b.claimed is not None and not b.audits]
    if silent:
        said = numbers.count(len(silent), "proven bound")
        lines.append(f"Whether the program keeps to {said} that nobody audited.")
    rows = [place.label for place in view.places if not view.of(place)]
    if rows:
        lines.append(f"What {numbers.listed(rows)} give away: not attacked.")
    return lines


def _meaning(view: View) -> str:
    best = best_bound(view)
    if best is None:
        return (
            "There is none in this record: nothing bounds what a better attack would find. Failed "
            "attacks are no guarantee."
        )
    assert best.claimed is not None
    most = percent(most_found(best.claimed, best.delta))
    return (
        "It is proven, and holds against every attack, also future ones. Take epsilon "
        f"{best.claimed:.2f}, the smallest here{of_use(best)}{_audited(best)} "
        f"({best.place.label}): what is sent "
        f"changes the odds between any two guesses about {best.protects} by a factor of "
        f"{_factor(best.claimed)} at most, but for a probability of "
        f"{numbers.probability(best.delta)} (delta). No attack then finds more than {most} of the "
        f"texts that were used while it wrongly accuses 1 % of the others.{_trust(best)}"
        f"{_of_clients(view, best)}"
    )


def _of_clients(view: View, best: Budget) -> str:
    """The same for all texts of a client, where the best bound is of one text."""
    whole = best_bound(view, "client")
    if best.unit == "client" or whole is None or whole.claimed is None:
        return ""
    return (
        f" For {whole.protects} the smallest is epsilon {whole.claimed:.2f}{of_use(whole)} "
        f"({whole.place.label}, {whole.clients} clients): a factor of {_factor(whole.claimed)}."
    )


def _audited(best: Budget) -> str:
    return " and whose bound was audited" if best.audits else ""


def _trust(best: Budget) -> str:
    if not best.place.sums:
        return ""
    return " It needs that the clients who share the noise do not work with the server."


def _factor(epsilon: float) -> str:
    return f"{math.exp(epsilon):,.1f}" if epsilon < 20 else f"e to the power of {epsilon:.0f}"


def _claim(budget: Budget) -> float:
    return budget.claimed or 0.0


def _cost(view: View) -> list[str]:
    lines = []
    measured = [budget for budget in budgets(view) if budget.accuracy]
    for place, world in dict.fromkeys((budget.place, budget.world) for budget in measured):
        here = [budget for budget in measured if (budget.place, budget.world) == (place, world)]
        most = min([b for b in here if b.claimed is not None], key=_claim, default=None)
        free = [b for b in here if b.claimed is None]
        ends = [*free, most] if most else free
        said = [f"{b.setting}, {numbers.accuracy(b.accuracy)}" for b in ends]
        lines.append(f"Accuracy under {place.label} ({world}): {'; '.join(said)}.")
    if view.majority_words and lines:
        lines.append(f"For comparison: {view.majority_words}.")
    return [*(lines or ["Accuracy was not measured."]), *_bytes(view)]


def _bytes(view: View) -> list[str]:
    """From the fewest to the most bytes of a run, as the first reader with figures saw them."""
    for observer in view.observers:
        cells = [c for c in view.watched if c["observer"] == observer and "bytes_read" in c]
        if cells:
            ends = [end(cells, key=lambda cell: cell["bytes_read"]) for end in (min, max)]
            said = [f"{size(c['bytes_read'])} ({place_of(c).label})" for c in ends]
            name = view.observer_name(observer)
            return [f"Bytes of a whole run, as {name} saw them: from {said[0]} to {said[1]}."]
    return []
