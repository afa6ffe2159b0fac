"""How an attack describes itself: who can make it, what it needs of a protocol, what it reports.

Light to import: neither torch nor scipy, so that ``--help`` is quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fedseed.attacks.evidence import Evidence
from fedseed.discovery import load
from fedseed.privacy.protection import DpSgd
from fedseed.protocols.description import Protocol, Revealed

Need = Revealed | Literal["numbers"]
"""What a protocol reveals (:data:`Revealed`), or that it can read its payloads as numbers."""
READABLE: tuple[Need, ...] = ("model", "numbers")
"""Of attacks on whatever can be computed from a contribution."""
RunKind = Literal["usual", "skewed", "special"]
"""Runs that give the evidence: usual ones with planted canaries, ones whose clients have unequal
class mixes, or runs that are made for this attack alone."""


@dataclass(frozen=True)
class Attack:
    """One attack, as the rest of fedseed sees it; ``ATTACK`` of a folder of this package."""

    name: str
    """As ``--attack`` takes it; the folder's name, with hyphens."""
    summary: str
    """What it finds out, in a few words."""
    needs: Mapping[str, tuple[Need, ...]]
    """By observer that can make it: what of the protocol it starts from, any of these; the final
    result is enough where none stands."""
    needs_in_words: str
    """The same, for messages: ``weights, from a client``."""
    runs: RunKind
    reports: tuple[str, ...]
    """Names of the figures in its cells of a record."""
    judge: str
    """``module:attribute`` of a function from :class:`fedseed.attacks.evidence.Evidence` to cells
    of a record."""
    of_each: bool = False
    """Whether it needs what single clients sent, which secure aggregation hides."""
    audits_dp_sgd: bool = False
    """Whether it puts DP-SGD to the test, which the protocol's clients have to be able to do."""

    def applies(self, observer: str, protocol: Protocol) -> bool:
        """Whether an observer can make it under a protocol."""
        if observer not in self.needs:
            return False
        if self.audits_dp_sgd and not isinstance(protocol.privacy.get("example"), DpSgd):
            return False
        revealed = protocol.reveals | ({"numbers"} if protocol.numbers else set())
        needed = self.needs[observer]
        return not needed or not revealed.isdisjoint(needed)

    def cells(self, evidence: Evidence) -> list[dict[str, Any]]:
        """Judge the guesses; imports the code of the attack.

        Args:
            evidence: of one observer and one row.

        Returns:
            Cells of a record, each with ``attack`` and the figures that :attr:`reports` names.
        """
        judge: Callable[[Evidence], list[dict[str, Any]]] = load(self.judge)
        return judge(evidence)

    def to_record(self) -> dict[str, Any]:
        """What readers of a record need to know of it."""
        return {
            "summary": self.summary, "observers": list(self.needs), "reports": list(self.reports),
        }  # fmt: skip
