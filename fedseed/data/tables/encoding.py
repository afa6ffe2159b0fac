"""The encoding of a text file: UTF-8 unless its first bytes or its content say otherwise."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from fedseed.data.tables.containers import TableFile
from fedseed.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 1 << 20
_SAMPLE = 1 << 18
_WESTERN = frozenset({
    "cp1252", "latin_1", "cp1250", "cp1254", "cp1257", "cp1258", "iso8859_15", "iso8859_9",
    "cp850", "cp437", "cp858", "mac_roman", "hp_roman8",
})  # fmt: skip


def find_encoding(file: TableFile, given: str | None, notes: list[str]) -> str:
    """Name of a file's encoding.

    Args:
        file: the file.
        given: the encoding that the user gave, or None.
        notes: what was found is added, unless it is UTF-8.

    Raises:
        DataError: no such encoding, or one that cannot be told.
    """
    if given is not None:
        return _known(given)
    start = file.start(4)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    sample = _bytes_that_are_no_utf8(file)
    if sample is None:
        return "utf-8"
    found = _guess(sample)
    if found is None:
        raise DataError(
            f"{file.name} is not a readable table: not UTF-8 text, and its encoding cannot be "
            "told; give --encoding NAME, such as cp1252"
        )
    notes.append(f"not UTF-8: read as {found}; --encoding NAME says otherwise")
    return found


def _known(name: str) -> str:
    try:
        "".encode(name)  # refuses codecs of bytes as well
        codec = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise DataError(
            f"--encoding {name[:40]!r} is no encoding of text: give utf-8, cp1252, utf-16, ..."
        ) from error
    return "utf-8-sig" if codec == "utf-8" else codec


def _bytes_that_are_no_utf8(file: TableFile) -> bytes | None:
    """A piece around the first byte that is not UTF-8; None when all of it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open() as opened:
        while block := opened.read(_BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                start = max(0, error.start - _SAMPLE // 2)
                return error.object[start : start + _SAMPLE]
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return block or b"\xff"
    return None


def _guess(sample: bytes) -> str | None:
    """What charset-normalizer says; the western code pages, which it cannot tell apart by a
    few accents, are all read as the commonest one, which holds all letters of ISO 8859-1.
    """
    if b"\0" in sample:
        return None
    from charset_normalizer import from_bytes

    matches = from_bytes(sample)
    names = [match.encoding for match in matches]
    best = matches.best()
    if best is None or best.encoding == "utf_8":
        return None
    if _WESTERN & set(names[:4]):
        try:
            sample.decode("cp1252")
            return "cp1252"
        except UnicodeDecodeError:
            pass
    return best.encoding


@contextmanager
def open_text(file: TableFile, encoding: str) -> Iterator[TextIO]:
    """Open a file as text, its line ends as they are.

    Raises:
        DataError: it cannot be read or is not in that encoding.
    """
    with file.open() as opened:
        try:
            yield io.TextIOWrapper(opened, encoding=encoding, newline="")
        except (UnicodeDecodeError, UnicodeError) as error:
            raise DataError(
                f"{file.name} is not {encoding} text throughout: give --encoding NAME"
            ) from error
