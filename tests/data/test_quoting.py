"""Separated values: quotes, backslashes, widths and odd lines, read as meant or refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fedseed.data.sources import open_source
from fedseed.data.tables.cells import Wanted
from fedseed.data.tables.files import read_file
from fedseed.errors import DataError

from .made_tables import put, rows

TWO = rows(60, 60)
HEADER = "text,label"


def table(lines: Sequence[str], header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def with_odd(odd: str, usual: str = "{t},{n}", header: str = HEADER, place: int = 7) -> str:
    """A table in which one line is odd; ``{t}`` stands for a text and ``{n}`` for its label."""
    lines = [usual.format(t=text, n=label) for text, label in TWO]
    lines[place] = odd.format(t=TWO[place][0], n=TWO[place][1])
    return table(lines, header)


def texts_of(path: Path, **wanted: str | None) -> list[str]:
    return open_source(str(path), Wanted(**wanted)).read().texts  # type: ignore[arg-type]


def notes_of(path: Path, **wanted: str | None) -> str:
    return " ".join(read_file(str(path), Wanted(**wanted)).notes)  # type: ignore[arg-type]


NICE = r'"{t} ""nice"" \o/ C:\temp"'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", with_odd('{n},"Great" {t}', f"{{n}},{NICE}", "label,text")),
        ("a.csv", with_odd('"{t} he said "hello" to me",{n}', f"{NICE},{{n}}")),
        ("a.csv", with_odd('"{t}" ,{n}', f"{NICE},{{n}}")),
        ("a.csv", with_odd('"{t} he said "hello" to me",{n}', r'"{t} \"nice\"",{n}')),
        ("a.tsv", with_odd('"{t}" x\t{n}', f"{NICE}\t{{n}}", "text\tlabel")),
    ],
)
def test_one_row_that_breaks_the_quotes_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(DataError, match=r"row 9 .*behind a closing one") as caught:
        texts_of(put(tmp_path / name, content))
    assert "note" not in str(caught.value)


def test_quotes_that_are_letters(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", with_odd('"Great" {t}\t{n}', "{t} C:\\temp\t{n}", "text\tlabel"))
    expected = [f"{text} C:\\temp" for text, _ in TWO]
    expected[7] = f'"Great" {TWO[7][0]}'
    assert texts_of(path) == expected
    assert "read as letters" in notes_of(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_backslashes(tmp_path: Path, name: str) -> None:
    separator = "," if name == "a.csv" else "\t"
    usual = r'"{t} said \"ok{s} fine\" \o/ C:\temp"{s}{n}'.replace("{s}", separator)
    odd = rf'"{{t}} ""nice"" \\"{separator}{{n}}'
    path = put(tmp_path / name, with_odd(odd, usual, f"text{separator}label"))
    expected = [rf'{text} said "ok{separator} fine" \o/ C:\temp' for text, _ in TWO]
    expected[7] = f'{TWO[7][0]} "nice" \\'
    assert texts_of(path) == expected
    assert "behind a backslash" in notes_of(path)


def test_separators_behind_a_backslash(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", with_odd(r"{t}\, C:\temp,{n}"))
    expected = [text for text, _ in TWO]
    expected[7] += r", C:\temp"
    assert texts_of(path) == expected


@pytest.mark.parametrize("usual", ['{n}, "{t}, fine"', '{n}, "{t}\nfine"', '{n},  "{t} ""x"""'])
def test_spaces_before_quotes(tmp_path: Path, usual: str) -> None:
    path = put(tmp_path / "a.csv", with_odd(usual, usual, 'label, "text"'))
    body = usual[usual.index('"') + 1 : -1].replace('""', '"')
    assert texts_of(path) == [body.format(t=text) for text, _ in TWO]
    assert "spaces before a quote" in notes_of(path)
    path = put(tmp_path / "a.csv", with_odd('{n}, "{t}" more', usual, "label, text"))
    with pytest.raises(DataError, match=r"row 9 .*behind a closing one"):
        texts_of(path)


@pytest.mark.parametrize("usual", ["'{t}',{n}", '"""{t}""",{n}'])
def test_quotes_that_stay_are_said(tmp_path: Path, usual: str) -> None:
    assert "part of it" in notes_of(put(tmp_path / "a.csv", with_odd(usual, usual)))
    assert "part of it" not in notes_of(put(tmp_path / "a.csv", with_odd("{t},{n}", usual)))


@pytest.mark.parametrize(
    ("header", "usual", "odd", "says"),
    [
        ("label,text,,,", "{n},{t},,,", "{n},{t}, and then some,,,", "row 9 has 6 cells"),
        ("label,text,,,", "{n},{t},,,", "{n},{t}, and then some,,", "column without a name"),
        ("label,text,,,", "{n},{t},,,", "{n},{t}, and then some", "column without a name"),
        ("label,text,x", "{n},{t},", r"{n},{t}, and more,", "row 9 has 4 cells"),
        ("label,text", "{n},{t}", "{n},{t},", "row 9 has 3 cells"),
        ("label,text", "{n},{t},", "{n},{t},,", "row 9 has 4 cells"),
        ("text,label", "{t},{n}", "{t}", "row 9 has 1 cells, the first line 2: fill in"),
        ("text,label", "x{t},{t},{n}", "{t},{t},{n}", "every row has one cell more"),
        ("text,label", "{t},{n}", "{t},{n}\ntext,label", "row 10 .* repeats the column names"),
    ],
)
def test_cells_that_nobody_would_see(
    tmp_path: Path, header: str, usual: str, odd: str, says: str
) -> None:
    path = put(tmp_path / "a.csv", with_odd(odd, usual, header))
    with pytest.raises(DataError, match=says):
        texts_of(path)


def test_a_backslash_that_keeps_a_cell_whole(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", with_odd(r"{n},{t}\, more,", "{n},{t},", "label,text,x"))
    assert texts_of(path)[7] == f"{TWO[7][0]}, more"


@pytest.mark.parametrize(
    ("header", "usual", "odd"),
    [
        ("text,label", "{t},{n},,", "{t},{n},,"),
        ("text,label", "{t},{n},,", "{t},{n}"),
        ("text,label,,", "{t},{n},,", "{t},{n}"),
        (",text,label", "{n}x,{t},{n}", "{n}y,{t},{n}"),
    ],
)
def test_separators_at_the_end(tmp_path: Path, header: str, usual: str, odd: str) -> None:
    assert texts_of(put(tmp_path / "a.csv", with_odd(odd, usual, header))) == [t for t, _ in TWO]


def test_columns_without_a_name_can_be_joined(tmp_path: Path) -> None:
    content = with_odd("{n},{t}, more,,", "{n},{t},,,", "label,text,,,")
    assert texts_of(put(tmp_path / "a.csv", content), text="2+3")[7] == f"{TWO[7][0]}  more"


def test_rows_of_empty_cells(tmp_path: Path) -> None:
    content = f",,\n{with_odd('{t},{n}')},\n,\n,,,\n"
    path = put(tmp_path / "a.csv", content)
    assert texts_of(path) == [text for text, _ in TWO]
    assert "4 row(s) of empty cells" in notes_of(path)


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize(
    "above", ["Reviews of May\n", "# made by a tool, twice\n# so\n", "a;b\n\n"]
)
def test_lines_above_the_column_names(tmp_path: Path, name: str, above: str) -> None:
    path = put(tmp_path / name, above + with_odd('"{t}",{n}', header='"text","label"'))
    with pytest.raises(DataError, match=f"stand in line {above.count(chr(10)) + 1}: delete"):
        texts_of(path)
    with pytest.raises(DataError, match="no text column 'body'"):
        texts_of(path, text="body", separator=",")


def test_lines_that_stand_in_quotes(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", with_odd('"{t},{n}"', '"{t},{n}"', '"text,label"'))
    with pytest.raises(DataError, match="quotes as a whole"):
        texts_of(path)


def test_a_row_by_its_line(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", with_odd('\n\n"{t}" x,{n}', '"{t}\nmore",{n}'))
    with pytest.raises(DataError, match=r"row 9 \(line 18\)"):
        texts_of(path)


def test_no_separator_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--separator takes one character"):
        texts_of(put(tmp_path / "a.csv", with_odd("{t},{n}")), separator="")
