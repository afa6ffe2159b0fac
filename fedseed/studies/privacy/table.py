"""table.md of the privacy study, from its record alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedseed.results.markdown import (
    DETAILS,
    QUICK,
    grid,
    interval,
    size,
    test_line,
    with_interval,
)

Cells = Sequence[Mapping[str, Any]]
_MEMBERSHIP = "membership, "
_FOUND = "tpr_at_1pct_fpr"


def privacy_table(record: Mapping[str, Any]) -> str:
    """What each observer learns of each protocol, whether the attacks are alive, and defences."""
    results, config = record["results"], record["config"]
    cells = results["cells"]
    plain = [cell for cell in cells if cell["setting"] is None]
    blocks = [
        f"# What each protocol gives away: {config['model']}, {config['clients']} clients with "
        f"{config['shard']} texts",
        QUICK if config["quick"] else "",
        "Attacks read what the observer sees of the wire, and the attacker's own shadow runs. "
        "Means over targets (95 % interval). Chance: AUC 0.50, true positive rate 1.0 % at 1 % "
        "false positives, exposure about 1.4 bits. Of the attacks on membership the best stands "
        "here, by AUC and by the share that it finds, which flatters them a little where all of "
        "them guess; every one is in the last table. Targets share texts and secrets, so that "
        "intervals over them are somewhat narrow. **An attack that fails proves nothing about a "
        "better one.**",
    ]
    for observer, words in results["observers"].items():
        here = [cell for cell in plain if cell["observer"] == observer]
        if here:
            blocks += [f"**{words}**", main_grid(here)]
    blocks += [crafted_line(cells), _alive(cells), _steps(cells), _audit(cells)]
    blocks += [_defences(record), DETAILS]
    blocks += ["Every attack on membership, and every planted secret:", _every(plain)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def strongest(cells: Cells, by: str = "auc") -> list[Mapping[str, Any]]:
    """The best attack on membership, of each protocol in turn.

    Args:
        cells: of any attacks.
        by: what it is best at, ``auc`` or a true positive rate.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        if cell["attack"].startswith(_MEMBERSHIP) and cell[by]["value"] is not None:
            best = found.setdefault(cell["row"], cell)
            if cell[by]["value"] > best[by]["value"]:
                found[cell["row"]] = cell
    return list(found.values())


def main_grid(cells: Cells) -> str:
    """One line a protocol: the strongest attack of each kind.

    Args:
        cells: one observer's, of the watched runs.
    """
    head = (
        "protocol", "bytes read", "membership AUC", "by", "found at 1 % false", "by",
        "words: recall",
        "precision", "class mix: error", "secret x16, bits",
    )  # fmt: skip
    members = {cell["row"]: cell for cell in strongest(cells)}
    finders = {cell["row"]: cell for cell in strongest(cells, _FOUND)}
    rows = []
    for row in dict.fromkeys(cell["row"] for cell in cells):
        own = {cell["attack"]: cell for cell in cells if cell["row"] == row}
        member, finder = members.get(row, {}), finders.get(row, {})
        words, mix = own.get("tokens", {}), own.get("label-distribution", {})
        secret = own.get("canary trained on 16 time(s)", {})
        sizes = [cell["bytes_read"] for cell in own.values() if "bytes_read" in cell]
        rows.append([
            row, size(sizes[0]) if sizes else "-", _plain(member.get("auc")),
            member.get("attack", "-").removeprefix(_MEMBERSHIP),
            _share(finder.get(_FOUND)), finder.get("attack", "-").removeprefix(_MEMBERSHIP),
            _share(words.get("token_recall")), _share(words.get("token_precision")), _mix(mix),
            _bits(secret),
        ])  # fmt: skip
    return grid(head, rows)


def _mix(cell: Mapping[str, Any]) -> str:
    if not cell:
        return "-"
    guess = 100 * cell["label_error_of_guessing"]["value"]
    return f"{_share(cell['label_error'])}, guessing {guess:.0f} %"


def _plain(found: Mapping[str, Any] | None, digits: int = 2) -> str:
    if not found or found["value"] is None:
        return "-"
    words = interval(found["ci95"], lambda end: f"{end:.{digits}f}")
    return f"{found['value']:.{digits}f} ({words})"


def _bits(cell: Mapping[str, Any]) -> str:
    """A secret's exposure; nothing above what the number of references can show."""
    found = cell.get("exposure_bits")
    if found and found["ci95"]:
        low, high = found["ci95"]
        found = found | {"ci95": [low, min(high, cell["most_bits"])]}
    return _plain(found, 1)


def _share(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    return with_interval(found)


def _alive(cells: Cells) -> str:
    rows = [
        [cell["setting"], cell["attack"].removeprefix(_MEMBERSHIP), _plain(cell["auc"], 3),
         _share(cell["tpr_at_1pct_fpr"]), str(cell["targets"])]
        for cell in cells if cell["setting"] in ("memorising model", "texts never seen")
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("model", "attack", "AUC", "found at 1 % false", "targets")
    return "**Are the attacks alive?**\n\n" + grid(head, rows)


def _steps(cells: Cells) -> str:
    rows = []
    for cell in cells:
        if cell["attack"] != "tokens" or cell["setting"] is None:
            continue
        texts = cell.get("gradient_inversion") or {}
        rows.append([
            cell["setting"], _share(cell["token_precision"]), _share(cell["token_recall"]),
            _share(texts.get("token_share")), _share(texts.get("text_share")),
        ])  # fmt: skip
    if not rows:
        return ""
    head = ("one client's first weights, of", "words: precision", "recall",
            "tokens at their place", "whole texts")  # fmt: skip
    return "**Words from an update of a few texts**\n\n" + grid(head, rows)


def crafted_line(cells: Cells) -> str:
    """What seeds of the server's choice tell; empty without them."""
    found = [cell for cell in cells if cell["attack"] == "crafted seed"]
    if not found:
        return ""
    cell = found[0]
    return (
        "**A server that chooses the seed**, under `recipe`, where metrics alone come up: a seed "
        "crafted for one word makes the validation score count the texts that hold it. Of the "
        f"words asked for, recall {_share(cell['token_recall'])}, precision "
        f"{_share(cell['token_precision'])}; the count was exact for "
        f"{100 * cell['counts_exact']:.0f} %."
    )


def _audit(cells: Cells) -> str:
    rows = []
    for cell in cells:
        if cell["attack"] != "one-run audit":
            continue
        bound, claimed = cell["epsilon_lower_bound"], cell["epsilon_claimed"]
        rows.append([
            cell["setting"], "none" if claimed is None else f"{claimed:.2f}",
            _plain(bound), f"{bound['largest']:.2f}", str(cell["targets"]), str(cell["secrets"]),
        ])  # fmt: skip
    if not rows:
        return ""
    head = ("training", "epsilon claimed", "lower bound, mean", "largest", "runs", "secrets")
    return "**One-run audit of DP-SGD**\n\n" + grid(head, rows)


def defence_grid(curves: Cells) -> str:
    """Accuracy by protocol and budget."""
    rows = [
        [curve["row"], f"one {curve['protects']}",
         "none" if curve["epsilon"] is None else f"{curve['epsilon']:g}",
         with_interval(curve["accuracy"]), f"{100 * curve['accuracy']['majority_baseline']:.1f} %"]
        for curve in curves
    ]  # fmt: skip
    return grid(("protocol", "protects", "epsilon", "test accuracy", "majority"), rows)


def _defences(record: Mapping[str, Any]) -> str:
    curves = record["results"]["defences"]
    if not curves:
        return ""
    classes = record["provenance"]["dataset"]["classes"]
    line = f"delta {curves[0]['delta']:g}. {test_line(curves[0]['accuracy'], classes)}."
    return f"**What a defence costs**\n\n{defence_grid(curves)}\n\n{line}"


def _every(cells: Cells) -> str:
    rows: Iterable[list[str]] = (
        [cell["observer"], cell["row"], cell["attack"], _plain(cell.get("auc"), 3),
         _share(cell.get("tpr_at_1pct_fpr")), _share(cell.get("tpr_at_0_1pct_fpr")),
         _bits(cell), str(cell["targets"])]
        for cell in cells if cell["attack"].startswith(("membership", "canary"))
    )  # fmt: skip
    head = ("observer", "protocol", "attack", "AUC", "found at 1 % false", "at 0.1 %",
            "exposure, bits", "targets")  # fmt: skip
    return grid(head, rows)
