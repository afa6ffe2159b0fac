"""What counts as found: fixed rules from the figures, the same for every row and reader."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.view import MEMBERSHIP, Cell, Place, View, place_of

Kind = Literal["texts", "words", "members", "planted", "mix"]
KINDS: Mapping[Kind, str] = {
    "texts": "whole texts", "words": "words of the texts", "members": "whose texts were used",
    "planted": "planted texts", "mix": "how frequent each class is",
}  # fmt: skip
"""What can be given away, from the worst to the least."""

AUC, TPR, TEXT_AUC, TEXT_SHARE = 0.6, 0.02, 0.9, 0.01
WORDS, EXPOSURE, NEVER_TRAINED = 0.5, 2.9, 1.44
_PERCENT = {share: f"{100 * share:g} %" for share in (WORDS, TPR, TEXT_SHARE)}
RULES: Mapping[Kind, str] = {
    "texts": "Whole texts: gradient inversion gave back at least one text of a client, word for "
    "word, in any of its settings.",
    "words": f"Words: of the words that a client's texts hold, at least {_PERCENT[WORDS]} were "
    f"named and at least {_PERCENT[WORDS]} of the named words were right, both at the lower end of "
    "the interval.",
    "members": f"Members: any attack on membership has an AUC of {AUC:g} or more; or the lower end "
    f"of its interval of the true positive rate at 1 % false positive rate is above "
    f"{_PERCENT[TPR]}; or {_PERCENT[TEXT_SHARE]} or more of the single texts have an AUC above "
    f"{TEXT_AUC:g} of their own.",
    "planted": f"Planted texts: the exposure of a canary is above {EXPOSURE:g} bits at the lower "
    f"end of its interval, twice the {NEVER_TRAINED:g} bits of a text that was never trained on.",
    "mix": "Class mix: the upper end of the attack's error lies below the lower end of the error "
    "of guessing.",
}
"""In plain words, as the report states them."""


@dataclass(frozen=True)
class Finding:
    """Something that an attack found in a row."""

    place: Place
    observer: str
    kind: Kind
    strength: float
    """To compare findings of one kind; more is worse."""
    rate: float
    """True positive rate at 1 % false positive rate of an attack on membership; else 0."""
    highest_rate: float
    """The upper end of its interval."""
    words: str
    """The figures, with intervals and numbers of targets."""


def findings(view: View) -> list[Finding]:
    """Everything that meets a rule, the worst kinds first, the strongest first within a kind."""
    cells = [*view.watched, *view.inversions, *view.crafted]
    found = [finding for cell in cells for finding in _of(cell)]
    order = list(KINDS)
    return sorted(found, key=lambda finding: (order.index(finding.kind), -finding.strength))


def condition(cell: Cell) -> str:
    """Under which special conditions a cell was measured; empty for the runs as they are."""
    few = cell["attack"] == "tokens" and cell["setting"] is not None
    setting = f"an update made of {cell['setting']}" if few else cell["setting"]
    parts = [setting, cell.get("model") and f"model {cell['model']}"]
    return ", ".join(str(part) for part in parts if part)


def _of(cell: Cell) -> Iterator[Finding]:
    for kind, rule in _TESTS.items():
        met = rule(cell)
        if met:
            strength, words = met
            where = condition(cell)
            yield Finding(
                place_of(cell), cell["observer"], kind, strength,
                _rate(cell), numbers.high_end(cell.get("tpr_at_1pct_fpr")) or 0.0,
                f"{words} (case: {where})" if where else words,
            )  # fmt: skip


def _rate(cell: Cell) -> float:
    rate = cell.get("tpr_at_1pct_fpr")
    return float(rate["value"]) if rate and numbers.has_value(rate) else 0.0


Met = tuple[float, str] | None
"""Strength and words of what was found; None if the rule is not met."""


def _texts(cell: Cell) -> Met:
    share: numbers.Mean = (cell.get("gradient_inversion") or {}).get("text_share")
    if share is None or not numbers.has_value(share) or share["value"] <= 0:
        return None
    said = numbers.mean(share, cell["targets"], percent)
    return share["value"], f"{said} of the texts came back word for word by gradient inversion"


def _words(cell: Cell) -> Met:
    named, right = cell.get("token_recall"), cell.get("token_precision")
    ends = [numbers.low_end(named), numbers.low_end(right)]
    if any(end is None or end < WORDS for end in ends):
        return None
    assert named is not None
    said = numbers.mean(named, cell["targets"], percent)
    precise = numbers.mean(right, cell["targets"], percent)
    what = "asked-for words" if cell["attack"] == "crafted seed" else "client's words"
    return named["value"], f"{said} of the {what} were named, {precise} of the named were right"


def _members(cell: Cell) -> Met:
    if not cell["attack"].startswith(MEMBERSHIP):
        return None
    auc, rate = cell.get("auc"), cell.get("tpr_at_1pct_fpr")
    value = auc["value"] if auc and numbers.has_value(auc) else 0.0
    low = numbers.low_end(rate)
    single = (cell.get("per_record") or {}).get("share_above_0_9") or 0.0
    if value < AUC and (low is None or low <= TPR) and single < TEXT_SHARE:
        return None
    return max(value, 0.5), members_words(cell)


def members_words(cell: Cell) -> str:
    """The figures of an attack on membership."""
    auc = numbers.mean(cell.get("auc"), cell["targets"], numbers.plain(2))
    rate = numbers.mean(cell.get("tpr_at_1pct_fpr"), cell["targets"], percent)
    words = (
        f"used texts told from others with an AUC of {auc}, guessing 0.50; at 1 % false "
        f"accusations {rate} of the used ones found, guessing 1 %; by {attack_name(cell)}"
    )
    record = cell.get("per_record")
    if record:
        words += (
            f"; {percent(record['share_above_0_9'])} of {record['texts']:,} texts have an AUC "
            f"above 0.9 of their own over {numbers.count(record['runs'], 'run')}, the worst "
            f"{max(record['worst'], default=0.0):.2f}"
        )
    return words


def attack_name(cell: Cell) -> str:
    """The name of an attack on membership."""
    return str(cell["attack"]).removeprefix(MEMBERSHIP)


def _planted(cell: Cell) -> Met:
    exposure = cell.get("exposure_bits")
    low = numbers.low_end(exposure)
    if low is None or low <= EXPOSURE:
        return None
    assert exposure is not None
    return exposure["value"], f"exposure {exposure_words(cell)}"


def exposure_words(cell: Cell) -> str:
    """The exposure of a canary, of the most that can be shown."""
    times = numbers.count(cell["repeated"], "time")
    most = cell["most_bits"]
    return f"{exposure_value(cell)} of at most {most:g} bits for a canary that stood there {times}"


def exposure_value(cell: Cell) -> str:
    """The same without the most; no end of the interval is above it."""

    def bits(value: float) -> str:
        return f"{min(value, cell['most_bits']):.1f}"

    return numbers.mean(cell["exposure_bits"], cell["targets"], bits)


def _mix(cell: Cell) -> Met:
    error, guess = cell.get("label_error"), cell.get("label_error_of_guessing")
    high, low = numbers.high_end(error), numbers.low_end(guess)
    if high is None or low is None or high >= low:
        return None
    assert error is not None
    said = numbers.mean(error, cell["targets"], percent)
    guessing = numbers.mean(guess, cell["targets"], percent)
    return 1 - error["value"], f"class mix read with an error of {said}, guessing {guessing}"


_TESTS: Mapping[Kind, Callable[[Cell], Met]] = {
    "texts": _texts, "words": _words, "members": _members, "planted": _planted, "mix": _mix,
}  # fmt: skip
