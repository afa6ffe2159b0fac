"""Records of schema 1, brought to schema 2 in memory: every key has one meaning there.

One function a kind. What a damaged or unfinished record lacks is passed over; whoever needs it says
so. docs/record.md lists the keys of schema 2.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fedseed.errors import InputError
from fedseed.protocols import find_protocol

Record = dict[str, Any]


def upgraded(record: Record) -> Record:
    """A record of schema 2 as it is, or one of schema 1 in the words of schema 2.

    Args:
        record: as it was read; it is not changed.
    """
    if record["schema"] != 1:
        change = _NEWER.get(str(record.get("kind")))
        return record if change is None else change(record)
    changed = record | {"schema": 2, "provenance": _provenance(record.get("provenance"))}
    upgrade = _UPGRADES.get(str(record.get("kind")))
    if upgrade is None:
        return changed
    results = _renamed(record.get("results"), {"floors": "baselines"})
    return upgrade(changed | {"results": results})


def describe_by_name(name: str) -> dict[str, Any]:
    """A protocol's description; a plain one of a protocol that is not installed."""
    try:
        description: dict[str, Any] = find_protocol(name).to_record()
    except InputError:
        return {
            "name": name, "summary": name, "ends_with": "model", "colour": "dimgray",
            "marker": "o", "travelled": f"{name} travelled", "given": "given",
            "aggregated": "aggregated", "reveals": None,
        }  # fmt: skip
    return description


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    """A mapping with some keys renamed, in its order; anything else as it is."""
    if not isinstance(part, dict):
        return part
    return {names.get(key, key): value for key, value in part.items()}


def _cells(results: Any, change: Callable[[Record], Record], name: str = "cells") -> Any:
    """Results whose cells are changed, each by the same function."""
    if not isinstance(results, dict) or not isinstance(results.get(name), list):
        return results
    return results | {
        name: [change(cell) if isinstance(cell, dict) else cell for cell in results[name]]
    }


def _without(cell: Record, *names: str) -> Record:
    return {key: value for key, value in cell.items() if key not in names}


def _provenance(provenance: Any) -> Any:
    """``kind`` is the record's alone; an original's name is not its accuracy."""
    if not isinstance(provenance, dict):
        return provenance
    seed = _renamed(provenance.get("seed"), {"kind": "seed_kind"})
    changed = provenance if seed is None else provenance | {"seed": seed}
    if isinstance(changed.get("original"), str):
        changed = _renamed(changed, {"original": "original_name"})
    return changed


def _federated(record: Record) -> Record:
    config = record.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("protocol"), str):
        return record
    return record | {"protocol": describe_by_name(config["protocol"])}


def _ablation(record: Record) -> Record:
    names = {"protocol": "test_set", "recipe": "recipe_name", "source": "extracted_from"}
    results = _cells(record["results"], lambda cell: _renamed(cell, names))
    paired = {"recipe": "recipe_name", "seed": "row", "repeats": "number_of_repeats"}
    results = _cells(results, lambda one: _renamed(one, paired), "comparisons")
    return record | {"results": _renamed(results, {"original": "originals"})}


def _zero_shot(record: Record) -> Record:
    names = {
        "seed_kind": "row", "protocol": "test_set", "error": "reconstruction_error",
        "before": "accuracy",
    }  # fmt: skip

    def change(cell: Record) -> Record:
        known = _renamed(_without(cell, "recipe", "after"), names)
        return _without(known, "test_set") if cell.get("part") == "language" else known

    results = _cells(record["results"], change)
    return record | {"results": _renamed(results, {"original": "originals"})}


def _named_accuracy(record: Record) -> Record:
    """A zero-shot study's accuracies were once named as an ablation's before training are."""
    results = _cells(record.get("results"), lambda cell: _renamed(cell, {"before": "accuracy"}))
    return record | {"results": results}


def _named_repeats(record: Record) -> Record:
    names = {"number_of_repeats": "repeats"}
    results = _cells(record.get("results"), lambda cell: _renamed(cell, names))
    return record | {"results": results}


def _budget(record: Record) -> Record:
    constant = ("seed_kind", "recipe", "before", "retention_plain", "retention_chance_corrected")

    def change(cell: Record) -> Record:
        known: Record = _renamed(_without(cell, *constant), {"protocol": "test_set"})
        return known

    return record | {"results": _cells(record["results"], change)}


def _comparison(record: Record) -> Record:
    names = {"protocol": "row", "kind": "protocol", "words": "description"}
    bounds = {"local": None, "central": None}

    def change(cell: Record) -> Record:
        known: Record = _renamed(cell, names)
        protocol = known.get("protocol")
        return known | {"protocol": bounds.get(str(protocol), protocol)}

    return _with_protocols(record | {"results": _cells(record["results"], change)})


def _privacy(record: Record) -> Record:
    names = {
        "scenario": "observer", "protocol": "row", "condition": "setting",
        "payload_bytes": "bytes_read", "span": "gradient_inversion",
    }  # fmt: skip
    inner = {"tokens": "token_share", "sentences": "text_share"}

    def change(cell: Record) -> Record:
        known: Record = _renamed(cell, names)
        if "gradient_inversion" in known:
            known["gradient_inversion"] = _renamed(known["gradient_inversion"], inner)
        # A row was named after its protocol, with a dash and its codec behind it.
        return known | {"protocol": str(cell.get("protocol")).partition("-")[0]}

    results = _cells(record["results"], change)
    changed = _with_protocols(record | {"results": _cells(results, change, "defences")})
    return _budgeted(changed)


def _budgeted(record: Record) -> Record:
    """Accuracy under a budget once stood beside the cells, as ``defences``."""
    results, config = record.get("results"), record.get("config") or {}
    if not isinstance(results, dict) or "defences" not in results:
        return record
    shared = {
        "unit": "example", "secure_aggregation": False, "mechanism": None,
        "clients": config.get("clients"), "model": config.get("model"),
        "max_length": config.get("max_length") or 64, "payload_bytes": None,
    }  # fmt: skip

    def audited(cell: Record) -> Record:
        return shared | {"accuracy": None} | cell if "epsilon_claimed" in cell else cell

    def moved(curve: Record) -> Record:
        asked = curve.get("epsilon")
        words = "no differential privacy" if asked is None else f"epsilon {asked:g}"
        return {
            "observer": "server", "row": curve.get("row"), "protocol": curve.get("protocol"),
            "setting": words, **shared, "unit": curve.get("protects"), "attack": "not audited",
            "targets": 0, "epsilon_claimed": curve.get("epsilon_spent", asked),
            "epsilon_lower_bound": None, "delta": curve.get("delta"),
            "accuracy": curve.get("accuracy"),
        }  # fmt: skip

    results = _cells(_cells(results, audited), moved, "defences")
    lists = [results.get(name) for name in ("cells", "defences")]
    cells = [cell for some in lists if isinstance(some, list) for cell in some]
    return record | {"results": _without(results, "defences") | {"cells": cells}}


def _with_protocols(record: Record) -> Record:
    """A study's record with the description of every protocol that its cells name."""
    results = record["results"] if isinstance(record["results"], dict) else {}
    lists = [results.get(name) for name in ("cells", "defences")]
    cells = [cell for some in lists if isinstance(some, list) for cell in some]
    names = dict.fromkeys(cell.get("protocol") for cell in cells if isinstance(cell, dict))
    protocols = {name: describe_by_name(name) for name in names if isinstance(name, str)}
    return record | {"protocols": protocols}


_UPGRADES: Mapping[str, Callable[[Record], Record]] = {
    "federated": _federated, "ablation": _ablation, "zero_shot": _zero_shot, "budget": _budget,
    "comparison": _comparison, "privacy": _privacy,
}  # fmt: skip
_NEWER: Mapping[str, Callable[[Record], Record]] = {
    "zero_shot": _named_accuracy, "comparison": _named_repeats, "privacy": _budgeted,
}  # fmt: skip
"""Of records of schema 2 from before it was released."""
