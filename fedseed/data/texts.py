"""One rule for the cells that become a text, whatever file they come from."""

import numbers
from collections.abc import Sequence
from datetime import date, datetime

from fedseed.errors import DataError


def clean_text(cells: Sequence[object], where: str, row: int) -> str:
    """The text that the cells of a row make: joined by spaces, empty if nothing is in them.

    Bytes are decoded as UTF-8; half a surrogate pair becomes U+FFFD.

    Args:
        cells: those of the text columns.
        where: the table's name, for the message.
        row: number of the data row from 1, for the message.

    Raises:
        DataError: a cell is no text.
    """
    if len(cells) == 1:
        return _text(cells[0], where, row)
    parts = (_text(cell, where, row) for cell in cells)
    return " ".join(part for part in parts if part)


def _text(cell: object, where: str, row: int) -> str:
    if isinstance(cell, bytes):
        try:
            cell = cell.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: the text of data row {row} is bytes that are not UTF-8: "
                            "save it as text") from error  # fmt: skip
    if isinstance(cell, str):
        if not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError:
                return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return cell if not cell.isspace() else ""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, bool | numbers.Number | date | datetime):
        return str(cell)
    if isinstance(cell, dict):
        raise DataError(
            f"{where}: the text of data row {row} is a record of several values: flatten nested "
            "records to a column for each value, in pandas by json_normalize"
        )
    raise DataError(f"{where}: the text of data row {row} is a {_kind(cell)}, no text: give "
                    "--text-column NAME")  # fmt: skip


def _kind(cell: object) -> str:
    return "list" if isinstance(cell, list | tuple) else type(cell).__name__
