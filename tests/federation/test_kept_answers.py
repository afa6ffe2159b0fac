"""What a node answered, on disk: whole or not there, and no more of it than is of use."""

import json
from pathlib import Path

import pytest

from fedseed.errors import OutputError
from fedseed.federation.kept_answers import Counters
from fedseed.federation.kept_states import AFTER_ALL


def test_an_answer_is_given_to_its_own_question_alone(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    counters["answered"] = b"\x01"
    counters.keep("train", "1", 1, b"question", b"answer")
    again = Counters(tmp_path)
    assert again["answered"] == b"\x01"
    assert again.answer_to("train", "1", b"question") == b"answer"
    for kind, group, question in (
        ("train", "1", b"other"), ("train", "2", b"question"), ("train.share", "1", b"question"),
        ("evaluate", "1", b"question"),
    ):  # fmt: skip
        assert again.answer_to(kind, group, question) is None


def test_nothing_is_on_disk_before_it_is_committed(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "study")
    counters["answered"] = b"\x01"
    assert not (tmp_path / "study").exists()
    assert "answered" not in Counters(tmp_path / "study")
    counters.commit()
    assert dict(Counters(tmp_path / "study")) == {"answered": b"\x01"}


def test_a_later_round_and_many_tests_leave_little_on_disk(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    for number in (1, 2):
        for stage in ("train.advertise", "train"):
            counters.keep(stage, str(number), number, b"", f"{stage} {number}".encode())
    assert counters.answer_to("train", "1", b"") is None
    assert counters.answer_to("train.advertise", "2", b"") == b"train.advertise 2"
    for number in range(410):
        counters.keep("evaluate", f"of {number}", AFTER_ALL, b"", str(number).encode())
    assert counters.answer_to("evaluate", "of 9", b"") is None
    assert counters.answer_to("evaluate", "of 10", b"") == b"10"
    assert counters.answer_to("train", "2", b"") == b"train 2"
    assert len(list((tmp_path / "answers").iterdir())) == 402


def test_a_sum_that_is_forgotten_takes_all_its_stages_along(tmp_path: Path) -> None:
    counters = Counters(tmp_path)
    counters["summed"] = b"\x01"
    for kind, group in (("train.advertise", "2"), ("train.share", "2"), ("evaluate.share", "2")):
        counters.keep(kind, group, 2, b"", kind.encode())
    counters.forget("train.share", "2")
    counters.commit()
    left = Counters(tmp_path)
    assert left.answer_to("train.advertise", "2", b"") is None
    assert left.answer_to("evaluate.share", "2", b"") == b"evaluate.share"
    assert left["summed"] == b"\x01"


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_answer_is_not_given(tmp_path: Path, damage: str) -> None:
    Counters(tmp_path).keep("train", "1", 1, b"question", b"answer")
    [file] = (tmp_path / "answers").iterdir()
    if damage == "cut":
        file.write_bytes(b"answ")
    else:
        file.unlink()
    with pytest.raises(OutputError, match="the node's state"):
        Counters(tmp_path).answer_to("train", "1", b"question")
    assert json.loads((tmp_path / "counters.json").read_text())
