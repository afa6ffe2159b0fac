"""RunRecord: config, provenance, rounds, ledger, results and status of one run.

Every key, by kind of record: docs/record.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fedseed.errors import OutputError
from fedseed.files import write_text
from fedseed.results.upgrade import upgraded

SCHEMA = 2
Status = Literal["completed", "interrupted", "failed"]


@dataclass
class RunRecord:
    """What ``record.json`` holds. Other programs read it: the schema number counts up."""

    kind: str
    """``federated``, ``original``, ``benchmark``, or the kind of a study."""
    config: dict[str, Any]
    """The command's options by name."""
    provenance: dict[str, Any]
    status: Status = "interrupted"
    """``interrupted`` until the run has ended one way or the other."""
    rounds: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Why the run failed."""
    protocol: Mapping[str, Any] | None = None
    """Of a federated run: :meth:`fedseed.protocols.description.Protocol.to_record`."""
    protocols: Mapping[str, Mapping[str, Any]] | None = None
    """Of a study that runs several: the same, by the protocol's name."""
    task: str | None = None
    """Of a study that learns a task: what it is called, by its data."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        record: dict[str, Any] = {
            "schema": SCHEMA, "kind": self.kind, "status": self.status, "config": self.config,
            "provenance": self.provenance, "rounds": self.rounds, "ledger": self.ledger,
            "results": self.results,
        }  # fmt: skip
        optional = {
            "task": self.task, "protocol": self.protocol, "protocols": self.protocols,
            "error": self.error,
        }  # fmt: skip
        return record | {name: value for name, value in optional.items() if value is not None}

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return to_json(self.to_dict())

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        write_text(path, self.to_json())


def to_json(record: Mapping[str, Any]) -> str:
    """A record as the text of its file."""
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def read_record(path: Path) -> dict[str, Any]:
    """Read a record.json; one of an older schema is brought to this one in memory.

    Raises:
        OutputError: the file cannot be read, is no record, or is of a newer schema.
    """
    return upgraded(read_as_written(path))


def read_as_written(path: Path) -> dict[str, Any]:
    """Read a record.json with the schema that it has.

    Raises:
        OutputError: as :func:`read_record`.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{path} is not a record: {error}") from error
    schema = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise OutputError(f"{path} is not a record: it has no schema")
    if schema > SCHEMA:
        raise OutputError(
            f"{path} is a record of schema {schema}, this fedseed reads up to {SCHEMA}: "
            "install a newer one"
        )
    checked: dict[str, Any] = record
    return checked
