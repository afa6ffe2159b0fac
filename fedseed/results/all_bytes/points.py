"""What each record says of accuracy for bytes, and a record of all of it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedseed.data.digests import file_digest
from fedseed.errors import OutputError
from fedseed.results.folder import RECORD
from fedseed.results.provenance import code
from fedseed.results.record import RunRecord, read_record
from fedseed.results.style import row_styles

KIND = "bytes"
_SEED, _PROTOCOL = "seed", "protocol"
_FAMILIES = ("lexicon", "pca")
"""Kinds of seeds of several sizes."""


def gather(folders: Sequence[str]) -> RunRecord:
    """One record of the points of several.

    A row that an earlier record has at as many tokens is not taken again.

    Args:
        folders: of zero-shot studies and comparisons, or their record.json.

    Raises:
        OutputError: a record cannot be read or has no bytes to show, or they were not tested on as
            many texts of the same classes.
    """
    points: list[dict[str, Any]] = []
    linear: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    baselines: dict[str, Any] = {}
    tasks: set[str] = set()
    for folder in folders:
        path = Path(folder)
        path = path / RECORD if path.is_dir() else path
        record = read_record(path)
        found = _points_of(record, path)
        length = found[0]["max_length"]
        drawn = {(one["row"], one["max_length"]) for one in points}
        points += [one for one in found if (one["row"], one["max_length"]) not in drawn]
        known = {(one["model"], one["bytes"], one["max_length"]) for one in linear}
        linear += [
            {**one, "max_length": length}
            for one in record["results"].get("linear", [])
            if (one["model"], one["bytes"], length) not in known
        ]
        baselines = baselines or record["results"]["baselines"]
        tasks.add(f"{record['task']}, {record['provenance']['dataset']['classes']}")
        sources.append({
            "record": folder, "sha256": file_digest(path), "record_kind": record["kind"],
            "quick": record["config"]["quick"],
        })  # fmt: skip
    _refuse_other_tests(points, tasks)
    results = {"points": points, "linear": linear, "baselines": baselines}
    config = {"records": ",".join(folders), "quick": any(one["quick"] for one in sources)}
    return RunRecord(KIND, config, {**code(), "records": sources}, "completed", results=results)


def _points_of(record: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    known = {"zero_shot": _of_seeds, "comparison": _of_protocols}
    if record.get("kind") not in known or record.get("status") != "completed":
        raise OutputError(f"{path} is not the record of a completed zero-shot study or comparison")
    try:
        found = known[record["kind"]](record)
        _ = record["results"]["baselines"], record["provenance"]["dataset"]["classes"]
        _ = record["task"], record["config"]["quick"]
    except (LookupError, TypeError) as error:
        raise OutputError(
            f"{path} lacks what is drawn ({type(error).__name__}: {error}): run its study again"
        ) from error
    if not found:
        raise OutputError(f"{path} has no accuracies of classifiers")
    return found


def _of_seeds(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Seeds before any training, and the original for its weights."""
    length, points = record["config"]["max_length"] or 128, []
    for cell in record["results"]["cells"]:
        if cell.get("part", "classifier") != "classifier" or cell["test_set"] != "balanced":
            continue
        row = cell["row"]
        family = next((kind for kind in _FAMILIES if row.startswith(kind)), "other")
        if row == "original":
            family = row
        points.append({
            "what": _SEED, "row": row, "family": family, "max_length": length,
            "bytes": cell["bytes"], "accuracy": cell["accuracy"],
        })  # fmt: skip
    return points


def _of_protocols(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What one client sends and receives, on the first partition and undisturbed."""
    cells = record["results"]["cells"]
    styles, first = row_styles(record), cells[0]["partition"]
    weights, points = record["results"]["fp32_model_bytes"], []
    for cell in cells:
        if cell["condition"] is not None or cell["partition"] != first or not cell["rounds"]:
            continue
        sent = cell["payload_bytes"]["per_client"]
        style = styles[cell["row"]]
        points.append({
            "what": _PROTOCOL, "row": cell.get("series", cell["row"]), "family": cell["protocol"],
            "max_length": cell["max_length"], "bytes": round(sent["down"] + sent["up"]),
            "up": round(sent["up"]), "accuracy": cell["accuracy"], "partition": first,
            "colour": style.colour, "marker": style.marker,
            **({"body_bytes": cell["body_bytes"]} if cell.get("body_bytes") else
               {"model_bytes": weights}),
        })  # fmt: skip
    return points


def _refuse_other_tests(points: Sequence[Mapping[str, Any]], tasks: Collection[str]) -> None:
    counts = {tuple(p["accuracy"]["class_counts"]) for p in points
              if p["accuracy"]["n"] == max(q["accuracy"]["n"] for q in points)}  # fmt: skip
    if len(counts) > 1 or len(tasks) > 1:
        raise OutputError("these records were not tested on the same texts: give those of one task")
