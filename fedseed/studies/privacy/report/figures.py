"""Figures of the report; each stands below a question and above its answer."""

from collections.abc import Sequence

from fedseed.results.markdown import interval
from fedseed.results.report.blocks import Figure
from fedseed.results.report.chart import Chart, Item
from fedseed.results.report.page import slug
from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import Budget, budgets, largest_bound
from fedseed.studies.privacy.report.findings import findings
from fedseed.studies.privacy.report.view import MEMBERSHIP, Cell, View, place_of

_AUC_TICKS = [(0.4, "0.4"), (0.5, "0.5"), (0.6, "0.6"), (0.8, "0.8"), (1.0, "1.0")]


def strongest_of(view: View, observer: str, key: str) -> list[Cell]:
    """The best attack on membership of each row, by a figure that it reports.

    Args:
        view: the record.
        observer: who attacks.
        key: ``auc`` or a true positive rate.
    """
    best = []
    for place in view.places:
        cells = [c for c in view.of(place, observer) if numbers.has_value(c.get(key))]
        attacks = [cell for cell in cells if cell["attack"].startswith(MEMBERSHIP)]
        best += sorted(attacks, key=lambda cell: -float(cell[key]["value"]))[:1]
    return best


def membership_figures(view: View) -> list[Figure]:
    """For each reader, whether it can tell which texts were used."""
    figures = []
    for observer in view.observers:
        cells = strongest_of(view, observer, "auc")
        if not cells:
            continue
        name = view.observer_name(observer)
        question = f"Which texts were used: can {name} tell?"
        items = [_interval(place_of(c).label, c["auc"], numbers.plain(2)) for c in cells]
        chart = Chart(
            f"Membership AUC, {name}", "AUC of the best attack", items, 0.4, 1.0, _AUC_TICKS,
            line=(0.5, "guessing, 0.5"),
        )  # fmt: skip
        answer = _membership_answer(view, observer, [place_of(cell).label for cell in cells])
        figures.append(Figure(f"figure-membership-{slug(observer)}", question, chart, answer))
    return figures


def _membership_answer(view: View, observer: str, labels: Sequence[str]) -> str:
    found = {f.place.label for f in findings(view) if (f.observer, f.kind) == (observer, "members")}
    yes = [label for label in labels if label in found]
    no = [label for label in labels if label not in found]
    parts = []
    if yes:
        parts.append(f"Yes under {numbers.listed(yes)}.")
    if no:
        parts.append(
            f"Not found under {numbers.listed(no)}, which proves nothing about a better attack."
        )
    return " ".join(parts)


def _interval(label: str, mean: Cell, write: numbers.Write) -> Item:
    if not mean["ci95"]:
        return Item(label, write(mean["value"]), mean["value"])
    low, high = mean["ci95"]
    words = f"{write(mean['value'])} ({interval(mean['ci95'], write, ' to ')})"
    return Item(label, words, mean["value"], low, high)


def audit_figures(view: View) -> list[Figure]:
    """For each row that was audited, what is proven beside what was measured."""
    audited = [budget for budget in budgets(view) if budget.audits]
    figures = []
    for number, (name, group) in enumerate(_by_row(audited).items()):
        items = [_audited(b, cell) for b in group for cell in b.audits]
        top = max([1.0, *(max(i.mark or 0.0, i.high or 0.0, i.value or 0.0) for i in items)]) * 1.05
        chart = Chart(
            f"Epsilon, claimed and measured, {name}", "epsilon (smaller protects more)", items,
            0.0, top, _ticks(top), mark="what is proven: epsilon is never above this",
        )  # fmt: skip
        question = f"Does an audit contradict the guarantee under {name}?"
        figures.append(Figure(f"figure-audit-{number}", question, chart, _audit_answer(group)))
    return figures


def _audited(budget: Budget, cell: Cell) -> Item:
    bound, claimed = cell["epsilon_lower_bound"], cell["epsilon_audited"]
    low, high = bound.get("ci95") or (None, None)
    proven = "nothing proven" if claimed is None else f"proven {claimed:.2f}"
    words = f"at least {bound['value'] or 0.0:.2f}, {proven}"
    label = budget.setting if len(budget.audits) == 1 else f"{budget.setting}, {cell['attack']}"
    return Item(label, words, bound["value"], low, high, claimed)


def _audit_answer(group: Sequence[Budget]) -> str:
    bad = [budget.setting for budget in group if budget.contradicted]
    if bad:
        return f"Yes, under {numbers.listed(bad)}: the guarantee is in doubt."
    free = [cell for budget in group if budget.claimed is None for cell in budget.audits]
    words = "No audited run measured more than its guarantee allows, which does not prove it."
    if free:
        most = max(largest_bound(cell) for cell in free)
        runs = numbers.count(sum(cell["targets"] for cell in free), "run")
        words += f" Without a guarantee the audit measured up to {most:.2f} ({runs})."
    return words


def cost_figures(view: View) -> list[Figure]:
    """For each row with a budget, its accuracies."""
    measured = [budget for budget in budgets(view) if budget.accuracy]
    figures = []
    for number, (name, group) in enumerate(_by_row(measured).items()):
        items = [_interval(_cost_label(b, group), b.accuracy, percent) for b in group]
        majority = {budget.accuracy["majority_baseline"] for budget in group}
        line = None
        if len(majority) == 1:
            share = majority.pop()
            line = share, numbers.majority(share)
        ticks = [(0.0, "0 %"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")]
        n = group[0].accuracy["n"]
        title = f"Accuracy under {name}"
        axis = f"test accuracy, n = {n:,}"
        chart = Chart(title, axis, items, 0.0, 1.0, ticks, line)
        question = f"What does the guarantee cost under {name}?"
        figures.append(Figure(f"figure-cost-{number}", question, chart, _cost_answer(group)))
    return figures


def _cost_label(budget: Budget, group: Sequence[Budget]) -> str:
    units = {one.protects for one in group}
    return budget.setting if len(units) == 1 else f"{budget.setting}, {budget.protects}"


def _cost_answer(group: Sequence[Budget]) -> str:
    bounded = [budget for budget in group if budget.claimed is not None]
    if not bounded:
        return "Not known: no setting with a guarantee was measured."
    useless = [budget.setting for budget in bounded if budget.useless]
    if useless:
        which = numbers.listed(useless) if len(useless) < len(bounded) else "every guarantee"
        return (
            f"Under {which} the model is not shown to be better than always naming the most "
            "frequent class: it is not shown to be of use."
        )
    words = "The model stays better than always naming the most frequent class."
    plain = [budget.accuracy["value"] for budget in group if budget.claimed is None]
    if plain and max(budget.accuracy["value"] for budget in bounded) > max(plain):
        words += (
            " Where it comes out above the one without a guarantee, noise has not helped: what is "
            "clipped or left out for the guarantee's sake changes the model too, and runs scatter."
        )
    return words


def _by_row(group: Sequence[Budget]) -> dict[str, list[Budget]]:
    rows: dict[str, list[Budget]] = {}
    worlds = {budget.world for budget in group}
    for budget in group:
        name = budget.place.label if len(worlds) == 1 else f"{budget.place.label}, {budget.world}"
        rows.setdefault(name, []).append(budget)
    return rows


def _ticks(top: float) -> list[tuple[float, str]]:
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 1e9) if top / step <= 7)
    return [(step * n, f"{step * n:g}") for n in range(int(top / step) + 1)]
