"""Records that a command is given: read, shown to be whole, and made into pages."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedseed.errors import OutputError

RUN = "federated"


def completed(path: str, also: Collection[str] = ()) -> dict[str, Any]:
    """The record of a completed federated run or study.

    Args:
        path: of record.json, or of the folder that it is in.
        also: further kinds of record that will do.

    Raises:
        OutputError: there is none, or it is of something else.
    """
    from fedseed.results.folder import RECORD
    from fedseed.results.record import read_record
    from fedseed.studies import find_studies

    place = Path(path)
    content = read_record(place / RECORD if place.is_dir() else place)
    known = content.get("kind") in (RUN, *find_studies(), *also)
    if not known or content.get("status") != "completed":
        raise OutputError(f"{path} is not the record of a completed federated run or study")
    return content


@contextlib.contextmanager
def whole(path: str, what: str) -> Iterator[None]:
    """Say in one line that a record lacks what its tables are, or its report is, made of.

    Raises:
        OutputError: it does.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise OutputError(
            f"{path} lacks what its {what} made of ({type(error).__name__}: {error}): "
            "it was changed by hand or by another program"
        ) from error


def write_report(paths: Sequence[str], out: str | None) -> Path:
    """Write the report of one record, or one page of several runs side by side.

    Args:
        paths: of records, or of their folders.
        out: the file; report.html beside the record when None, which needs a single record.

    Returns:
        Where it was written.

    Raises:
        OutputError: a record cannot be used, or the file not be written.
    """
    from fedseed.files import write_text
    from fedseed.results.folder import REPORT

    if out is None and len(paths) > 1:
        raise OutputError("several records make one page: give --out FILE, where it is to stand")
    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise OutputError("a record stands there twice: give each once")
    if out is not None and Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    contents = {path: completed(path) for path in paths}
    with whole(" or ".join(paths), "report is"):
        page = _together(contents) if len(contents) > 1 else _page(*contents.values())
    place = Path(paths[0])
    folder = place if place.is_dir() else place.parent
    file = folder / REPORT if out is None else Path(out)
    write_text(file, page)
    return file


def _together(records: Mapping[str, Mapping[str, Any]]) -> str:
    """One page of several runs."""
    from fedseed.results.run_report.side_by_side import side_by_side

    for path, record in records.items():
        if record["kind"] != RUN:
            raise OutputError(
                f"{path} is a record of kind {record['kind']}: only federated runs are set side by "
                "side; give each study alone"
            )
    return side_by_side(records)


def _page(record: Mapping[str, Any]) -> str:
    """report.html of a record."""
    from fedseed.results.run_report import run_report
    from fedseed.studies import find_studies
    from fedseed.studies.page import study_report

    if record["kind"] == RUN:
        return run_report(record)
    return study_report(find_studies()[record["kind"]], record)
