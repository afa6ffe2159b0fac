"""The verdicts of the report as tables, with their rules."""

from fedseed.results.markdown import size
from fedseed.results.report.blocks import Block, Content, Section, Table
from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import Budget, budgets, largest_bound, most_found
from fedseed.studies.privacy.report.findings import members_words
from fedseed.studies.privacy.report.matrix import matrix_table
from fedseed.studies.privacy.report.verdicts import bound_badge, rule_lines, verdicts
from fedseed.studies.privacy.report.view import MEMBERSHIP, Place, View


def verdict_section(view: View) -> Section:
    """The verdict on every row, and on every proven bound; the rules."""
    blocks: list[Block] = [matrix_table(view), _open_table(view)]
    bounded = _bounded_table(view)
    if bounded:
        blocks.append(bounded)
    rules = Table(
        "rules", "The rules of the verdicts, tried in this order; the first that is met names the "
        "row", ["verdict", "when"],
        [line.split(". ", 1) for line in rule_lines()], folds=True,
    )  # fmt: skip
    return Section("verdicts", "Verdict for each protocol", [*blocks, rules])


def _open_table(view: View) -> Table:
    rows: list[list[Content]] = []
    for one in verdicts(view):
        why = tuple(finding.words for finding in one.why) or _nothing_found(view, one.place)
        rows.append([view.row_of(one.place), one.badge, one.may, one.who, why])
    return Table(
        "verdicts-open", "Found by attacks",
        ["protocol (what travels)", "verdict", "may it be used?", "who found what", "the strongest "
         "finding of each kind (of members by AUC), or the strongest attempt"], rows, folds=True,
    )  # fmt: skip


def _nothing_found(view: View, place: Place) -> str:
    cells = [c for c in view.of(place) if c["attack"].startswith(MEMBERSHIP)]
    cells = [cell for cell in cells if numbers.has_value(cell.get("auc"))]
    if not cells:
        return "no attack on membership"
    best = max(cells, key=lambda cell: float(cell["auc"]["value"]))
    return f"{view.observer_name(best['observer'])}: {members_words(best)}"


def _bounded_table(view: View) -> Table | None:
    rows: list[list[Content]] = []
    for budget in budgets(view):
        if budget.claimed is not None:
            most = percent(most_found(budget.claimed, budget.delta))
            rows.append([
                budget.label, bound_badge(budget), budget.protects, most, audit_words(budget),
                cost_words(budget),
            ])  # fmt: skip
    if not rows:
        return None
    return Table(
        "verdicts-bounded", "With a proven guarantee (differential privacy)",
        ["protocol, model: setting", "verdict", "what is protected",
         "texts found at most, at 1 % false accusations", "what audits measured",
         "accuracy"], rows, folds=True,
        note="Found at most: the share of the texts that were used that any attack can find, by "
        "the proof, while it wrongly accuses 1 % of the others. Facts about many texts "
        "together, such as the class mix, are not bounded by a guarantee for one text.",
    )  # fmt: skip


def audit_words(budget: Budget) -> str:
    """What audits of a setting measured."""
    if not budget.audits:
        return "not audited"
    said = []
    for cell in budget.audits:
        bound, write = cell["epsilon_lower_bound"], numbers.plain(2)
        mean = numbers.mean(bound, cell["targets"], write, "run")
        said.append(f"{cell['attack']}: at least {mean}, largest {largest_bound(cell):.2f}")
    return "; ".join(said)


def cost_words(budget: Budget) -> str:
    """Accuracy, and whether the model is of any use."""
    words = numbers.accuracy(budget.accuracy)
    if budget.accuracy and budget.useless:
        majority = percent(budget.accuracy["majority_baseline"])
        words += f": not shown to beat always naming the most frequent class ({majority})"
    if budget.payload_bytes is not None:
        words += f"; {size(budget.payload_bytes)} sent up by a client"
    return words
