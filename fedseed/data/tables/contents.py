"""What a file's first bytes say that it is, where that is no table."""

import json

from fedseed.data.tables.encoding import letters_of

_SHEET = "save its sheet as CSV in UTF-8"
_UNPACK = "unpack it, and give the table or the folder"
_PICTURE = "give a table of texts and labels"
_MAGIC = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook or another Office file", _SHEET),
    (b"SQLite format 3\0", "an SQLite database", "export a table as CSV"),
    (b"\x1f\x8b", "gzip once more", "unpack it"),
    (b"\xfd7zXZ\0", "xz once more", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd once more", "unpack it"),
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"Rar!\x1a", "a rar archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"\x89PNG", "a picture", _PICTURE),
    (b"\xff\xd8\xff", "a picture", _PICTURE),
    (b"GIF8", "a picture", _PICTURE),
    (b"%PDF-", "a PDF", _PICTURE),
    (b"{\\rtf", "a text document", _PICTURE),
    (b"\x89HDF", "HDF5", "save it as Parquet"),
    (b"\x93NUMPY", "a NumPy array", "save it as Parquet"),
    (b"Obj\x01", "Avro", "save it as Parquet"),
)
_PAGES = ("<!doctype", "<html", "<head", "<?xml")


def foreign_content(start: bytes) -> str | None:
    """What a file holds and what to do about it, where its first bytes are no table's.

    Args:
        start: at least 512 unpacked bytes, if there are as many.
    """
    for magic, what, step in _MAGIC:
        if start.startswith(magic):
            return f"holds {what} by its first bytes: {step}"
    if start.startswith(b"ORC") and any(byte < 9 for byte in start[3:32]):
        return "holds ORC by its first bytes: save it as Parquet"
    if start[257:262] == b"ustar":
        return f"holds a tar archive by its first bytes: {_UNPACK}"
    if letters_of(start[:512]).lower().startswith(_PAGES):
        return "holds a web page or XML: download the table itself, or save it as CSV"
    return None


def looks_like_json(start: bytes) -> bool:
    """Whether a file begins with a JSON object or list, of one line or laid out over several."""
    first, _, rest = letters_of(start).partition("\n")
    if first.strip() in ("[", "{", "[{"):
        return rest.lstrip().startswith(("{", "[", '"'))
    try:
        return isinstance(json.loads(first), list | dict)
    except (ValueError, RecursionError):
        return False
