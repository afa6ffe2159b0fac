"""Official records, their tables, and the tables of pages."""

import re
from pathlib import Path

import pytest

from fedseed.results.record import read_record
from fedseed.studies import find_studies
from tests.docs.pages import DOCS, OFFICIAL, official, official_table, table_lines


def test_official_records_are_of_clean_commits() -> None:
    paths = sorted(OFFICIAL.glob("*/record.json"))
    assert len(paths) >= 4
    for path in paths:
        record = read_record(path)
        assert record["status"] == "completed"
        assert record["provenance"]["dirty"] is False
        assert record["provenance"]["commit"]


@pytest.mark.parametrize("kind", sorted(find_studies()))
def test_a_study_table_is_that_of_its_record(kind: str) -> None:
    record = official(kind)
    assert record["config"]["quick"] is False
    assert official_table(kind) == find_studies()[kind].make_table(record)
    assert (OFFICIAL / kind / "figure.png").stat().st_size > 10_000


RESULTS = sorted(set((DOCS / "results").glob("*.md")) - {DOCS / "results" / "README.md"})
"""Every page below docs/results, without the index of them."""
TABLES_OF_THEIR_OWN = {
    "seed-claims.md": 1,  # the head of the questions
    "a-default-run.md": 8,  # test_default_run.py makes them
    "speed.md": 14,  # test_speed.py makes them
}
"""Pages whose tables are in no table.md, and how many lines they have."""


@pytest.mark.parametrize("page", RESULTS, ids=lambda page: page.stem)
def test_tables_of_results_pages_are_the_records(page: Path) -> None:
    """Every line of a table stands in the table.md of a record that the page links to."""
    text = page.read_text(encoding="utf-8")
    tables = "".join(
        official_table(name)
        for name in dict.fromkeys(re.findall(r"results/official/([\w-]+)", text))
        if (OFFICIAL / name / "table.md").exists()
    )
    lines = [line for line in table_lines(text) if not line.startswith("| [")]
    own = [line for line in lines if line not in tables]
    assert lines
    assert len(own) == TABLES_OF_THEIR_OWN.get(page.name, 0), own
