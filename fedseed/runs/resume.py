"""Where a run begins and goes on: its folder, with the options in it from the first moment on.

A run's options stand in ``options.json`` before anything else happens, so that ``--resume
FOLDER`` knows them however early the run was killed. They are removed when its record, which has
them too, is complete. What has been computed by then is another matter: of a federated run its
:class:`~fedseed.federation.history.History`, of a study its finished cells.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedseed.errors import OutputError
from fedseed.files import write_text
from fedseed.options import Options
from fedseed.results.folder import (
    CELLS,
    CHECKPOINT,
    OPTIONS,
    RECORD,
    STATE,
    TRANSCRIPT,
    is_begun,
    locked,
    refuse_a_run,
)
from fedseed.results.record import SCHEMA, read_as_written

_PART = re.compile(r"\..+\.\d+\.part")
"""Name of a file that was being written, see :mod:`fedseed.files`."""


@dataclass(frozen=True)
class Begun:
    """A run that can begin or go on in its folder."""

    options: dict[str, Any]
    """Values of its options by name, as they were given."""
    record: dict[str, Any] | None = None
    """The record of an earlier attempt; None when nothing was saved yet."""


def goes_on(path: Path, given: Mapping[str, Any], options: type[Options]) -> bool:
    """Whether ``--resume`` takes up a run, rather than begin the one whose options are given."""
    return is_begun(path) or not set(given) - options.execution


@contextlib.contextmanager
def run_folder(
    path: Path, kind: str, given: Mapping[str, Any], options: type[Options], resume: bool
) -> Iterator[Begun]:
    """Begin a run in a new folder, or take one up; the folder is locked while the block runs.

    A new run whose block raises before it has saved anything leaves nothing behind, unless it
    was interrupted: then ``--resume`` starts it again.

    Args:
        path: the folder.
        kind: of the run, as its record has it.
        given: values of options, by name.
        options: which options runs of this kind have.
        resume: whether a run in the folder is to go on.

    Raises:
        ConfigError: the options are impossible.
        OutputError: the folder cannot be written, holds another run, or is being written.
    """
    if resume and goes_on(path, given, options):
        find_run(path, kind, given, options)
        with locked(path):  # another run may have finished it meanwhile
            begun = find_run(path, kind, given, options)
            _sweep(path)
            yield begun
            (path / OPTIONS).unlink(missing_ok=True)
        return
    options.parse(given)
    with _new_folder(path, kind, given):
        yield Begun(dict(given))
        (path / OPTIONS).unlink(missing_ok=True)


@contextlib.contextmanager
def _new_folder(path: Path, kind: str, given: Mapping[str, Any]) -> Iterator[None]:
    text = json.dumps({"kind": kind, "options": dict(given)}, indent=1) + "\n"
    missing: list[Path] = []
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        if missing:
            _make_with(path, text)
        with locked(path):
            refuse_a_run(path)
            write_text(path / OPTIONS, text)
            try:
                yield
            except Exception:
                if not (path / RECORD).exists() and not (path / TRANSCRIPT).exists():
                    (path / OPTIONS).unlink(missing_ok=True)
                raise
    except Exception:
        with contextlib.suppress(OSError):  # one is not empty: something is there to be kept
            for folder in missing:
                folder.rmdir()
        raise


def _make_with(path: Path, text: str) -> None:
    """Make a folder that has its options from its first moment on."""
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        (temporary / OPTIONS).write_text(text, encoding="utf-8")
        temporary.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            (temporary / OPTIONS).unlink(missing_ok=True)
            temporary.rmdir()
        raise OutputError(f"cannot write --out {path}: {error.strerror}") from error


def find_run(path: Path, kind: str, given: Mapping[str, Any], options: type[Options]) -> Begun:
    """The run of some kind that is to go on in a folder.

    Args:
        path: the folder.
        kind: of the run.
        given: values of options that the user repeats; those of execution may change.
        options: which options runs of this kind have.

    Raises:
        OutputError: there is no run in the folder, it is finished, or it has other options.
    """
    if not is_begun(path):
        raise OutputError(
            f"--resume {path}: there is no {RECORD}: give the --out of a run, or the options of "
            "a new one"
        )
    record = _interrupted(path, kind)
    if (path / OPTIONS).is_file():
        values = _read_options(path, kind)
    else:
        assert record is not None
        values = {n: value for n, value in record["config"].items() if n != "given_recipe"}
    _refuse_other_options(path, values, given, options)
    changed = {name: value for name, value in given.items() if name in options.execution}
    return Begun(values | changed, record)


def _interrupted(path: Path, kind: str) -> dict[str, Any] | None:
    """The record of a run that can go on; None when there is none that can be used."""
    begun = (path / OPTIONS).is_file()
    if begun and not (path / RECORD).is_file():
        return None
    try:
        record = read_as_written(path / RECORD)
    except OutputError:
        if begun:  # transcript and checkpoint have all that counts
            return None
        raise
    if not _is_whole(record) or record.get("kind") != kind:
        raise OutputError(f"--resume {path}: its {RECORD} is not that of a run of kind {kind}")
    if record["status"] == "completed":
        for name in (OPTIONS, CHECKPOINT, CELLS):  # it was killed before it could do so itself
            (path / name).unlink(missing_ok=True)
        raise OutputError(f"--resume {path}: that run is complete; nothing is left to do")
    if record["schema"] != SCHEMA:
        raise OutputError(
            f"--resume {path}: an older version of fedseed began that run: start it again"
        )
    return record


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has what taking a run up needs."""
    if not all(isinstance(record.get(name), dict) for name in ("config", "provenance")):
        return False
    machine = record["provenance"].get("machine")
    return (
        "status" in record
        and isinstance(machine, dict)
        and {"engine", "precision", "device"} <= machine.keys()
    )


def _read_options(path: Path, kind: str) -> dict[str, Any]:
    try:
        begun = json.loads((path / OPTIONS).read_text(encoding="utf-8"))
        values = dict(begun["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"--resume {path}: its {OPTIONS} cannot be read: start the run again"
        ) from error
    if begun.get("kind") != kind:
        raise OutputError(f"--resume {path}: a run of kind {begun.get('kind')} began there")
    return values


def _refuse_other_options(
    path: Path, values: Mapping[str, Any], given: Mapping[str, Any], options: type[Options]
) -> None:
    """Refuse options beside ``--resume`` that are not the run's; absent ones are taken from it."""
    asked = {name: value for name, value in given.items() if name not in options.execution}
    before = _flat(options.parse(values).with_quick().for_record())
    now = _flat(options.parse({**values, **asked}).with_quick().for_record())
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    others = [
        f"--{name.replace('_', '-')} {before.get(name)}, not {now.get(name)}"
        for name in sorted(changed & asked.keys() or changed)  # others may follow from these
    ]
    if others:
        raise OutputError(
            f"--resume {path}: the run has {', '.join(others)}: leave out what differs, or start "
            "another run with --out"
        )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name, those of groups too."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _sweep(path: Path) -> None:
    """Remove what a kill left of files that were being written."""
    for part in (*path.glob(".*.part"), *(path / STATE).glob("*/.*.part")):
        if _PART.fullmatch(part.name):
            part.unlink(missing_ok=True)
