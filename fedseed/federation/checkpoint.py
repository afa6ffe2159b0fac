"""Checkpoints: the records of the finished rounds and the server's state after them, in one file.

Both are written together or not at all, so that a run that is killed at any moment has either
finished a round, record and all, or has it still to do.

Layout: 8 bytes ``FSCHECK2``, the length of the records (8 bytes, little endian), the records as
JSON, one byte that is 1 when a state follows, and the state (``ProtocolServer.checkpoint``).
"""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fedseed.errors import OutputError
from fedseed.files import write_bytes

_MAGIC = b"FSCHECK2"
_HEAD = struct.Struct("<8sQ")


@dataclass(frozen=True)
class Checkpoint:
    """What a killed run goes on from."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    """Round objects of record.json, from round 1 on."""
    state: bytes | None = None
    """The server's state after them; None of protocols whose contributions are enough."""

    def encode(self) -> bytes:
        """Return the file's contents."""
        records = json.dumps(self.rounds, allow_nan=False).encode()
        follows = b"\0" if self.state is None else b"\1"
        return b"".join([_HEAD.pack(_MAGIC, len(records)), records, follows, self.state or b""])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the file's contents.

        Raises:
            ValueError: they are no checkpoint.
        """
        if len(data) < _HEAD.size:
            raise ValueError("truncated")
        magic, length = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        if magic != _MAGIC or len(data) <= end:
            raise ValueError("not a checkpoint")
        rounds = json.loads(data[_HEAD.size : end])
        if [entry["round"] for entry in rounds] != list(range(1, len(rounds) + 1)):
            raise ValueError("rounds are missing")
        return cls(rounds, data[end + 1 :] if data[end] else None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; a run that has none has finished no round.

        Raises:
            OutputError: the file cannot be read or is no checkpoint.
        """
        try:
            return cls.decode(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(
                f"{path} is damaged or of another version of fedseed: start the run again with a "
                "new --out"
            ) from error

    def write(self, path: Path) -> None:
        """Write a file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_bytes(path, self.encode())
