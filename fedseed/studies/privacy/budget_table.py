"""Tables of the privacy study about budgets: what privacy costs, and what audits say of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.results.markdown import grid, size, test_line, with_interval
from fedseed.results.table import percent

Cells = Sequence[Mapping[str, Any]]


def budgeted(cells: Cells) -> Cells:
    """Cells of a setting under a budget, or without one."""
    return [cell for cell in cells if "epsilon_claimed" in cell and "caught" not in cell]


def defence_grid(cells: Cells) -> str:
    """Accuracy and audits by setting and budget.

    Args:
        cells: of any kind; others are left out.
    """
    rows = [
        [cell["row"], f"one {cell['unit']}", str(cell["clients"]), _hidden(cell), _of(cell),
         _budget(cell["epsilon_claimed"]), _bound(cell), with_interval(cell["accuracy"]),
         size(cell["payload_bytes"]) if cell["payload_bytes"] else "-"]
        for cell in budgeted(cells) if cell["accuracy"]
    ]  # fmt: skip
    head = ("row", "protects", "clients", "server sees", "model, tokens", "epsilon",
            "audit: at least", "test accuracy", "up, a client")  # fmt: skip
    return grid(head, rows)


def _of(cell: Mapping[str, Any]) -> str:
    return f"{cell['model']}, {cell['max_length']}"


def _hidden(cell: Mapping[str, Any]) -> str:
    return "the sum" if cell["secure_aggregation"] else "each"


def _budget(epsilon: float | None) -> str:
    return "none" if epsilon is None else f"{epsilon:.3g}"


def _bound(cell: Mapping[str, Any]) -> str:
    """The largest lower bound, which is the one to fear; a dash without an audit."""
    bound = cell["epsilon_lower_bound"]
    return "-" if bound is None else f"{bound['largest']:.2f}"


def defences(record: Mapping[str, Any]) -> str:
    """What privacy costs, of every setting; empty where nothing was measured."""
    cells = [c for c in budgeted(record["results"]["cells"]) if c["accuracy"]]
    if not cells:
        return ""
    classes = record["provenance"]["dataset"]["classes"]
    line = f"delta {cells[0]['delta']:g}. {test_line(cells[0]['accuracy'], classes)}."
    return f"**What a defence costs**\n\n{defence_grid(cells)}\n\n{line}"


def audits(cells: Cells) -> str:
    """Every audit: claims, lower bounds, and noise that is too small by mistake."""
    lines = []
    for cell in cells:
        bound = cell.get("epsilon_lower_bound")
        if not bound:
            continue
        caught = {True: "caught", False: "not caught"}.get(cell.get("caught", ""), "-")
        lines.append([
            cell["row"], _hidden(cell), cell["attack"], cell["setting"],
            _budget(cell["epsilon_claimed"]), f"{bound['value']:.2f}", f"{bound['largest']:.2f}",
            str(cell["targets"]), caught,
        ])  # fmt: skip
    if not lines:
        return ""
    head = ("row", "server sees", "audit", "training", "epsilon claimed", "lower bound, mean",
            "largest", "runs", "a wrong accountant")  # fmt: skip
    words = (
        f"A lower bound above the claim refutes it: {_confidence(cells)}. "
        "One-run audits plant texts; repeated ones ask a client hundreds of times with a text "
        "and without it."
    )
    return f"**Audits of differential privacy**\n\n{grid(head, lines)}\n\n{words}"


def _confidence(cells: Cells) -> str:
    """How sure the largest bound of a row is."""
    bounds = [cell["epsilon_lower_bound"] for cell in cells if cell.get("epsilon_lower_bound")]
    sure = sorted({bound.get("largest_with_confidence", 0.0) for bound in bounds} - {0.0})
    if not sure:
        return f"each holds with {percent(bounds[0]['each_with_confidence'])}"
    return f"the largest of a row holds with {percent(sure[0])}"
