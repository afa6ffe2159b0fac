"""A published head's classes are matched to the data's by name."""

from pathlib import Path

import pytest

from fedseed.errors import ConfigError, SeedError
from fedseed.models.head import class_names, head_rows, start_notes
from fedseed.models.registry import find_model
from tests.models.folders import make_folder, tensors

DATA = ("negative", "neutral", "positive")
NAMES = {"0": "Positive", "1": "negative ", "2": "NEUTRAL"}


def rows(
    path: Path, names: object, classes: tuple[str, ...] = DATA, **more: object
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    model = find_model(make_folder(path, id2label=names, **more), len(classes))
    return head_rows(model, classes), start_notes(model, classes)


def test_rows_follow_the_names(tmp_path: Path) -> None:
    found, notes = rows(tmp_path, NAMES)
    assert found == (1, 2, 0)
    assert len(notes) == 1
    assert "by name" in notes[0]


@pytest.mark.parametrize(
    ("names", "classes", "says"),
    [
        (None, DATA, "no names: taken in the order"),
        ({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, DATA, "no names"),
        ({"0": 0, "1": 1, "2": 2}, DATA, "no names"),
        (dict(enumerate(DATA)), DATA, "the same order"),
        (NAMES, ("0", "1", "2"), "the data's classes are numbers"),
    ],
)
def test_rows_that_stay(tmp_path: Path, names: object, classes: tuple[str, ...], says: str) -> None:
    found, notes = rows(tmp_path, names, classes)
    assert found == ()
    assert says in notes[0]


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        ("321", ("1", "2", "3"), (2, 1, 0)),
        (("1", "0", "-1"), ("-1", "0", "1"), (2, 1, 0)),
        (("2.0", "0.0", "1.0"), ("0", "1", "2"), (1, 2, 0)),
        (("LABEL_2", "LABEL_1", "LABEL_0"), ("LABEL_0", "LABEL_1", "LABEL_2"), (2, 1, 0)),
        (("ne\u0301", "b", "c"), ("b", "c", "n\u00e9"), (1, 2, 0)),
        ("201", ("a", "b", "c"), ()),
        ("123", ("0", "1", "2"), ()),
    ],
)
def test_numbers_are_names_where_both_have_the_same(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    table = {str(row): name for row, name in enumerate(names)}
    back = {name: row for row, name in enumerate(names)}
    found, notes = rows(tmp_path, table, classes, label2id=back)
    assert found == expected
    assert ("by name" in notes[0]) == bool(expected)


def test_as_many_names_as_the_head_has_rows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has 2 classes, and its head 3"):
        rows(tmp_path, {"0": "negative", "1": "positive"})
    with pytest.raises(ConfigError, match="contradict"):
        rows(tmp_path, dict(enumerate("201")), label2id={"2": 1, "0": 0, "1": 2})


def test_names_in_label2id_alone(tmp_path: Path) -> None:
    default = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    back = {"positive": 0, "negative": 1, "neutral": 2}
    assert rows(tmp_path, default, label2id=back)[0] == (1, 2, 0)
    with pytest.raises(ConfigError, match="contradict"):
        rows(tmp_path / "other", dict(enumerate(DATA)), label2id=back)


@pytest.mark.parametrize("classes", [("a", "b", "secret"), ("1", "2", "3"), ("x", "X", "y")])
def test_other_names_are_refused_without_the_datas(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match=r"Positive, negative , NEUTRAL.*AutoModel") as caught:
        rows(tmp_path, NAMES, classes)
    assert "secret" not in str(caught.value)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"number of classes, 3 instead of 2.*AutoModel"):
        rows(tmp_path, NAMES, ("negative", "positive"))


@pytest.mark.parametrize("names", [[], {"1": "a"}, {"0": "a", "2": "b"}, {"0": None}, "x"])
def test_malformed_names(tmp_path: Path, names: object) -> None:
    name = make_folder(tmp_path, id2label=names)
    if names == []:
        assert class_names(name) == ()
        return
    with pytest.raises(ConfigError, match="id2label"):
        class_names(name)


def test_a_body_has_no_classes(tmp_path: Path) -> None:
    name = make_folder(tmp_path, {"model.safetensors": tensors(head=False)}, id2label=NAMES)
    model = find_model(name, 2)
    assert head_rows(model, ("a", "b")) == ()
    notes = start_notes(model, ("a", "b"))
    assert notes == (f"drawn at random, as {name} lacks them: classifier.weight, classifier.bias",)
