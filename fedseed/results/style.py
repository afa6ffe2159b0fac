"""How the rows of a study are drawn: by their protocol's colour and marker, and a line each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedseed.evaluation.frontier import series_of

_LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class RowStyle:
    """One row in a figure; all in matplotlib's words."""

    colour: str
    marker: str
    line: str


def row_styles(record: Mapping[str, Any]) -> dict[str, RowStyle]:
    """Styles of all rows in which something travels; those of one protocol differ by their line.

    Args:
        record: of a study whose cells name their ``row`` and ``protocol``; its ``protocols`` are
            described there.
    """
    results, protocols = record["results"], record["protocols"]
    named = {series_of(cell): cell for cell in results["cells"]}
    protocol_of = {name: cell["protocol"] for name, cell in named.items() if cell["protocol"]}
    styles = {}
    for row, name in protocol_of.items():
        alike = [other for other, protocol in protocol_of.items() if protocol == name]
        line = _LINES[alike.index(row) % len(_LINES)]
        styles[row] = RowStyle(protocols[name]["colour"], protocols[name]["marker"], line)
    return styles
