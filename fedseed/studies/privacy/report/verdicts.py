"""A verdict for each row and each proven bound, by fixed rules from the figures alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedseed.results.report.blocks import Badge
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.budgets import LOOSE, STRONG, Budget
from fedseed.studies.privacy.report.findings import KINDS, RULES, Finding, Kind, findings
from fedseed.studies.privacy.report.view import Place, View

MAY_BE_USED = {
    "away": "Only where each reader in the next column may learn that about the texts.",
    "nothing": "Not shown to be safe: a failed attack proves nothing about a better one. It needs "
    "another ground than these attacks.",
    "unknown": "Cannot be said.",
}
_BADGES: dict[Kind, Badge] = {
    "texts": Badge("bad", "Gives texts away"), "words": Badge("bad", "Gives words away"),
    "members": Badge("bad", "Gives members away"),
    "planted": Badge("bad", "Gives planted texts away"),
    "mix": Badge("warning", "Gives the class mix away"),
}  # fmt: skip
NOTHING = Badge("unknown", "Nothing found, nothing proven")
UNKNOWN = Badge("unknown", "Not attacked: nothing known")
CONTRADICTED = Badge("bad", "Guarantee in doubt")
ORDER = (*_BADGES.values(), NOTHING, UNKNOWN)
"""Verdicts on rows by what attacks found, from the worst on."""


@dataclass(frozen=True)
class Verdict:
    """What attacks found of one row."""

    place: Place
    badge: Badge
    may: str
    """Whether it may be used, in a sentence."""
    who: tuple[str, ...]
    """Readers who found something, each with what."""
    why: Sequence[Finding]
    """The strongest finding of each kind; empty where nothing was found."""


def verdicts(view: View) -> list[Verdict]:
    """One verdict for each row, in the record's order."""
    found = findings(view)
    return [_verdict(view, place, [f for f in found if f.place == place]) for place in view.places]


def _verdict(view: View, place: Place, found: Sequence[Finding]) -> Verdict:
    if not found:
        attacked = bool(view.of(place))
        badge, may = (NOTHING, "nothing") if attacked else (UNKNOWN, "unknown")
        return Verdict(place, badge, MAY_BE_USED[may], ("nobody",), ())
    worst = found[0].kind
    kinds = dict.fromkeys(finding.kind for finding in found)
    why = [next(finding for finding in found if finding.kind == kind) for kind in kinds]
    return Verdict(place, _BADGES[worst], MAY_BE_USED["away"], readers(view, found), why)


def readers(view: View, found: Sequence[Finding]) -> tuple[str, ...]:
    """Who found something, and what; one line a reader."""
    parts = []
    for observer in dict.fromkeys([*view.observers, *(f.observer for f in found)]):
        kinds = {finding.kind for finding in found if finding.observer == observer}
        if kinds:
            what = numbers.listed([KINDS[kind] for kind in KINDS if kind in kinds])
            parts.append(f"{view.observer_name(observer)}: {what}")
    return tuple(parts)


def bound_badge(budget: Budget) -> Badge:
    """The verdict on a proven bound.

    Args:
        budget: one that claims an epsilon.
    """
    claimed = budget.claimed
    assert claimed is not None
    if budget.contradicted:
        return CONTRADICTED
    # Calibrated noise spends a little more or less than was asked for.
    if claimed <= STRONG + 0.05:
        return Badge("bounded", f"Bounded strongly: epsilon {claimed:.2f}")
    if claimed <= LOOSE + 0.05:
        return Badge("bounded", f"Bounded: epsilon {claimed:.2f}")
    return Badge("warning", f"Bounded loosely: epsilon {claimed:.2f}")


def rule_lines() -> list[str]:
    """All rules of the verdicts, in plain words, in the order in which they are tried."""
    lines = [f"{_BADGES[kind].words}. {rule}" for kind, rule in RULES.items()]
    return [
        *lines,
        f"{NOTHING.words}. Attacks were made, and no rule above is met.",
        f"{UNKNOWN.words}. No attack was made on the row.",
        "Bounded. Only where a proven epsilon is in the record: strongly up to "
        f"{STRONG:g}, loosely above {LOOSE:g} (0.05 more is let pass for rounding). The bound is "
        "for one text or for all texts of one client, as the table says.",
        f"{CONTRADICTED.words}. An audited run measured a lower bound above the claimed epsilon.",
    ]
