"""Bytes of a table, whatever they are packed in: plain, gzip, zip, xz, bzip2 or zstd."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from fedseed.errors import DataError, first_line

PACKED = (".gz", ".zip", ".xz", ".bz2", ".zst", ".zstd")
"""Endings of packed files."""
_MAGIC = {
    b"\x1f\x8b": ".gz", b"PK\x03\x04": ".zip", b"PK\x05\x06": ".zip", b"\xfd7zXZ\x00": ".xz",
    b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst",
}  # fmt: skip
_UNPACKING = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
              NotImplementedError, RuntimeError)  # fmt: skip
"""What the libraries raise for damaged, truncated, encrypted or unknown contents."""


@dataclass(frozen=True)
class TableFile:
    """A file, local or of the hub, and how to open what it holds."""

    path: str
    """A path, or an address that fsspec knows."""

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePath(self.path).name

    @property
    def ending(self) -> str:
        """The table's ending in lower case, without that of the packing."""
        path = PurePath(self.name.lower())
        if path.suffix in PACKED:
            path = PurePath(path.stem)
        return path.suffix

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the unpacked contents.

        Raises:
            DataError: the file cannot be read, or its packing is damaged or holds several files.
        """
        try:
            with self._raw() as raw, _unpacked(raw, self.name) as unpacked:
                yield unpacked
        except _UNPACKING as error:
            reason = getattr(error, "strerror", None) or first_line(error, 120)
            raise DataError(
                f"{self.name} is not a readable table ({reason}): make the file again"
            ) from error

    def packed(self) -> bool:
        """Whether the file is packed.

        Raises:
            DataError: it cannot be read.
        """
        try:
            with self._raw() as raw:
                return _packing(raw) is not None
        except OSError as error:
            raise DataError(f"{self.name} cannot be read ({error.strerror})") from error

    def start(self, most: int = 65_536) -> bytes:
        """The first unpacked bytes.

        Raises:
            DataError: as :meth:`open`.
        """
        with self.open() as file:
            return file.read(most)

    def _raw(self) -> IO[bytes]:
        if "://" not in self.path:
            return Path(self.path).open("rb")
        import fsspec

        opened: IO[bytes] = fsspec.open(self.path, "rb").open()
        return opened


def _packing(raw: IO[bytes]) -> str | None:
    """The ending that belongs to a file's first bytes; None if it is not packed."""
    start = raw.read(8)
    raw.seek(0)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


@contextmanager
def _unpacked(raw: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """What a file holds, told by its first bytes and not by its name."""
    kind = _packing(raw)
    if kind is None and PurePath(name.lower()).suffix in PACKED and raw.read(1):
        raise DataError(
            f"{name} is not a readable table: it is not packed as its name says; rename it"
        )
    if kind == ".zip":
        with zipfile.ZipFile(raw) as archive, archive.open(_only_member(archive, name)) as file:
            yield file
        return
    opened: Any = raw
    if kind == ".zst":
        import pyarrow

        opened = io.BufferedReader(pyarrow.CompressedInputStream(raw, "zstd"))
    elif kind is not None:
        openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
        opened = openers[kind](raw)
    yield opened


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The one file of an archive.

    Raises:
        DataError: it holds none or several, or is a workbook.
    """
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not member.filename.startswith("__MACOSX/")
        and not PurePath(member.filename).name.startswith(".")
    ]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise DataError(f"{name} is a workbook: save its sheet as CSV in UTF-8")
    if not members:
        raise DataError(f"{name} holds no file: make it again, or give --data the table")
    if len(members) != 1:
        raise DataError(f"{name} holds {len(members)} files: unpack it, and give --data a table "
                        "or the folder")  # fmt: skip
    if members[0].flag_bits & 1:
        raise DataError(f"{name} is encrypted: unpack it first")
    return members[0]
