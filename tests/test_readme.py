"""README.md's tables are what its commands print from the official records."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fedseed.results.record import read_record
from fedseed.results.table import percent, summary

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OFFICIAL = ROOT / "results" / "official"


def printed(path: Path) -> str:
    """What ``python -m fedseed show`` prints, 80 columns wide, without trailing blanks."""
    screen = io.StringIO()
    console = Console(file=screen, width=80)
    console.print(summary(read_record(path)), highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()).strip("\n")


def test_the_table_is_that_of_the_record() -> None:
    assert printed(OFFICIAL / "federated-seed0" / "record.json") in README


@pytest.mark.parametrize("run_seed", [0, 1, 2])
def test_the_row_of_each_run_seed(run_seed: int) -> None:
    results = read_record(OFFICIAL / f"federated-seed{run_seed}" / "record.json")["results"]
    cells = [str(run_seed)]
    for name in ("given", "aggregated"):
        found = results[name]["newcomers"]
        low, high = found["ci95"]
        cells.append(f"{percent(found['value'])} ({100 * low:.1f} - {100 * high:.1f})")
    cells.append(percent(results["retention"]["chance_corrected"]["aggregated"]))
    assert "| " + " | ".join(cells) + " |" in README


def test_official_records_are_of_clean_commits() -> None:
    paths = sorted(OFFICIAL.glob("*/record.json"))
    assert len(paths) >= 4
    for path in paths:
        record = read_record(path)
        assert record["status"] == "completed"
        assert record["provenance"]["dirty"] is False
        assert record["provenance"]["commit"]


def test_what_readme_links_to_exists() -> None:
    import re

    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
