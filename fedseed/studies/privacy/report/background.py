"""Who sees what, what was sent, what was not tried, what remains, and where figures come from."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.markdown import size
from fedseed.results.pages.origin import options_table, origin_table, versions_table
from fedseed.results.report.blocks import Bullets, Definitions, Notice, Paragraph, Section, Table
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import best_bound, budgets, of_use
from fedseed.studies.privacy.report.glossary import GLOSSARY
from fedseed.studies.privacy.report.view import Place, View

_NEVER = (
    "Attacks that read the inner numbers of a model beyond its confidence in a text (white-box "
    "features).",
    "Clients that lie in order to learn more, and several parties that work together.",
    "Lengths and times of encrypted messages.",
    "Other data, other languages, longer texts and other models than those named in this report.",
    "What can be concluded together with other sources about the same people.",
)
_ATTACKS: Mapping[str, str] = {
    "membership": "whether a text was used", "tokens": "which words a client's texts hold",
    "label-distribution": "the class mix", "canary": "planted texts",
    "crafted seed": "a server that chooses the seed",
}  # fmt: skip
"""How names of attacks begin, and what each is after."""


def observer_section(view: View) -> Section:
    """Readers, what each reads, and under which rows each was played."""
    rows = []
    for observer, words in view.observers.items():
        name, _, reads = words.partition(":")
        cells = [cell for cell in view.cells if cell["observer"] == observer]
        labels = {place.label for place in view.places if view.of(place, observer)}
        played = [place.label for place in view.places if place.label in labels]
        if not played and cells:
            played = list(dict.fromkeys(f"{c['row']} ({c['setting']})" for c in cells))
        under = numbers.listed(played) or "not played"
        rows.append([name, reads.strip() or "what its name says", under])
    table = Table(
        "table-observers", "Readers", ["reader", "reads", "played under"], rows, folds=True
    )
    return Section("observers", "Who sees what", [table])


def bytes_section(view: View) -> Section:
    """What travels in each row, and how much of it each reader saw."""
    seen = [o for o in view.observers if any(_bytes(view, p, o) for p in view.places)]
    rows = [
        [place.label, view.travels(place),
         *(_bytes(view, place, observer) or numbers.NONE for observer in seen)]
        for place in view.places
    ]  # fmt: skip
    clients, texts = view.config["clients"], view.config["shard"]
    table = Table(
        "table-bytes", f"What was sent in a whole run of {numbers.count(clients, 'client')} with "
        f"{texts:,} texts each, as each reader saw it (mean over runs)",
        ["protocol", "what travels", *(view.observer_name(o) for o in seen)], rows,
    )  # fmt: skip
    note = Paragraph("Few bytes are no protection: what counts is what they say.")
    return Section("sent", "What was sent", [table, note])


def _bytes(view: View, place: Place, observer: str) -> str:
    cells = [c for c in view.of(place, observer) if c.get("bytes_read") is not None]
    return size(cells[0]["bytes_read"]) if cells else ""


def not_tried_section(view: View) -> Section:
    """What this record leaves open, and what no record of this study answers."""
    return Section("not-tried", "What was not tried", [
        Paragraph("In this record:"), Bullets(_left_open(view)),
        Paragraph("In no record of this kind:"), Bullets(_NEVER),
    ])  # fmt: skip


def _left_open(view: View) -> list[str]:
    lines = []
    names = {cell["attack"] for cell in view.cells}
    missing = [
        words for begin, words in _ATTACKS.items() if not any(n.startswith(begin) for n in names)
    ]  # fmt: skip
    if missing:
        lines.append(f"Attacks that were not made at all: {numbers.listed(missing)}.")
    for observer in view.observers:
        rows = [p.label for p in view.places if not view.of(p, observer)]
        name = view.observer_name(observer)
        if not any(cell["observer"] == observer for cell in view.cells):
            lines.append(f"{name} was not played at all.")
        elif 0 < len(rows) < len(view.places):
            lines.append(f"{name} was not played under {numbers.listed(rows)}.")
    if not view.strong:
        lines.append("How well each single text is found: only means over texts were measured.")
    if not any(place.sums for place in view.places):
        lines.append("Secure aggregation: no row of this record uses it.")
    lines += _not_audited(view)
    if any(c["tpr_at_0_1pct_fpr"]["value"] is None for c in _rated(view)):
        lines.append(
            "True positive rates at 0.1 % false positive rate, where the table says not measured: "
            "too few other texts."
        )
    if view.config.get("quick"):
        lines.append("This was a quick run: its figures mean little.")
    return lines


def _rated(view: View) -> list[Mapping[str, Any]]:
    return [cell for cell in view.watched if cell.get("tpr_at_0_1pct_fpr")]


def _not_audited(view: View) -> list[str]:
    found = budgets(view)
    if not any(budget.claimed is not None for budget in found):
        return ["Differential privacy: no setting with a proven bound was measured."]
    silent = [b.label for b in found if b.claimed is not None and not b.audits]
    lines = []
    if silent:
        lines.append(f"Proven bounds that were not audited: {'; '.join(silent)}.")
    tried = [p.label for p in view.places if view.noised(p) and view.of(p)]
    others = f", but for {numbers.listed(tried)}" if tried else ""
    lines.append(
        f"The attacks of this report on runs with a guarantee{others}: there the proof and the "
        "audits alone are shown."
    )
    return lines


def risk_section(view: View) -> Section:
    """What remains, in a sentence or two."""
    best = best_bound(view)
    if best:
        first = (
            f"The strongest bound in this report{of_use(best)} is epsilon {best.claimed:.2f} for "
            f"{best.protects} ({best.label}); it holds if the program does what its proof says, "
            "and where the server hands out the settings that were agreed."
        )
        if best.unit == "example":
            first += (
                " A person with many texts is less protected, and facts about many texts may not "
                "be protected at all."
            )
    else:
        first = "Nothing in this report bounds what a better attack would find."
    rest = (
        "Every setting without a proven bound rests on trust in the readers named above: better "
        "attacks than those tried here are known to exist or are to be expected."
    )
    return Section("risk", "What risk remains", [Notice(f"{first} {rest}")])


def glossary_section() -> Section:
    """All terms."""
    return Section("glossary", "Words used in this report", [Definitions(GLOSSARY)])


def origin_section(view: View) -> Section:
    """Code, versions, data and options: what is needed to do it again."""
    return Section("origin", "Where the figures come from", [
        Paragraph("Everything in this report is computed from one file, record.json."),
        origin_table(view.record), versions_table(view.record),
        options_table(view.record, sorts=False),
    ])  # fmt: skip
