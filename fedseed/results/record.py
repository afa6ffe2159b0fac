"""RunRecord: config, provenance, rounds, ledger, results and status of one run."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fedseed.errors import OutputError
from fedseed.files import write_text

SCHEMA = 1
Kind = Literal[
    "federated", "original", "ablation", "zero_shot", "budget", "comparison", "privacy",
    "benchmark",
]  # fmt: skip
Status = Literal["completed", "interrupted", "failed"]


@dataclass
class RunRecord:
    """What ``record.json`` holds. Other programs read it: the schema number counts up."""

    kind: Kind
    config: dict[str, Any]
    provenance: dict[str, Any]
    status: Status = "interrupted"
    """``interrupted`` until the run has ended one way or the other."""
    rounds: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Why the run failed."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        record: dict[str, Any] = {
            "schema": SCHEMA, "kind": self.kind, "status": self.status, "config": self.config,
            "provenance": self.provenance, "rounds": self.rounds, "ledger": self.ledger,
            "results": self.results,
        }  # fmt: skip
        if self.error is not None:
            record["error"] = self.error
        return record

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        write_text(path, self.to_json())


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.json.

    Raises:
        OutputError: the file cannot be read or is no record of this schema.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{path} is not a record: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise OutputError(f"{path} is not a record of schema {SCHEMA}")
    return record
