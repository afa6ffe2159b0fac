"""Tables that sort: by numbers where there are some, in a browser by a click or a key."""

import json
from pathlib import Path

import pytest

from fedseed.results.report.blocks import Page, Section, Table
from fedseed.results.report.page import render
from fedseed.results.report.sorting import column_of, number_in
from tests.results.browser import browse, browse_with, needs_browser
from tests.results.html_page import check_page

ROWS = [
    ["recipe", "84.4 % (83.3 - 85.4)", "1.4 KB", "b"],
    ["weights", "9.0 %", "35.1 MB", "a10"],
    ["central", "-", "829 B", ""],
    ["labels", "+86.8 %", "1,089 B", "a9"],
]


def page(sorts: bool = True) -> str:
    table = Table("t", "c", ["row", "accuracy", "bytes", "words"], ROWS, sorts=sorts,
                  foot=[["all", "1", "2", "3"]])  # fmt: skip
    return render(Page("t", [], [Section("a", "t", [table])], "f"))


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("84.4 % (83.3 - 85.4)", 84.4), ("1,342", 1342), ("-0.4 points", -0.4), ("+1.3", 1.3),
        ("< 0.001", 0.001), ("1.4 KB", 1400), ("35.1 MB, 62 steps", 35_100_000), ("50 B", 50),
        ("9.8 Mbit/s", 9_800_000), ("6.78e+05", 678_000), ("10 of 12", 10), ("2e-05", 2e-5),
        ("2026-11-29T20:35:28Z", None), ("3.11.7", None), ("lexicon-50", None), ("-", None),
        ("1st", None), ("", None), ("10/12", None), ("first 1", None),
    ],
)  # fmt: skip
def test_the_number_that_a_text_begins_with(words: str, number: float | None) -> None:
    assert number_in(words) == (None if number is None else pytest.approx(number))


def test_a_column_is_of_numbers_or_of_text() -> None:
    assert column_of(["1", "-", "2 KB"]).numbers == (1, None, 2000)
    assert column_of(["1", "first 2"]).numbers is None
    assert column_of(["-", "not reached"]).numbers is None
    assert column_of(["1", ("2", "3")]).numbers is None


def test_a_page_with_and_without_a_table_that_sorts() -> None:
    assert len(check_page(page()).scripts) == 1
    assert check_page(page(sorts=False)).scripts == []
    script = check_page(page()).scripts[0]
    assert len(script.splitlines()) < 60


def test_a_table_is_whole_without_the_script() -> None:
    read = check_page(page())
    assert "button" not in read.tags
    assert "lexicon" not in read.text
    for row in ROWS:
        assert row[0] in read.text


ORDERS = """
const table = document.querySelector("table");
const column = number => [...table.tBodies[0].rows].map(row => row.cells[number].textContent);
const state = head => [column(0), head.getAttribute("aria-sort")];
const seen = [];
for (const number of [1, 2, 3, 0]) {
  const head = table.tHead.rows[0].cells[number], button = head.querySelector("button");
  button.click(); seen.push(state(head));
  button.click(); seen.push(state(head));
}
const sorted = [...table.tHead.rows[0].cells].filter(head => head.hasAttribute("aria-sort"));
seen.push([sorted.length, table.tFoot.rows[0].cells[0].textContent]);
document.title = JSON.stringify(seen);
"""


@needs_browser
def test_a_click_sorts(tmp_path: Path) -> None:
    """Numbers by value, text by letters and the numbers in it; what is empty comes last."""
    seen = json.loads(browse_with(page(), ORDERS, tmp_path))
    by_accuracy = ["weights", "recipe", "labels", "central"]
    assert seen == [
        [by_accuracy, "ascending"], [["labels", "recipe", "weights", "central"], "descending"],
        [["central", "labels", "recipe", "weights"], "ascending"],
        [["weights", "recipe", "labels", "central"], "descending"],
        [["labels", "weights", "recipe", "central"], "ascending"],
        [["recipe", "weights", "labels", "central"], "descending"],
        [["central", "labels", "recipe", "weights"], "ascending"],
        [["weights", "recipe", "labels", "central"], "descending"],
        [1, "all"],
    ]  # fmt: skip


@needs_browser
def test_the_policy_lets_the_script_run(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(), encoding="utf-8")
    assert browse(file).count('<button type="button">') == 4


@needs_browser
def test_the_policy_lets_no_other_script_run(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    other = page().replace("falls ? order(other, one)", "falls ? order(one, other)")
    file.write_text(other, encoding="utf-8")
    with pytest.raises(AssertionError, match="CONSOLE"):
        browse(file)
