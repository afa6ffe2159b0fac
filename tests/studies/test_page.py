"""The page of a study: every word and number of its table, its figure, how to repeat it."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from fedseed.cli.exit_status import run_app
from fedseed.cli.main import app
from fedseed.results.pages.from_markdown import read_markdown
from fedseed.results.record import RunRecord, read_record
from fedseed.results.report.blocks import Paragraph, Table
from fedseed.studies import find_studies
from fedseed.studies.base import _written
from fedseed.studies.page import study_report
from tests.results.browser import browse, needs_browser
from tests.results.html_page import check_page
from tests.results.test_report import HOSTILE

OFFICIAL = Path(__file__).parents[2] / "results" / "official"
USUAL = [kind for kind, about in find_studies().items() if about.report is None]
RECORDS = [
    path for path in sorted(OFFICIAL.glob("*/record.json")) if read_record(path)["kind"] in USUAL
]


def test_every_kind_is_tested() -> None:
    assert {read_record(path)["kind"] for path in RECORDS} == set(USUAL)


def page_of(record: dict[str, Any]) -> str:
    return study_report(find_studies()[record["kind"]], record)


def plain(words: str) -> str:
    """Words of Markdown as a reader sees them."""
    return " ".join(re.sub(r"\\([*|])", r"\1", words.replace("**", "").replace("`", "")).split())


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: str(path.parent.name))
def test_a_page_holds_what_the_table_holds(path: Path) -> None:
    record = read_record(path)
    before = copy.deepcopy(record)
    about = find_studies()[record["kind"]]
    page = page_of(record)
    assert record == before
    read = check_page(page)
    table = about.make_table(record)
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    for line in rows:
        cells = [plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert " ".join(cell for cell in cells if cell) in read.text
    assert read.tags.count("tr") >= len(rows)
    for line in table.splitlines():
        if line and not line.startswith("|"):
            assert plain(line).lstrip("# ").rstrip(":") in read.text
    assert about.summary in read.text
    assert plain(about.details) in read.text
    assert f"fedseed study {about.command}" in read.text
    assert record["provenance"]["commit"] in read.text
    assert read.tags.count("svg") == 1


def test_it_comes_out_alike() -> None:
    record = read_record(OFFICIAL / "budget" / "record.json")
    page = page_of(record)
    assert page == page_of(record)
    assert "img-src data:" in page  # maps of accuracy are made of pixels


def test_a_quick_study_says_so() -> None:
    record = read_record(OFFICIAL / "rates" / "record.json")
    record["config"]["quick"] = True
    read = check_page(page_of(record))
    assert "This was a `--quick` run" not in read.text
    assert read.text.count("This was a --quick run: its numbers mean little.") == 2


def test_hostile_names_come_out_escaped() -> None:
    record = read_record(OFFICIAL / "rates" / "record.json")
    record["task"] = HOSTILE.replace("\n", " ")
    record["config"] |= {"model": HOSTILE, "data": HOSTILE}
    record["provenance"]["packages"] = {HOSTILE: HOSTILE}
    page = page_of(record)
    check_page(page)
    assert page.count("<script") == 1
    assert page.count("</style>") == 1


def test_markdown() -> None:
    text = (
        "# A | title\n\nWords with **bold** ones.\n\n**First**\n\n| a | b |\n|---|---:|\n"
        "| **x** \\* | `1` |\n\n| a |\n|---|\n\n**Second**, more:\n\n| a |\n|---|\n| 2 |\n\n"
        "**Third** of it. More.\n\nLess.\n\n| |\n|---|\n| 3 |\n\n## In detail\n\n"
        "| c |\n|---|\n| 4 |\n\n**No name.**\n\n| c |\n|---|\n| 5 |\n"
    )
    read = read_markdown(text, "Results")
    assert read.title == "A | title"
    first, second = read.sections
    assert (first.title, second.title) == ("Results", "In detail")
    tables = [block for one in read.sections for block in one.blocks if isinstance(block, Table)]
    assert [table.caption for table in tables] == [
        "First", "Results, by a", "Second, more", "Third", "In detail, by c",
        "In detail, by c, table 2",
    ]  # fmt: skip
    assert tables[0].rows == [["x *", "1"]]
    assert tables[1].rows == []
    assert tables[3].head == ["what"]
    words = [block.text for block in first.blocks if isinstance(block, Paragraph)]
    assert words == ["Words with bold ones.", "Third of it. More.", "Less."]
    assert len({table.anchor for table in tables}) == len(tables)


def test_a_finished_study_leaves_its_page(tmp_path: Path) -> None:
    record = read_record(OFFICIAL / "rates" / "record.json")
    parts = ("kind", "config", "provenance", "status", "results")
    made = RunRecord(**{name: record[name] for name in parts}, task=record.get("task"))
    about = find_studies()["rates"]
    _written(about.study_class(about.options_class()), made, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"record.json", "table.md", "figure.png", "report.html"}
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written == page_of(read_record(tmp_path / "record.json"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.html"
    assert run_app(app, ["report", str(OFFICIAL / "ablation"), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    check_page(out.read_text(encoding="utf-8"))


@needs_browser
def test_a_browser_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(read_record(OFFICIAL / "budget" / "record.json")), encoding="utf-8")
    assert '<button type="button">' in browse(file)
