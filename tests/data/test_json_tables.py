"""JSON in the shapes that other tools write: read where the shape is sure, or refused."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from fedseed.errors import DataError

from .made_tables import json_lines, put, rows, separated
from .test_formats import load

TWO = rows(60, 60)
RECORDS: list[dict[str, Any]] = [{"text": text, "label": label} for text, label in TWO]


@pytest.mark.parametrize("orient", ["columns", "index", "records", "table"])
def test_as_pandas_writes_it(tmp_path: Path, orient: Any) -> None:
    expected = load(put(tmp_path / "a.csv", separated(TWO))).sha256
    pandas.DataFrame(RECORDS).to_json(tmp_path / "a.json", orient=orient)
    assert load(tmp_path / "a.json").sha256 == expected
    value = json.loads((tmp_path / "a.json").read_text())
    assert load(put(tmp_path / "b.json", json.dumps(value, indent=1))).sha256 == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json_lines([[text, label] for text, label in TWO]), "has a list in each line"),
        (json_lines([{"data": r, "label": r["label"]} for r in RECORDS]), "flatten nested"),
        (json.dumps({"a": {"x": "q", "y": 1}, "b": {"x": "q", "y": 0}}), "orient="),
        (json.dumps({"text": {"0": "q", "1": "q"}, "label": {"0": 1}}), "orient="),
        (
            json_lines([*RECORDS[:40], *({"review": t, "label": n} for t, n in TWO[40:])]),
            "data row 41 has no key for the text",
        ),
        (
            json.dumps([*RECORDS[:110], *({"Text": t, "label": n} for t, n in TWO[110:])]),
            "data row 111 has no key for the text",
        ),
    ],
)
def test_refused(tmp_path: Path, content: str, says: str) -> None:
    path = put(tmp_path / "a.json", content)
    with pytest.raises(DataError, match=says) as caught:
        load(path, text="data" if "flatten" in says else None)
    assert "note" not in str(caught.value)


@pytest.mark.parametrize("option", [{"separator": ";"}, {"header": "no"}])
def test_options_without_effect(tmp_path: Path, option: dict[str, str]) -> None:
    path = put(tmp_path / "a.jsonl", json_lines(RECORDS))
    with pytest.raises(DataError, match="leave out --separator"):
        load(path, **option)


def test_a_text_that_is_left_out_is_an_empty_one(tmp_path: Path) -> None:
    records = [{"reviewText": text, "overall": label} for text, label in rows(60, 60)]
    del records[50]["reviewText"]
    path = put(tmp_path / "a.jsonl", json_lines(records))
    dataset = load(path, text="reviewText", label="overall")
    assert (len(dataset.train) + len(dataset.test), dataset.empty_dropped) == (119, 1)
