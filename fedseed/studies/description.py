"""How a study describes itself: all that commands and ``fedseed show`` know of it by its kind.

Light to import, so that ``--help`` is quick: what it names is imported when it is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedseed.discovery import load
from fedseed.studies.options import StudyOptions


@dataclass(frozen=True)
class StudyDescription:
    """One study. It stands as ``STUDY`` in ``__init__.py`` of a folder of :mod:`fedseed.studies`.

    Places are written ``module:attribute``.
    """

    kind: str
    """The kind of its records, and the folder's name."""
    summary: str
    """What is asked, in one line."""
    details: str
    """What is measured, for the command's help."""
    options: str
    """Place of a class of options, a subclass of :class:`fedseed.studies.options.StudyOptions`."""
    study: str
    """Place of a :class:`fedseed.studies.base.Study`."""
    table: str
    """Place of a function that makes table.md, as text, of a record."""
    figure: str
    """Place of a function that draws figure.png, of a record, to a path."""
    report: str | None = None
    """Place of a function that makes report.html, as text, of a record; None where it is the usual
    page of :mod:`fedseed.studies.page`."""

    @property
    def command(self) -> str:
        """What it is called on the command line: ``zero-shot`` for the kind ``zero_shot``."""
        return self.kind.replace("_", "-")

    @property
    def options_class(self) -> type[StudyOptions]:
        """The class of its options; imports it."""
        options: type[StudyOptions] = load(self.options)
        return options

    @property
    def study_class(self) -> Any:
        """The subclass of :class:`fedseed.studies.base.Study`; imports it, with torch."""
        return load(self.study)

    def make_table(self, record: Mapping[str, Any]) -> str:
        """table.md, from the record alone."""
        make: Callable[[Mapping[str, Any]], str] = load(self.table)
        return make(record)

    def make_report(self, record: Mapping[str, Any]) -> str:
        """report.html, from the record alone; of a study that has a report of its own."""
        assert self.report is not None
        make: Callable[[Mapping[str, Any]], str] = load(self.report)
        return make(record)

    def draw(self, record: Mapping[str, Any], path: Path) -> None:
        """Draw figure.png, from the record alone."""
        load(self.figure)(record, path)
