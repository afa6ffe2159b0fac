"""The encoding of a text file: UTF-8 unless its first bytes or its content say otherwise."""

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from fedseed.data.tables.code_pages import latin_page
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
_BEGINNING = 4096
_STRAY = re.compile("[\udc80-\udcff]")
"""What bytes that are not UTF-8 become under ``surrogateescape``."""


def find_encoding(file: TableFile, given: str | None, notes: list[str]) -> str:
    """Name of a file's encoding.

    Args:
        file: the file.
        given: the encoding that the user gave, or None.
        notes: what was found is added, unless it is UTF-8.

    Raises:
        DataError: no such encoding, or one that cannot be told.
    """
    start = file.start(_BEGINNING)
    mark = marked(start)
    if given is not None:
        return _given(file.name, _known(given), start, mark)
    if mark is not None:
        return mark
    if start.count(0) > len(start) // 10:
        raise DataError(f"{file.name} is not a readable table: it holds NUL bytes; "
                        f"{_without_mark(start)}")  # fmt: skip
    sample = _bytes_that_are_no_utf8(file)
    if sample is None:
        return "utf-8"
    _refuse_mixed(file)
    found = _guess(sample)
    if found is None:
        raise DataError(
            f"{file.name} is not a readable table: not UTF-8 text, and its encoding cannot be "
            "told; give --encoding NAME, such as cp1252 or utf-16-le"
        )
    notes.append(f"not UTF-8: read as {found}; --encoding NAME says otherwise")
    return found


def marked(start: bytes) -> str | None:
    """The encoding that a file's byte order mark names; None without one."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def letters_of(start: bytes) -> str:
    """A file's first bytes as text, without a byte order mark and blank space before it."""
    return start.decode(marked(start) or "utf-8", "replace").lstrip("\0 \t\r\n")


def _known(name: str) -> str:
    try:
        "".encode(name)  # refuses codecs of bytes as well
        codec = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise DataError(
            f"--encoding {name[:40]!r} is no encoding of text: give utf-8, cp1252, utf-16, ..."
        ) from error
    return "utf-8-sig" if codec == "utf-8" else codec


def _given(name: str, codec: str, start: bytes, mark: str | None) -> str:
    """The encoding that the user gave, where it says in which order the bytes are.

    Raises:
        DataError: it does not, and neither does the file.
    """
    if codec in ("utf-16", "utf-32") and mark != codec:
        raise DataError(f"{name} has no byte order mark; {_without_mark(start)}")
    return mark if mark is not None and codec.startswith(f"{mark}-") else codec


def _without_mark(start: bytes) -> str:
    """What to do about a file that seems to be UTF-16 or UTF-32 without a byte order mark."""
    start = start[: len(start) // 4 * 4]
    plain = {}
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        text = start.decode(name, "replace")
        plain[name] = sum("\0" < letter < "\x7f" for letter in text) / max(1, len(text))
    best = max(plain, key=lambda name: plain[name])
    if plain[best] < 0.1:
        return "save it as CSV in UTF-8, or give --encoding utf-16-le or utf-16-be if it is that"
    return f"it seems to be {best}: give --encoding {best}, or save it as UTF-8"


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


def _refuse_mixed(file: TableFile) -> None:
    """Raise a DataError for a file of UTF-8 text with some bytes that are not.

    Letters of other encodings are seldom UTF-8 by chance: two in seven are among Chinese texts.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good, bad, line, where = 0, 0, 1, 0
    with file.open() as opened:
        while block := opened.read(_BLOCK):
            text = decoder.decode(block)
            stray = _STRAY.search(text)
            if not where and stray:
                where = line + text.count("\n", 0, stray.start())
            line += text.count("\n")
            beyond = len(text) - len(text.encode("ascii", "ignore"))
            here = len(_STRAY.findall(text)) if stray else 0
            good, bad = good + beyond - here, bad + here
    if 3 * good > 2 * bad:
        raise DataError(
            f"{file.name}: line {where or line} is not UTF-8, though the rest is: save it anew as "
            "UTF-8, or give --encoding NAME"
        )


def _guess(sample: bytes) -> str | None:
    """What charset-normalizer says; code pages of Latin letters, which it cannot tell apart by a
    few accents, by the languages that have them.
    """
    if b"\0" in sample:
        return None
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None or best.encoding == "utf_8":
        return None
    return latin_page(sample, str(best)) or best.encoding


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
