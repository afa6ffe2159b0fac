"""JSON tables: one object a line, a list of objects, or an object of columns or of rows."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fedseed.data.tables.cells import (
    USUAL,
    Cells,
    Choice,
    Table,
    Wanted,
    choose_columns,
    describe_choice,
)
from fedseed.data.tables.containers import TableFile
from fedseed.data.tables.encoding import find_encoding, open_text
from fedseed.errors import DataError

_MOST_WHOLE = 1 << 30
"""Characters of a file that is read whole, since it is no JSON Lines."""
_LOOKED_AT = 100
"""Rows whose keys are the table's columns."""
Record = Mapping[str, object]


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _TwiceError
    return values


def _load(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def read_json(file: TableFile, wanted: Wanted) -> Table:
    """Open a JSON table.

    Raises:
        DataError: it is no such table, or has no such columns.
    """
    refuse_separators(wanted, file.name)
    notes: list[str] = []
    encoding = find_encoding(file, wanted.encoding, notes)
    whole = None if _is_lines(file, encoding) else _whole(file, encoding, notes)
    columns: Counter[str] = Counter()
    looked_at = 0
    for record in islice(_records(file, encoding, whole), _LOOKED_AT):
        columns.update(record.keys())
        looked_at += 1
    if not columns:
        raise DataError(f"{file.name} holds no rows: give a file with labelled texts")
    names = list(columns)
    common = [name for name, times in columns.items() if 2 * times > looked_at > 1]
    choice = choose_columns(names, wanted, file.name, common)
    notes.append(describe_choice(names, choice))

    def rows() -> Iterator[Cells]:
        for number, record in enumerate(_records(file, encoding, whole), 1):
            try:
                yield _cells(record, names, choice)
            except KeyError as error:
                raise DataError(
                    f"{file.name}: data row {number} has no key for the text, but another that may "
                    "be meant: call it as in the other rows"
                ) from error

    return Table(file.name, rows, notes=notes)


def refuse_separators(wanted: Wanted, name: str) -> None:
    """Raise a DataError where a separator or a first line was said of a table that has none."""
    if wanted.separator is not None or wanted.header != "auto":
        raise DataError(f"{name} has no separated values: leave out --separator and --header")


def _cells(record: Record, names: Sequence[str], choice: Choice) -> Cells:
    """What a row holds; raises a KeyError where its text has another name than in other rows."""
    group = None if choice.group is None else record.get(names[choice.group])
    wanted = [names[column] for column in choice.text]
    if any(name not in record for name in wanted):
        meant = {name.casefold() for name in wanted} | set(USUAL["text"])
        if any(key.casefold() in meant for key in record.keys() - set(wanted)):
            raise KeyError  # the text stands under another name
    return Cells(tuple(map(record.get, wanted)), record.get(names[choice.label]), group)


def _is_lines(file: TableFile, encoding: str) -> bool:
    """Whether the first line that is not blank is an object, and more follow or it is a row."""
    with open_text(file, encoding) as text:
        lines = (line for line in text if line.strip())
        first = next(lines, "")
        if not first.lstrip().startswith("{"):
            return False
        try:
            record = _load(first)
        except (ValueError, RecursionError):
            return next(lines, None) is not None and first.rstrip().endswith("}")
        return next(lines, None) is not None or not any(
            isinstance(value, list | dict) for value in record.values()
        )


def _whole(file: TableFile, encoding: str, notes: list[str]) -> list[Record]:
    """All rows of a file that is one JSON value.

    Raises:
        DataError: it is none, or no table.
    """
    with open_text(file, encoding) as text:
        content = text.read(_MOST_WHOLE + 1)
    if len(content) > _MOST_WHOLE:
        raise DataError(f"{file.name} is too large for JSON in one piece: save it as JSON Lines")
    if not content.strip():
        raise DataError(f"{file.name} is empty: give a file with a text and a label column")
    try:
        value = _load(content)
    except _TwiceError as error:
        raise DataError(f"{file.name}: an object has a key twice: save it again") from error
    except (ValueError, RecursionError) as error:
        if content.lstrip().startswith("[") and "Extra data" in str(error):
            raise DataError(
                f"{file.name} has a list in each line, which says not what is in it: make each "
                'line an object, {"text": ..., "label": ...}'
            ) from error
        at = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(
            f"{file.name} is not a readable table: no JSON{at}; save it again, or as JSON Lines"
        ) from error
    return _rows_of(value, file.name, notes)


def _rows_of(value: Any, name: str, notes: list[str]) -> list[Record]:
    if isinstance(value, list) and all(isinstance(record, dict) for record in value):
        return value
    if isinstance(value, dict):
        lists = {key: part for key, part in value.items() if isinstance(part, list)}
        tables = [key for key, part in lists.items() if part and isinstance(part[0], dict)]
        if len(tables) == 1:
            notes.append("the rows are the one list of objects in it")
            return _rows_of(lists[tables[0]], name, notes)
        if not tables and len(lists) > 1 and len({len(part) for part in lists.values()}) == 1:
            notes.append("an object of columns")
            return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values())]
        if len(value) > 1 and all(isinstance(part, dict) and part for part in value.values()):
            return _of_objects(value, name, notes)
        if not lists:
            return [value]
    raise DataError(
        f"{name} is JSON but no table: give a list of objects with a text and a label each, or "
        "JSON Lines"
    )


def _of_objects(value: dict[str, dict[str, object]], name: str, notes: list[str]) -> list[Record]:
    """Rows of an object of columns or of rows: what is called by numbers is the rows."""
    parts = list(value.values())
    if all(part.keys() == parts[0].keys() for part in parts):
        columns, rows = (_are_numbers(keys) for keys in (parts[0], value))
        if columns and not rows:
            notes.append("an object of columns")
            return [{key: part[row] for key, part in value.items()} for row in parts[0]]
        if rows and not columns:
            notes.append("an object of rows")
            return list(parts)
    raise DataError(
        f"{name} holds objects that are neither surely rows nor columns: save it as JSON Lines, "
        'in pandas by to_json(orient="records", lines=True)'
    )


def _are_numbers(keys: Iterable[str]) -> bool:
    return all(key.isascii() and key.isdigit() for key in keys)


def _records(file: TableFile, encoding: str, whole: list[Record] | None) -> Iterator[Record]:
    """Rows in order.

    Raises:
        DataError: a line that is no JSON object, named by its number.
    """
    if whole is not None:
        yield from whole
        return
    with open_text(file, encoding) as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                record = _load(line)
            except _TwiceError as error:
                raise DataError(f"{file.name}: line {number} has a key twice: mend it") from error
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{file.name} is not a readable table: line {number} is no JSON; mend it there"
                ) from error
            if not isinstance(record, dict):
                raise DataError(f"{file.name}: line {number} is no JSON object: mend it there")
            yield record
