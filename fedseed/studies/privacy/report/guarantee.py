"""The proven bound beside the measured one, and what it costs."""

from fedseed.results.class_counts import class_balance
from fedseed.results.markdown import size
from fedseed.results.report.blocks import Block, Bullets, Figures, Paragraph, Section, Table
from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import Budget, budgets, largest_bound
from fedseed.studies.privacy.report.figures import audit_figures, cost_figures
from fedseed.studies.privacy.report.view import Cell, View, place_of

_MEANING = (
    "It is a proof, not a measurement, and holds against every attack, also future ones. It rests "
    "on the program doing what the proof says; an audit can prove that it does not.",
    "It is about one unit: one text, or all texts of one client, as the tables say. A person with "
    "several texts has about as many times the epsilon of one text.",
    "It does not hide what is true of many texts together, such as frequent words or the class "
    "mix, nor that a client takes part.",
    "It covers what the clients send in the run. It does not cover settings that were chosen by "
    "looking at the data, when a client answers, nor a server that hands out other settings than "
    "those agreed.",
    "A small epsilon protects much: up to 1 is strong, above 4 is loose. Delta is the probability "
    "with which the bound may fail.",
    "Under secure aggregation the clients share the noise: the bound then needs that no more of "
    "them work with the server than the threshold allows, and that the server keeps to the "
    "protocol.",
)


def guarantee_section(view: View) -> Section:
    """What differential privacy means here, claimed beside measured, and tests of the audit."""
    blocks: list[Block] = [Bullets(_MEANING)]
    found = budgets(view)
    if not any(budget.claimed is not None for budget in found):
        blocks.insert(0, Paragraph("No row of this record has a proven bound."))
    figures = audit_figures(view)
    if figures:
        blocks.append(Figures(figures))
    rows = [row for budget in found for row in _rows(budget)]
    if rows:
        blocks.append(Table(
            "table-guarantee", "Epsilon: what is proven, and what audits measured at least",
            ["protocol, model: setting", "protects", "mechanism", "epsilon, proven", "delta",
             "audit", "epsilon, measured at least", "largest of the runs"], rows,
            note=_bounds_note(view),
        ))  # fmt: skip
    parts = [part for part in (_deliberate(view),) if part]
    return Section("guarantee", "The guarantee, and the check of it", blocks, parts)


def _bounds_note(view: View) -> str:
    note = (
        "The proven epsilon is an upper bound, the measured one a lower bound: the truth lies "
        "between. A measured bound of 0 does not say that nothing is given away."
    )
    bounds = [cell["epsilon_lower_bound"] or {} for cell in view.budgets]
    levels = {
        (bound["each_with_confidence"], bound.get("largest_with_confidence"))
        for bound in bounds if "each_with_confidence" in bound
    }  # fmt: skip
    for each, largest in sorted(levels, key=str):
        note += f" The bound of a single run holds with a confidence of {percent(each)}"
        note += f", the largest of a row with {percent(largest)}." if largest else "."
    return note


def _rows(budget: Budget) -> list[list[str]]:
    return [
        [budget.label, budget.protects, budget.mechanism or "not in the record",
         numbers.epsilon(cell["epsilon_claimed"]), numbers.probability(cell["delta"]),
         cell["attack"], *_bound(cell)]
        for cell in budget.audits or budget.cells[:1]
    ]  # fmt: skip


def _bound(cell: Cell) -> list[str]:
    bound = cell["epsilon_lower_bound"]
    if not bound:
        return [numbers.NONE, numbers.NONE]
    words = numbers.mean(bound, cell["targets"], numbers.plain(2), "run")
    return [words, f"{largest_bound(cell):.2f}"]


def _deliberate(view: View) -> Section | None:
    rows = [
        [f"{place_of(c).label}: {c['setting']}", c["attack"], numbers.epsilon(c["epsilon_claimed"]),
         *_bound(c), "yes" if c["caught"] else "no"]
        for c in view.deliberate
    ]  # fmt: skip
    if not rows:
        return None
    table = Table(
        "table-deliberate", "Mechanisms with too little noise on purpose: does the audit notice?",
        ["protocol: setting", "audit", "epsilon, falsely claimed", "measured at least", "largest",
         "noticed"], rows,
    )  # fmt: skip
    caught = sum(bool(cell["caught"]) for cell in view.deliberate)
    words = Paragraph(
        f"Of {numbers.count(len(rows), 'mechanism')} broken on purpose the audit noticed {caught}. "
        "Where it did not, it would not notice such an error in the real ones either."
    )
    return Section("deliberate", "Would the audit notice a broken guarantee?", [words, table])


def cost_section(view: View) -> Section:
    """Accuracy and bytes of every setting that was measured."""
    measured = [budget for budget in budgets(view) if budget.accuracy]
    if not measured:
        return Section("cost", "What it costs", [Paragraph("This record has no accuracy.")])
    rows = [
        [budget.label, budget.protects, budget.clients, numbers.epsilon(budget.claimed),
         numbers.accuracy(budget.accuracy), percent(budget.accuracy["majority_baseline"]),
         "not in the record" if budget.payload_bytes is None else size(budget.payload_bytes)]
        for budget in measured
    ]  # fmt: skip
    table = Table(
        "table-cost", "Accuracy at each setting",
        ["protocol, model: setting", "protects", "clients", "epsilon", "test accuracy",
         "always the most frequent class", "sent up by a client"], rows, note=_tested_on(view),
    )  # fmt: skip
    return Section("cost", "What it costs", [Figures(cost_figures(view)), table])


def _tested_on(view: View) -> str:
    """Test texts of each class, by each different test."""
    accuracies = [budget.accuracy for budget in budgets(view) if budget.accuracy]
    tests = dict.fromkeys((one["n"], tuple(one["class_counts"])) for one in accuracies)
    return " ".join(
        f"n = {n:,} test texts: {class_balance(list(counts), view.classes)}."
        for n, counts in tests
    )  # fmt: skip
