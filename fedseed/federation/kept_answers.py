"""A node's counters on disk, and with them the answers that it gives but once.

A run whose server died asks its last questions again. Whoever counted the answer, for a privacy
budget or a sum, must not make another; the same bytes once more tell nothing that was not told.
Counters and the list of answers stand in one file that is whole at any moment: a node that dies
has either answered and counted, or neither.
"""

import hashlib
import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from fedseed.errors import OutputError
from fedseed.federation.kept_states import AFTER_ALL
from fedseed.files import make_folder, read_json, write_bytes, write_text

_COUNTERS, _ANSWERS, _ANSWER = "counters.json", "answers", "answer "
_MOST_OF_TESTS = 400
_DIGEST = 32


class Counters(MutableMapping[str, bytes]):
    """Values by name, of which :meth:`commit` writes all at once."""

    def __init__(self, folder: Path) -> None:
        """Read a study's counters.

        Args:
            folder: of the study; it is made when something is first kept.

        Raises:
            OutputError: they cannot be read.
        """
        self._path, self._folder = folder / _COUNTERS, folder / _ANSWERS
        self._values: dict[str, str] = {}
        if self._path.exists():
            self._values = read_json(self._path, "the node's counters", OutputError)
        self._before = dict(self._values)

    def commit(self) -> None:
        """Write what has changed.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self._values != self._before:
            make_folder(self._path.parent)
            write_text(self._path, json.dumps(self._values))
            self._before = dict(self._values)

    def answer_to(self, kind: str, group: str, question: bytes) -> bytes | None:
        """What was answered to exactly this question; None when nothing was.

        Args:
            kind: the message's type.
            group: the round's number, or what is tested.
            question: the payload.

        Raises:
            OutputError: the answer cannot be read, or is not what was written.
        """
        entry = bytes.fromhex(self._values.get(_name(kind, group), ""))
        if entry[8 : 8 + _DIGEST] != _digest(question):
            return None
        path = self._file(entry)
        try:
            answer = path.read_bytes()
        except OSError as error:
            raise OutputError(f"cannot read the node's state {path}: {error.strerror}") from error
        if _digest(answer) != entry[8 + _DIGEST :]:
            raise OutputError(f"the node's state {path} is damaged: begin a new study")
        return answer

    def keep(self, kind: str, group: str, place: int, question: bytes, answer: bytes) -> None:
        """Keep an answer, and commit. Those of earlier rounds go: their rounds are finished.

        Args:
            kind: the message's type.
            group: the round's number, or what is tested.
            place: of the message in the run's order; see ``place_of``.
            question: the payload.
            answer: what is about to leave.

        Raises:
            OutputError: the folder cannot be written.
        """
        entry = place.to_bytes(8, "big") + _digest(question) + _digest(answer)
        make_folder(self._folder)
        write_bytes(self._file(entry), answer)
        self._values[_name(kind, group)] = entry.hex()
        self._drop_older(place)
        self.commit()
        used = {self._file(bytes.fromhex(one)) for _, one in self._entries()}
        for path in self._folder.glob("*.bin"):
            if path not in used:
                path.unlink(missing_ok=True)

    def forget(self, kind: str, group: str) -> None:
        """Forget what a round or test was answered, so that it can begin anew."""
        for name in [n for n, _ in self._entries() if n.startswith(_prefix(kind, group))]:
            del self._values[name]

    def _drop_older(self, place: int) -> None:
        entries = [(name, _place_in(bytes.fromhex(entry))) for name, entry in self._entries()]
        tests = [name for name, at in entries if at == AFTER_ALL]
        past = [name for name, at in entries if at < place < AFTER_ALL]
        for name in past + tests[:-_MOST_OF_TESTS]:
            del self._values[name]

    def _entries(self) -> list[tuple[str, str]]:
        return [(n, value) for n, value in self._values.items() if n.startswith(_ANSWER)]

    def _file(self, entry: bytes) -> Path:
        return self._folder / f"{entry[8 + _DIGEST :].hex()}.bin"

    def __getitem__(self, name: str) -> bytes:
        return bytes.fromhex(self._values[name])

    def __setitem__(self, name: str, value: bytes) -> None:
        self._values[name] = value.hex()

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _place_in(entry: bytes) -> int:
    return int.from_bytes(entry[:8], "big")


def _prefix(kind: str, group: str) -> str:
    """What all answers of a round or test have in their names; groups may be long."""
    main = kind.partition(".")[0]
    return f"{_ANSWER}{_digest(json.dumps([main, group]).encode()).hex()[:32]} "


def _name(kind: str, group: str) -> str:
    return _prefix(kind, group) + kind.partition(".")[2]
