"""Pages of blocks: escaped, self-contained, readable without colours, the same again."""

import re

import pytest

from fedseed.results.report.blocks import (
    SIGNS,
    Answer,
    Answers,
    Badge,
    Bullets,
    Definitions,
    Figure,
    Figures,
    Level,
    Notice,
    Page,
    Paragraph,
    Section,
    Table,
)
from fedseed.results.report.chart import Chart, Item
from fedseed.results.report.page import render, slug, term_anchor
from tests.results.html_page import check_page

HOSTILE = "</style><script>alert(1)</script>\"' onload=x &amp; {{ 7 * 7 }}"


def page(words: str) -> Page:
    chart = Chart(
        words, words, [Item(words, words, 0.5, 0.4, 0.6, 2.0), Item(words, words, None)], 0.0, 1.0,
        [(0.0, words), (1.0, words)], (0.5, words), words,
    )  # fmt: skip
    table = Table("t", words, [words, words], [[words, Badge("bad", words)], [words, (words,)]],
                  words, folds=True)  # fmt: skip
    blocks = [
        Paragraph(words), Notice(words), Bullets([words]), Bullets([words], ordered=True),
        Answers([Answer(words, [words], "a", words), Answer(words, [words, words], "t", words)]),
        table, Definitions([(words, words)]), Figures([Figure("f", words, chart, words)]),
    ]  # fmt: skip
    part = Section("b", words, [Paragraph(words)])
    return Page(words, [words], [Section("a", words, blocks, [part])], words)


def test_a_page_of_all_blocks() -> None:
    made = render(page("plain words"))
    read = check_page(made)
    assert made == render(page("plain words"))
    assert {"a", "b", "t", "f", "term-plain-words", "contents"} <= set(read.ids)
    assert "prefers-color-scheme: dark" in made
    assert "@media print" in made
    assert "default-src 'none'" in made


def test_every_text_is_escaped() -> None:
    made = render(page(HOSTILE))
    read = check_page(made)
    assert "<script" not in made
    assert made.count("</style>") == 1
    assert "alert(1)" in read.text
    assert "{{ 7 * 7 }}" in read.text  # shown, never computed
    assert "&amp; {{" in read.text  # what looks like an entity is no entity


def test_anchors_are_unique_and_rows_are_whole() -> None:
    twice = Page("t", [], [Section("a", "t", []), Section("a", "t", [])], "f")
    with pytest.raises(ValueError, match="twice on the page: a"):
        render(twice)
    short = Section("a", "t", [Table("b", "c", ["one", "two"], [["1"]])])
    with pytest.raises(ValueError, match="table b"):
        render(Page("t", [], [short], "f"))


def test_anchors_are_plain() -> None:
    assert slug("One <b> & two") == "one-b-two"
    assert slug("???") == "x"
    assert term_anchor("Interval (95 %)") == "term-interval-95"


def test_no_verdict_is_told_by_its_colour_alone() -> None:
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_places_of_a_chart() -> None:
    item = Item("a", "0.5", 0.5, 0.25, 7.0, mark=0.0)
    chart = Chart("t", "axis", [item, Item("b", "none", None)], 0.0, 1.0, [(0.0, "0"), (1.0, "1")])
    first, second = chart.drawn
    assert first.x == 210.0
    assert first.ends == (109.0, 412.0)  # beyond the axis: at its end
    assert first.mark == 8.0
    assert second.x is None
    assert second.middle - first.middle == second.text - first.text > 0
    assert [end for _, _, end in chart.drawn_ticks] == ["start", "end"]
    assert chart.description == "axis. a: 0.5; b: none."


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
@pytest.mark.parametrize("ground", ["page", "raised"])
@pytest.mark.parametrize("name", ["text", "quiet", "link", "value", "mark", *SIGNS])
def test_contrast(scheme: int, ground: str, name: Level | str) -> None:
    """At least 4.5 to 1 (WCAG AA), in all three schemes."""
    found = re.findall(r":root \{ (color-scheme[^}]*)\}", render(page("x")))
    light, dark = found[0], re.findall(r"dark\) \{ :root \{ ([^}]*)\}", render(page("x")))[0]
    rules = [light, dark, found[-1]][scheme]
    colours = dict(re.findall(r"--(\w+): (#\w{6})", rules))
    shades = sorted((luminance(colours[name]), luminance(colours[ground])))
    assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5
