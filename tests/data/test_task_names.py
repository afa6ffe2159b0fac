"""What the task of a data set is called."""

from pathlib import Path

import pytest

from fedseed.data.options import task_name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("bundled", "imdb"), ("bundled:sentences", "sentences"), ("hub", "imdb"),
        ("hub:stanfordnlp/sst2", "sst2"), ("hub:glue:mnli", "glue-mnli"),
        ("some/where/reviews.csv", "reviews"), ("reviews.v2.csv.gz", "reviews.v2"),
        ("REVIEWS.CSV.ZIP", "REVIEWS"), ("~/a.jsonl", "a"), ("C:thing.tsv", "C:thing"),
    ],
)  # fmt: skip
def test_names(data: str, name: str) -> None:
    assert task_name(data) == name


def test_a_folder_keeps_its_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "banking77.v2"
    folder.mkdir()
    assert task_name(f"{folder}/") == "banking77.v2"
    monkeypatch.chdir(folder)
    assert task_name(".") == "banking77.v2"
