"""What a node remembers over its restarts, in a folder of its own.

``counters.json`` has what was answered, and is written before an answer leaves: it is never taken
back. ``answers/`` has the answers themselves where none is given but once. ``*.bin`` have what the
protocol's client keeps between rounds, which a run that is taken up again may need as it was a
round ago. ``runs/`` says which study each of Flower's runs belongs to, and ``spent.json`` what all
studies together may spend.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from fedseed.errors import OutputError, WireError
from fedseed.federation.kept_answers import Counters
from fedseed.federation.kept_states import KeptStates
from fedseed.files import make_folder, read_json, write_text

_STUDY = re.compile(r"[0-9a-f]{32}")
_RUNS, _SPENT, _LOCK = "runs", "spent.json", "lock"
_MOST_STUDIES = 10_000


def refuse_no_study(study: str) -> str:
    """A study's name, if it is one.

    Raises:
        WireError: it is none: names become folders.
    """
    if not _STUDY.fullmatch(study):
        raise WireError("a study's name has 32 hexadecimal digits")
    return study


class NodeState:
    """A node's folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when something is first kept there."""
        self._folder = folder

    def join(self, run_id: int, terms: dict[str, Any], node: dict[str, Any]) -> None:
        """Remember the terms of one of Flower's runs.

        Args:
            run_id: Flower's.
            terms: those of the study.
            node: what else has to stay as it is: the node's number, and a digest of the options.

        Raises:
            WireError: its study began under other terms or options, there are too many studies, or
                the folder is another node's.
            OutputError: the folder cannot be written.
        """
        study = refuse_no_study(str(terms["study"]))
        began = self._read(f"{study}/node.json")
        if began is not None and began["partition"] != node["partition"]:
            raise WireError(
                f"its state is that of node {began['partition']}: give each a folder of its own"
            )
        if began not in (None, node):
            raise WireError("this study began with other options: begin a new one")
        known = self._read(f"{study}/terms.json")
        if known not in (None, terms):
            raise WireError("this study began under other terms: begin a new one")
        if known is None and sum(1 for _ in self._folder.glob("*/terms.json")) >= _MOST_STUDIES:
            raise WireError(f"this node took part in {_MOST_STUDIES:,} studies: empty its state")
        self._write(f"{study}/node.json", node)
        self._write(f"{study}/terms.json", terms)
        self._write(f"{_RUNS}/{run_id}.json", study)

    def terms(self, run_id: int) -> dict[str, Any] | None:
        """The terms of one of Flower's runs; None before any were agreed."""
        study = self._read(f"{_RUNS}/{run_id}.json")
        terms: dict[str, Any] | None = None if study is None else self._read(f"{study}/terms.json")
        return terms

    def options(self, study: str) -> str:
        """The digest of the options that a study began with."""
        return str(self._read(f"{study}/node.json")["options"])

    @contextlib.contextmanager
    def alone(self, study: str = "") -> Iterator[None]:
        """Let no other process of the node work on a study, or on all of them, while this does.

        Two messages may come at the same time, and one answer must know of the other.

        Args:
            study: which; what studies have in common when empty.

        Raises:
            OutputError: the folder cannot be written.
        """
        folder = self._folder / study
        make_folder(folder)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise OutputError(f"cannot lock the node's state {folder}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def states(self, study: str) -> KeptStates:
        """What the protocol's client keeps between rounds."""
        return KeptStates(self._folder / study)

    def counters(self, study: str) -> Counters:
        """What was answered."""
        return Counters(self._folder / study)

    def spend(self, study: str, epsilon: float, most: float | None) -> None:
        """Note what a study may spend, once, before its first answer.

        Args:
            study: which.
            epsilon: its whole budget.
            most: of all studies together; None without a limit.

        Raises:
            WireError: it is more than is left, or another than when the study began.
        """
        with self.alone():
            self._spend(study, epsilon, most)

    def _spend(self, study: str, epsilon: float, most: float | None) -> None:
        spent = self._read(_SPENT) or {}
        if spent.get(study, epsilon) != epsilon:
            raise WireError(f"this study began with epsilon {spent[study]:g}, not {epsilon:g}")
        others = sum(value for name, value in spent.items() if name != study)
        if most is not None and others + epsilon > most:
            raise WireError(
                f"epsilon {epsilon:g} is asked for, of {most:g} in all {others:g} are spent"
            )
        if spent.get(study) != epsilon:
            self._write(_SPENT, spent | {study: epsilon})

    def _read(self, name: str) -> Any:
        path = self._folder / name
        return read_json(path, f"the node's state {path}", OutputError) if path.exists() else None

    def _write(self, name: str, value: object) -> None:
        path = self._folder / name
        make_folder(path.parent)
        write_text(path, json.dumps(value))
