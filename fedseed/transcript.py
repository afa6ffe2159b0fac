"""Transcript: everything that crossed the wire, in order.

The byte ledger and every attack read a transcript and nothing else.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fedseed.errors import OutputError
from fedseed.files import write_text

TRAIN, EVALUATE = "train", "evaluate"
ADVERTISE, SHARE, REVEAL = "train.advertise", "train.share", "train.reveal"
"""What a round has beside :data:`TRAIN` under secure aggregation."""
KEPT_BYTES = 1 << 16
"""Larger payloads (weights) are in the file by length and sha256 only."""


@dataclass(frozen=True)
class Exchange:
    """One message to a client and what came of it."""

    phase: str
    """``train``, ``evaluate``, or a stage of secure aggregation; as Flower's message type."""
    group: str
    """The round's number, or the name of the product that is evaluated."""
    partition_id: int
    status: str
    """``ok``, ``dropped`` (lost on purpose), ``timeout`` or ``failed`` (the client raised)."""
    down: bytes
    """Payload of the message to the client."""
    down_message_bytes: int
    """Length of that message as serialised for Flower."""
    up: bytes = b""
    """Payload of the reply; empty without one."""
    up_message_bytes: int = 0
    """Length of the reply as serialised; 0 without one."""
    reason: str = ""
    """Why there is no reply."""
    left_out: tuple[tuple[str, int, str], ...] = ()
    """``down`` or ``up``, length and sha256 of the payloads that were too large to keep."""

    @property
    def trains(self) -> bool:
        """Whether it is of a round of training; else of a test."""
        return self.phase.partition(".")[0] == TRAIN

    @property
    def payload_bytes(self) -> dict[str, int]:
        """Lengths of both payloads as they travelled."""
        lengths = {"down": len(self.down), "up": len(self.up)}
        return lengths | {name: length for name, length, _ in self.left_out}

    @functools.cached_property
    def shrunk(self) -> "Exchange":
        """The same exchange without payloads that are too large to keep."""
        large = {n: p for n, p in (("down", self.down), ("up", self.up)) if len(p) > KEPT_BYTES}
        if not large:
            return self
        sums = [
            (n, len(p), _digest_down(p) if n == "down" else _digest(p)) for n, p in large.items()
        ]
        return replace(
            self,
            down=b"" if "down" in large else self.down,
            up=b"" if "up" in large else self.up,
            left_out=(*self.left_out, *sums),
        )

    def to_line(self) -> str:
        """Return one line of JSON, without payloads that are too large to keep."""
        kept = self.shrunk
        left_out = {name: {"bytes": size, "sha256": sha} for name, size, sha in kept.left_out}
        return json.dumps(
            {
                "phase": kept.phase, "group": kept.group, "partition_id": kept.partition_id,
                "status": kept.status, "down": base64.b64encode(kept.down).decode(),
                "down_message_bytes": kept.down_message_bytes,
                "up": base64.b64encode(kept.up).decode(),
                "up_message_bytes": kept.up_message_bytes, "reason": kept.reason,
                **({"left_out": left_out} if left_out else {}),
            }
        )  # fmt: skip

    @classmethod
    def from_line(cls, line: str) -> "Exchange":
        """Read one line of JSON; raises ValueError, KeyError or TypeError when malformed."""
        values = json.loads(line)
        values["down"] = base64.b64decode(values["down"], validate=True)
        values["up"] = base64.b64decode(values["up"], validate=True)
        left_out = dict(values.pop("left_out", {}))
        sums = tuple((name, int(x["bytes"]), str(x["sha256"])) for name, x in left_out.items())
        return cls(**values, left_out=sums)


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


_digest_down = functools.lru_cache(maxsize=1)(_digest)
"""A server sends all clients of a round the same large payload."""


class Transcript:
    """Exchanges in the order in which they ended, kept in a file when given one."""

    def __init__(self, path: Path | None = None, keep_all: bool = False) -> None:
        """Open a transcript, with the exchanges of an interrupted run if the file has any.

        Args:
            path: a file of one JSON line an exchange. A last line that a kill cut off is
                dropped.
            keep_all: keep large payloads in memory to the end, for attacks that read them.

        Raises:
            OutputError: the file cannot be read, or is damaged before its last line.
        """
        self._exchanges: list[Exchange] = []
        self._path = path
        self._keeps_all = keep_all
        if path is None or not path.exists():
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(f"cannot read {path}: {error}") from error
        whole = [line for line in lines if line.endswith("\n")]
        try:
            self._exchanges = [Exchange.from_line(line) for line in whole]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(f"{path} is damaged: start the run again with a new --out") from error
        if len(whole) < len(lines):
            self._rewrite()

    def _rewrite(self) -> None:
        if self._path is not None:
            write_text(self._path, "".join(e.to_line() + "\n" for e in self._exchanges))

    def drop(self, unwanted: Callable[[Exchange], bool]) -> None:
        """Drop exchanges, from the file too.

        Raises:
            OutputError: the file cannot be written.
        """
        kept = [exchange for exchange in self._exchanges if not unwanted(exchange)]
        if len(kept) < len(self._exchanges):
            self._exchanges = kept
            self._rewrite()

    def shrink(self) -> None:
        """Let go of payloads that are too large to keep: nobody needs them any more."""
        if not self._keeps_all:
            self._exchanges = [e.shrunk for e in self._exchanges]

    def add(self, exchange: Exchange) -> None:
        """Append an exchange, to the file at once.

        Raises:
            OutputError: the file cannot be written.
        """
        if self._path is not None:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(exchange.to_line() + "\n")
            except OSError as error:
                raise OutputError(
                    f"cannot write {self._path}: {error.strerror}; make room, then --resume"
                ) from error
        self._exchanges.append(exchange)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    def of(self, phase: str, group: str) -> dict[int, Exchange]:
        """The exchanges of one round or product, by partition."""
        exchanges = [e for e in self._exchanges if (e.phase, e.group) == (phase, group)]
        return {e.partition_id: e for e in sorted(exchanges, key=lambda e: e.partition_id)}

    def groups(self, phase: str) -> list[str]:
        """Rounds or products of a phase, in order of their first exchange."""
        return list(dict.fromkeys(e.group for e in self._exchanges if e.phase == phase))
