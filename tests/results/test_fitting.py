"""Tables at any width, and examples by client for any number of classes."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from fedseed.results.class_counts import class_balance, plan_table, shown_name
from fedseed.results.fitting import FittingMarkdown, new_table
from fedseed.results.markdown import grid

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
MANY = [f"card_payment_number_{number:02}_not_recognised" for number in range(77)]


def printed(what: object, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding, "replace", newline="\n")
    Console(file=file, width=width).print(what)
    file.seek(0)
    return file.read()


def counts(classes: int, clients: int = 12) -> list[list[int]]:
    return [[(client + number) % 5 for number in range(classes)] for client in range(clients)]


def test_two_classes_have_a_column_each() -> None:
    text = printed(plan_table([[3, 1], [1_000, 2]], ["negative", "positive"], 1), 80)
    assert text.splitlines()[2].split() == ["client", "examples", "negative", "positive"]
    assert text.splitlines()[4].split() == ["0", "4", "3", "1"]
    assert text.splitlines()[5].split() == ["1", "(newcomer)", "1,002", "1,000", "2"]


@pytest.mark.parametrize("width", [80, 60, 40, 20])
@pytest.mark.parametrize("classes", [2, 4, 77, 200])
def test_nothing_is_cut(width: int, classes: int) -> None:
    names = [f"class number {number} of some" for number in range(classes)]
    table = plan_table(counts(classes), names, 10, width)
    text = printed(table, width)
    assert ELLIPSIS not in text
    assert max(map(cell_len, text.splitlines())) <= width
    assert str(sum(counts(classes)[3])) in text


def test_many_classes_are_summed_up() -> None:
    lines = printed(plan_table(counts(77), MANY, 10), 80).splitlines()
    assert lines[2].split() == ["client", "examples", "classes", "largest", "class", "share"]
    assert lines[4].split() == ["0", "151", "61", "card_payment_number_04..", "2.6", "%"]
    assert "77 classes, of which a client holds 61 to 62" in " ".join(lines)


def test_many_clients_are_left_out_in_the_middle() -> None:
    text = printed(plan_table(counts(2, 30), ["a", "b"], 28), 80)
    assert " 9 " in text
    assert " 10 " not in text
    assert "29 (newcomer)" in text
    assert "30 clients of 1 to 7 examples, median 4" in " ".join(text.split())


def test_a_narrow_table_becomes_blocks() -> None:
    table = new_table("Title")
    for name in ("model", "accuracy", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("seed, untrained", "49.9 %", "48.5 - 51.3")
    assert "seed, untrained    49.9 %  48.5 - 51.3" in printed(table, 60)
    narrow = [line.rstrip() for line in printed(table, 24).splitlines()]
    assert narrow == ["Title", "seed, untrained", "  accuracy 49.9 %", "  interval 48.5 - 51.3"]


def test_markdown_with_many_columns_becomes_blocks() -> None:
    head = ["row", *(f"recognised{number}" for number in range(9))]
    markdown = FittingMarkdown(grid(head, [["weights", *"123456789"]]))
    assert ELLIPSIS not in printed(markdown, 80)
    assert "  recognised0 1" in printed(markdown, 80)
    assert "recognised0  recognised1" in printed(markdown, 140)


def test_wide_letters_and_brackets() -> None:
    text = printed(plan_table([[1, 2]], ["[red]正面[/red]", "负面"], 1), 80)
    assert "[red]正面[/red]" in text
    assert "?" in printed(plan_table([[1, 2]], ["正面", "负面"], 1), 80, "ascii")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short", "short"),
        ("a" * 24, "a" * 24),
        ("a" * 25, "a" * 22 + ".."),
        ("two\nlines\tand \x1b[31m", "two lines and [31m"),
        ("正" * 20, "正" * 11 + ".."),
    ],
)
def test_the_name_of_a_class_on_a_screen(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_the_classes_of_a_test_in_a_line() -> None:
    assert class_balance([1_200, 3], ["bad", "good"]) == "1,200 bad, 3 good"
    assert class_balance([2] * 77, MANY) == "2 of each of 77 classes"
    line = class_balance([5, 9, *[7] * 75], MANY)
    assert line == (
        "of each of 77 classes from 5 (card_payment_number_00..) to 9 (card_payment_number_01..)"
    )
