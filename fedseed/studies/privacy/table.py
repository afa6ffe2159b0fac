"""table.md of the privacy study, from its record alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    grid,
    interval,
    on_task,
    size,
    with_interval,
)
from fedseed.studies.privacy.budget_table import audits, defences

Cells = Sequence[Mapping[str, Any]]
_MEMBERSHIP = "membership, "
_TPR = "tpr_at_1pct_fpr"


def privacy_table(record: Mapping[str, Any]) -> str:
    """What each observer learns of each protocol, whether the attacks are alive, and defences."""
    results, config = record["results"], record["config"]
    cells = results["cells"]
    plain = [cell for cell in cells if cell["setting"] is None]
    blocks = [
        f"# What each protocol gives away{on_task(record)}: {config['model']}, "
        f"{config['clients']} clients with {config['shard']} texts",
        QUICK if config["quick"] else "",
        "Attacks read what the observer sees of the wire, and the attacker's own shadow runs. "
        "Means over targets (95 % interval). TPR at 1 % FPR is the true positive rate at 1 % false "
        "positive rate. Chance: AUC 0.50, TPR 1.0 %, exposure about 1.4 bits. Of the attacks on "
        "membership the best stands here, by AUC and by TPR, which flatters them a little where "
        "all of them guess; every one is in the last table. Targets share texts and canaries, so "
        "that intervals over them are somewhat narrow. **An attack that fails proves nothing about "
        "a better one.**",
    ]
    for observer, words in results["observers"].items():
        here = [cell for cell in plain if cell["observer"] == observer]
        if here:
            blocks += [f"**{words}**", main_grid(here)]
    blocks += [
        _summed(cells),
        crafted_line(cells),
        _not_crafted(record),
        _alive(cells),
        _many_shadows(cells),
        _updates(cells),
        audits(cells),
    ]
    blocks += [defences(record), DETAILS]
    blocks += ["Every attack on membership, and every planted canary:", _every(plain)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def strongest(cells: Cells, by: str = "auc") -> list[Mapping[str, Any]]:
    """The best attack on membership, of each row in turn.

    Args:
        cells: of any attacks.
        by: what it is best at, ``auc`` or a true positive rate.
    """
    best: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        if cell["attack"].startswith(_MEMBERSHIP) and cell[by]["value"] is not None:
            leader = best.setdefault(cell["row"], cell)
            if cell[by]["value"] > leader[by]["value"]:
                best[cell["row"]] = cell
    return list(best.values())


def main_grid(cells: Cells) -> str:
    """One line a row: the strongest attack of each kind.

    Args:
        cells: one observer's, of the watched runs.
    """
    head = (
        "row", "bytes read", "membership AUC", "by", "TPR at 1 % FPR", "by", "words: recall",
        "precision", "class mix: error", "canary x16, bits",
    )  # fmt: skip
    by_auc = {cell["row"]: cell for cell in strongest(cells)}
    by_tpr = {cell["row"]: cell for cell in strongest(cells, _TPR)}
    lines = []
    for row in dict.fromkeys(cell["row"] for cell in cells):
        by_attack = {cell["attack"]: cell for cell in cells if cell["row"] == row}
        auc, tpr = by_auc.get(row, {}), by_tpr.get(row, {})
        words, mix = by_attack.get("tokens", {}), by_attack.get("label-distribution", {})
        canary = by_attack.get("canary trained on 16 time(s)", {})
        sizes = [cell["bytes_read"] for cell in by_attack.values() if "bytes_read" in cell]
        lines.append([
            row, size(sizes[0]) if sizes else "-",
            _mean(auc.get("auc")), auc.get("attack", "-").removeprefix(_MEMBERSHIP),
            _share(tpr.get(_TPR)), tpr.get("attack", "-").removeprefix(_MEMBERSHIP),
            _share(words.get("token_recall")), _share(words.get("token_precision")), _mix(mix),
            _bits(canary),
        ])  # fmt: skip
    return grid(head, lines)


def _mix(cell: Mapping[str, Any]) -> str:
    if not cell:
        return "-"
    guess = 100 * cell["label_error_of_guessing"]["value"]
    return f"{_share(cell['label_error'])}, guessing {guess:.0f} %"


def _mean(mean: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A mean with its interval; a dash without one."""
    if not mean or mean["value"] is None:
        return "-"
    words = interval(mean["ci95"], lambda end: f"{end:.{digits}f}")
    return f"{mean['value']:.{digits}f} ({words})"


def _bits(cell: Mapping[str, Any]) -> str:
    """A canary's exposure; nothing above what the number of references can show."""
    exposure = cell.get("exposure_bits")
    if exposure and exposure["ci95"]:
        low, high = exposure["ci95"]
        exposure = exposure | {"ci95": [low, min(high, cell["most_bits"])]}
    return _mean(exposure, 1)


def _share(share: Mapping[str, Any] | None) -> str:
    """A share with its interval; a dash without one."""
    if not share or share["value"] is None:
        return "-"
    return with_interval(share)


def _alive(cells: Cells) -> str:
    rows = [
        [cell["setting"], cell["attack"].removeprefix(_MEMBERSHIP), _mean(cell["auc"], 3),
         _share(cell["tpr_at_1pct_fpr"]), str(cell["targets"])]
        for cell in cells if cell["setting"] in ("memorising model", "texts never seen")
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("model", "attack", "AUC", "TPR at 1 % FPR", "targets")
    return "**Are the attacks alive?**\n\n" + grid(head, rows)


def _updates(cells: Cells) -> str:
    lines = []
    for cell in cells:
        if cell["attack"] != "tokens" or cell["setting"] is None:
            continue
        inversion = cell.get("gradient_inversion") or {}
        lines.append([
            cell["row"], cell["setting"],
            _share(cell["token_precision"]), _share(cell["token_recall"]),
            _share(inversion.get("token_share")), _share(inversion.get("text_share")),
        ])  # fmt: skip
    if not lines:
        return ""
    head = ("row", "one client's first update, of", "words: precision", "recall",
            "tokens in place", "whole texts")  # fmt: skip
    title = "**Gradient inversion: what an update of a few texts gives away**"
    return f"{title}\n\n{grid(head, lines)}"


def crafted_line(cells: Cells) -> str:
    """What seeds of the server's choice give away; empty without them."""
    lines = [
        f"**A server that chooses the seed**, under `{cell['protocol']}`, where metrics alone come "
        "up: a seed crafted for one word makes the validation score count the texts that hold it. "
        f"Of the words asked for, recall {_share(cell['token_recall'])}, precision "
        f"{_share(cell['token_precision'])}; the count was exact for "
        f"{100 * cell['counts_exact']:.0f} %."
        for cell in cells if cell["attack"] == "crafted seed"
    ]  # fmt: skip
    return "\n\n".join(lines)


def _not_crafted(record: Mapping[str, Any]) -> str:
    """Why there are no crafted seeds, where they were asked for."""
    classes = len(record["provenance"]["dataset"]["classes"])
    if classes == 2 or "crafted" not in record["results"]["attacks"]:
        return ""
    return (
        "**A server that chooses the seed**: not measured here, as crafted seeds ask models of two "
        f"classes and this task has {classes}."
    )


def _summed(cells: Cells) -> str:
    """What is left where the server sees sums alone."""
    here = [cell for cell in cells if cell["setting"] == "summed unseen"]
    if not here:
        return ""
    by_tpr = {cell["row"]: cell for cell in strongest(here, _TPR)}
    rows = [
        [cell["row"], _mean(cell["auc"]), cell["attack"].removeprefix(_MEMBERSHIP),
         _share(by_tpr[cell["row"]][_TPR]) if cell["row"] in by_tpr else "-"]
        for cell in strongest(here)
    ]  # fmt: skip
    head = ("row", "membership AUC", "by", "TPR at 1 % FPR")
    return "**The server under secure aggregation: sums alone**\n\n" + grid(head, rows)


def _many_shadows(cells: Cells) -> str:
    """The attacker with many shadow runs, and what it means for single texts."""
    here = [cell for cell in cells if "per_record" in cell]
    if not here:
        return ""
    rows = [
        [f"{cell['row']}, {cell['model']}", cell["attack"].removeprefix(_MEMBERSHIP),
         _mean(cell["auc"], 3), _share(cell[_TPR]), _share(cell["tpr_at_0_1pct_fpr"]),
         str(cell["targets"])]
        for cell in here
    ]  # fmt: skip
    head = ("row, model", "attack", "AUC", "TPR at 1 % FPR", "at 0.1 %", "targets")
    title = f"**One client against {here[0]['shadow_runs']} shadow runs**"
    return "\n\n".join([title, grid(head, rows), _records(here)])


def _records(cells: Cells) -> str:
    """How well single texts are found."""
    rows = []
    for cell in {(cell["row"], cell["model"]): cell for cell in cells}.values():
        found = cell["per_record"]
        chance = found["by_chance"]
        rows.append([
            f"{cell['row']}, {cell['model']}", f"{found['texts']}, {found['runs']}",
            f"{found['auc_median']:.2f} ({chance['auc_median']:.2f})",
            f"{found['auc_90th_percentile']:.2f} ({chance['auc_90th_percentile']:.2f})",
            f"{100 * found['share_above_0_9']:.0f} % ({100 * chance['share_above_0_9']:.0f} %)",
            f"{np.mean(found['worst']):.2f}",
            f"{100 * found['pooled_tpr_at_1pct_fpr']:.1f} %",
            f"{100 * found['calibrated_tpr_at_1pct_fpr']:.1f} %",
        ])  # fmt: skip
    head = ("row, model", "texts, runs", "a text's AUC: median (chance)", "90th percentile",
            "above 0.9", "ten worst, on other runs", "TPR at 1 % FPR: one threshold",
            "each text's own")  # fmt: skip
    words = "By text, from the loss alone: how well runs with it are told from runs without it."
    return f"{words}\n\n{grid(head, rows)}"


def _every(cells: Cells) -> str:
    rows: Iterable[list[str]] = (
        [cell["observer"], cell["row"], cell["attack"], _mean(cell.get("auc"), 3),
         _share(cell.get("tpr_at_1pct_fpr")), _share(cell.get("tpr_at_0_1pct_fpr")),
         _bits(cell), str(cell["targets"])]
        for cell in cells if cell["attack"].startswith(("membership", "canary"))
    )  # fmt: skip
    head = ("observer", "row", "attack", "AUC", "TPR at 1 % FPR", "at 0.1 %",
            "exposure, bits", "targets")  # fmt: skip
    return grid(head, rows)
