"""Pages and official records, and how pages write what records hold."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from fedseed.results.record import read_record
from fedseed.results.table import percent, summary

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OFFICIAL = ROOT / "results" / "official"


def read_page(name: str) -> str:
    """A page as it is, by its path below the root."""
    return (ROOT / name).read_text(encoding="utf-8")


README = read_page("README.md")


def result_page(name: str) -> str:
    return read_page(f"docs/results/{name}.md")


def flat(text: str) -> str:
    """A text on one line, so that its sentences can be found wherever their lines end."""
    return " ".join(text.split())


def official(name: str) -> dict[str, Any]:
    return read_record(OFFICIAL / name / "record.json")


def official_table(name: str) -> str:
    return (OFFICIAL / name / "table.md").read_text(encoding="utf-8")


def printed(path: Path) -> str:
    """What ``fedseed show`` prints, 80 columns wide, without trailing blanks."""
    screen = io.StringIO()
    console = Console(file=screen, width=80)
    console.print(summary(read_record(path)), highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()).strip("\n")


def shown(accuracy: Mapping[str, Any]) -> str:
    """An accuracy with its interval, as in ``84.1 % (83.0 - 85.1)``."""
    low, high = accuracy["ci95"]
    return f"{percent(accuracy['value'])} ({100 * low:.1f} - {100 * high:.1f})"


def table_lines(text: str) -> list[str]:
    """Lines of a page's tables, without the rules below their heads."""
    return [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
