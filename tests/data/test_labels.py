"""Labels in any clothing are the same classes; what cannot be one label is refused."""

from decimal import Decimal

import pytest

from fedseed.data.labels import ClassNumbers, to_class_numbers
from fedseed.errors import DataError


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, 1], [1.0, 0.0, 1.0], ["1", "0", "1"], ["1.0", "0", "1.00"], [True, False, True],
        ["true", "False", "TRUE"], [Decimal("1.0"), Decimal(0), Decimal(1)], ["+1", "-0", "1e0"],
        [1, "0", 1.0], [[1], [0], [1]], [b"1", b"0", b"1"],
    ],
)  # fmt: skip
def test_numbers_in_any_clothing(values: list[object]) -> None:
    numbers, names = to_class_numbers(values, "x")
    assert numbers == [1, 0, 1]
    assert names in (("0", "1"), ("false", "true"))


def test_numerical_order() -> None:
    assert to_class_numbers(["10", "9", "0.5", "-1"], "x")[1] == ("-1", "0.5", "9", "10")


@pytest.mark.parametrize("word", ["NA", "nan", "NULL", "None", ".", "?", "-", "#N/A"])
def test_a_word_for_none_among_numbers(word: str) -> None:
    with pytest.raises(DataError, match="data row 3 is missing"):
        to_class_numbers([0, 1, word, 1], "x")
    assert word in to_class_numbers(["good", "bad", word], "x")[1]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["0,0", "2,0", "10,0"], ("0", "2", "10")),
        (["0,0", "2", "10,0", "2,0"], ("0", "2", "10")),
        (["0", "0,5", "1,50", "1,5"], ("0", "0.5", "1.5")),
        (["0", "1,0", "1", "0,0"], ("0", "1")),
        (["1,5", "few"], ("1,5", "few")),
        (["Health, Body", "Body"], ("Body", "Health, Body")),
        (["\u200bneg", "neg\ufeff", "neg", "pos", "1\u200b", "1"], ("1", "neg", "pos")),
        (["['pos']", "pos", ["neg"], "[1]"], ("1", "neg", "pos")),
    ],
)
def test_one_class_however_it_is_written(values: list[object], names: tuple[str, ...]) -> None:
    assert to_class_numbers(values, "x")[1] == names


def test_a_decimal_comma_is_a_decimal_point_and_said() -> None:
    collected = ClassNumbers()
    for row, value in enumerate(["1,0", "0,0", "10,0", "1,0"], 1):
        collected.add(value, "x", row)
    assert collected.finish("x")[0].tolist() == [1, 0, 2, 1]
    assert collected.notes == ["labels with a decimal comma are numbers"]


def test_a_scale_of_halves() -> None:
    stars = ["1", "1,5", "2", "2,5", "3", "3,5", "4", "4,5", "5"]
    assert to_class_numbers(stars, "x")[1] == tuple(star.replace(",", ".") for star in stars)


def test_numbers_before_words() -> None:
    assert to_class_numbers(["b", "2", "a", "10"], "x")[1] == ("2", "10", "a", "b")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["a", None], "data row 2 is missing"),
        (["a", " "], "data row 2 is missing"),
        (["a", float("nan")], "data row 2 is missing"),
        (["a", ["b", "c"]], "data row 2 has several labels"),
        (["a", []], "data row 2 has several labels"),
        (["a", "['b', 'c']"], "data row 2 has several labels"),
        (["a", "[0, 2]"], "data row 2 has several labels"),
        (["a", {"b": 1}], "data row 2 has several labels"),
        (["pos", "neg", "pos|neg"], "data row 3 has several labels"),
        (["pos", "neg", "pos, neg"], "data row 3 has several labels"),
        (["0", "1", "0;1"], "data row 3 has several labels"),
        (["0", "1", "0,1"], "data row 3 has several labels"),
        ([2, "5", "0", "2,5", "1,5"], "data row 4 has several labels"),
        (["a", "b", r"\N"], "data row 3 is missing"),
        (["a", "\u200b"], "data row 2 is missing"),
        (["so\u200bso", "good", "soso"], "data rows 1 and 3"),
        (["good", "bad", "Good"], "data rows 1 and 3"),
        (["two  words", "bad", "two words"], "data rows 1 and 3"),
        (["a", "a"], "one class only"),
        (list(range(300)), "300 distinct labels"),
    ],
)
def test_refused_without_the_cell(values: list[object], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        to_class_numbers(values, "x")
    assert "good" not in str(caught.value).lower()


def test_classes_that_the_source_names() -> None:
    collected = ClassNumbers()
    collected.name_classes(("neg", "so", "pos"), "x")
    for row, value in enumerate([2, "neg", 0, "2"], 1):
        collected.add(value, "x", row)
    numbers, names = collected.finish("x")
    assert (numbers.tolist(), names) == ([2, 0, 0, 2], ("neg", "so", "pos"))
    for value, says in ((-1, "means none"), (3, "none of the 3"), ("other", "none of the 3")):
        with pytest.raises(DataError, match=says):
            collected.add(value, "x", 5)
    with pytest.raises(DataError, match="name the classes differently"):
        collected.name_classes(("a", "b"), "y")
