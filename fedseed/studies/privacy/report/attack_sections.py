"""What each attack found: tables and figures, one part for each kind of attack."""

from fedseed.results.report.blocks import Bullets, Figures, Notice, Paragraph, Section, Table
from fedseed.results.table import percent
from fedseed.studies.privacy.report import numbers
from fedseed.studies.privacy.report.figures import membership_figures, strongest_of
from fedseed.studies.privacy.report.findings import (
    NEVER_TRAINED,
    attack_name,
    condition,
    exposure_value,
)
from fedseed.studies.privacy.report.view import MEMBERSHIP, Cell, Place, View, place_of

_RATES = (("auc", "AUC"), ("tpr_at_1pct_fpr", "true positive rate at 1 % false positive rate"))


def attack_section(view: View) -> Section:
    """Every attack; parts without anything measured are left out."""
    parts = (_membership, _worst_texts, _words, _inversion, _crafted, _mix, _canaries, _checks)
    made = [part for part in (make(view) for make in parts) if part]
    notice = Notice(
        "An attack that succeeds proves that something is given away. An attack that fails proves "
        "nothing about a better one."
    )
    return Section("attacks", "What each attack found", [notice], made)


def _membership(view: View) -> Section | None:
    figures = membership_figures(view)
    if not figures:
        return None
    intro = Paragraph(
        "Membership inference: was a certain text among those that were used? Of several attacks "
        "the best stands here, which flatters them a little where all of them guess."
    )
    tables = [_best_table(view, key, name) for key, name in _RATES]
    return Section(
        "membership", "Whose texts were used (membership)",
        [intro, Figures(figures), *tables],
    )  # fmt: skip


def _best_table(view: View, key: str, name: str) -> Table:
    write = numbers.plain(2) if key == "auc" else percent
    best = {o: {place_of(c): c for c in strongest_of(view, o, key)} for o in view.observers}
    seen = [observer for observer in view.observers if best[observer]]
    rows = []
    for place in view.places:
        cells = [best[observer].get(place) for observer in seen]
        if any(cells):
            rows.append([place.label, *(_best_words(cell, key, write) for cell in cells)])
    guessing = "0.50" if key == "auc" else "1 %"
    return Table(
        f"table-{key.replace('_', '-')}", f"Best attack on membership by {name}; guessing has "
        f"{guessing}", ["protocol", *(view.observer_name(o) for o in seen)], rows,
    )  # fmt: skip


def _best_words(cell: Cell | None, key: str, write: numbers.Write) -> str:
    if cell is None:
        return numbers.NONE
    where = condition(cell)
    said = f"{numbers.mean(cell[key], cell['targets'], write)} by {attack_name(cell)}"
    return f"{said}, {where}" if where else said


def _worst_texts(view: View) -> Section | None:
    cells = view.strong
    if not cells:
        return None
    groups: list[list[Cell]] = []
    for cell in cells:  # attacks that look at the same of a text say the same of it
        group = next((g for g in groups if _same_texts(g[0], cell)), None)
        if group is None:
            groups.append([cell])
        else:
            group.append(cell)
    rows = []
    for group in groups:
        cell, record = group[0], group[0]["per_record"]
        attack = numbers.listed([attack_name(one) for one in group])
        rows.append([
            f"{place_of(cell).label}: {attack}, {condition(cell)}",
            view.observer_name(cell["observer"]), f"{record['texts']:,}", f"{record['runs']:,}",
            f"{record['auc_median']:.2f}", f"{record['auc_90th_percentile']:.2f}",
            percent(record["share_above_0_9"]), _worst_ten(record["worst"]),
            percent(record["calibrated_tpr_at_1pct_fpr"]),
            percent(record["pooled_tpr_at_1pct_fpr"]),
        ])  # fmt: skip
    table = Table(
        "table-worst-texts", "How well each single text is found over all runs (no intervals in "
        "the record)",
        ["protocol and attack", "reader", "texts", "runs", "AUC of half the texts is above",
         "of one in ten above", "texts above 0.9", "the ten worst texts",
         "found at 1 %, judged text by text", "found at 1 %, all texts pooled"], rows,
        note="All of it from the model's loss on a text, which every attack starts from. The ten "
        "worst were chosen on one half of the runs and are judged on the other: on the same runs "
        "chance would flatter them.",
    )  # fmt: skip
    intro = Paragraph(
        "A mean over people misstates the risk of a single person. Here the AUC of every single "
        "text is taken over the runs. The words of the texts are not in the record."
    )
    return Section("worst-texts", "The worst single texts", [intro, table])


def _same_texts(one: Cell, other: Cell) -> bool:
    """Whether two cells say the same of single texts, of the same runs."""
    alike = [(place_of(c), c["observer"], condition(c), c["per_record"]) for c in (one, other)]
    return alike[0] == alike[1]


def _worst_ten(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values[:10])


def _words(view: View) -> Section | None:
    cells = [c for c in view.watched if c["attack"] == "tokens"]
    rows = [
        [place_of(c).label, view.observer_name(c["observer"]), *_recall(c)] for c in cells
    ]  # fmt: skip
    if not rows:
        return None
    table = Table(
        "table-words", "Which words a client's texts hold",
        ["protocol", "reader", "of its words, named", "of the named words, right"], rows,
    )  # fmt: skip
    return Section("words", "Words of a client's texts", [table])


def _recall(cell: Cell) -> list[str]:
    return [
        numbers.mean(cell[key], cell["targets"], percent)
        for key in ("token_recall", "token_precision")
    ]  # fmt: skip


def _inversion(view: View) -> Section | None:
    rows = []
    for cell in view.inversions:
        inversion = cell.get("gradient_inversion") or {}
        parts = [
            numbers.mean(inversion.get(key), cell["targets"], percent)
            for key in ("token_share", "text_share")
        ]  # fmt: skip
        rows.append([f"{place_of(cell).label}: {cell['setting']}", *_recall(cell), *parts])
    if not rows:
        return None
    table = Table(
        "table-inversion", "What the server computes back from one client's first update",
        ["protocol: an update of", "words named", "of those right", "tokens in their place",
         "whole texts"], rows,
    )  # fmt: skip
    intro = Paragraph(
        "Gradient inversion: an update that was made of very few texts can be turned back into "
        "them. These are made-up small cases, which ordinary training of short duration can meet."
    )
    return Section("inversion", "Texts computed back from an update", [intro, table])


def _crafted(view: View) -> Section | None:
    lines = [
        f"Under {place_of(c).label} {view.observer_name(c['observer'])} asked for single words: "
        f"{_recall(c)[0]} of them were named, {_recall(c)[1]} of the named were right; the number "
        f"of texts with the word was exact in {percent(c['counts_exact'])} of the answers "
        f"(no interval in the record; {numbers.count(c['targets'], 'target')})."
        for c in view.crafted
    ]  # fmt: skip
    if not lines:
        return None
    intro = Paragraph(
        "A server that makes its own seed, instead of an honest one, turns a score into an answer "
        "to its question: how many texts hold this word?"
    )
    return Section("crafted", "A server that chooses the seed", [intro, Bullets(lines)])


def _mix(view: View) -> Section | None:
    rows = [
        [place_of(c).label, view.observer_name(c["observer"]),
         numbers.mean(c["label_error"], c["targets"], percent),
         numbers.mean(c["label_error_of_guessing"], c["targets"], percent)]
        for c in view.watched if c["attack"] == "label-distribution"
    ]  # fmt: skip
    if not rows:
        return None
    table = Table(
        "table-mix", "How exactly a client's class mix can be read (total variation, 0 % is exact)",
        ["protocol", "reader", "error of the attack", "error of guessing"], rows,
    )  # fmt: skip
    return Section("mix", "How frequent each class is", [table])


def _canaries(view: View) -> Section | None:
    cells = [cell for cell in view.watched if "exposure_bits" in cell]
    if not cells:
        return None
    times = sorted({cell["repeated"] for cell in cells})
    lines: dict[tuple[Place, str], dict[int, str]] = {}
    for cell in cells:
        line = lines.setdefault((place_of(cell), cell["observer"]), {})
        line[cell["repeated"]] = exposure_value(cell)
    rows = [
        [place.label, view.observer_name(who), *(line.get(n, numbers.NONE) for n in times)]
        for (place, who), line in lines.items()
    ]  # fmt: skip
    most = max(cell["most_bits"] for cell in cells)
    table = Table(
        "table-canaries", f"Exposure of planted texts in bits: {most:g} is the most that can be "
        f"shown, about {NEVER_TRAINED:g} has one that was never used",
        ["protocol", "reader", *(f"stood there {numbers.count(n, 'time')}" for n in times)], rows,
    )  # fmt: skip
    return Section("canaries", "Planted texts (canaries)", [table])


def _checks(view: View) -> Section | None:
    rows = [
        [f"{c['setting']}: {attack_name(c)}",
         numbers.mean(c.get("auc"), c["targets"], numbers.plain(3)),
         numbers.mean(c.get("tpr_at_1pct_fpr"), c["targets"], percent)]
        for c in view.checks if c["attack"].startswith(MEMBERSHIP)
    ]  # fmt: skip
    if not rows:
        return None
    intro = Paragraph(
        "On a model that was made to memorise its texts the attacks ought to find much; on texts "
        "that no run has used they ought to find nothing."
    )
    table = Table(
        "table-checks", "The attacks where it is known what they ought to find",
        ["model and attack", "AUC", "true positive rate at 1 %"], rows,
    )  # fmt: skip
    return Section("checks", "Do the attacks work?", [intro, table])


def every_membership(view: View) -> Section | None:
    """All attacks on membership, not the best alone."""
    rows = [
        [f"{place_of(c).label}: {view.observer_name(c['observer'])}, {c['attack']}",
         condition(c) or "the runs as they are",
         _tested(c), *(numbers.mean(c.get(key), c["targets"], write) for key, write in (
             ("auc", numbers.plain(3)), ("tpr_at_1pct_fpr", percent),
             ("tpr_at_0_1pct_fpr", percent)))]
        for c in view.watched if c["attack"].startswith(MEMBERSHIP)
    ]  # fmt: skip
    if not rows:
        return None
    table = Table(
        "table-every", "Every attack on membership",
        ["protocol: reader, attack", "condition", "used and other texts", "AUC",
         "true positive rate at 1 %", "at 0.1 %"], rows,
    )  # fmt: skip
    return Section("every", "All attacks on membership", [table])


def _tested(cell: Cell) -> str:
    if "members" not in cell:
        return "not in the record"
    return f"{cell['members']:,} and {cell['non_members']:,}"
