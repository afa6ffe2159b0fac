"""All bytes in one picture: from records as they are committed, and from those that do not fit."""

import json
from pathlib import Path

import pytest

from fedseed.errors import OutputError
from fedseed.results.all_bytes.figure import bytes_figure
from fedseed.results.all_bytes.points import gather
from fedseed.results.all_bytes.table import bytes_table

OFFICIAL = Path(__file__).parents[2] / "results" / "official"
SEEDS, PROTOCOLS = str(OFFICIAL / "zero_shot-128"), str(OFFICIAL / "comparison-words-256")


def test_points_are_the_records(tmp_path: Path) -> None:
    record = gather([SEEDS, PROTOCOLS]).to_dict()
    points = {(one["what"], one["row"]): one for one in record["results"]["points"]}
    seeds = json.loads((Path(SEEDS) / "record.json").read_text())["results"]["cells"]
    lexicons = [c for c in seeds if c["row"].startswith("lexicon") and c["test_set"] == "balanced"]
    assert len(lexicons) == 4
    for cell in lexicons:
        point = points["seed", cell["row"]]
        assert (point["bytes"], point["accuracy"]) == (cell["bytes"], cell["accuracy"])
        assert point["max_length"] == 128
    cells = json.loads((Path(PROTOCOLS) / "record.json").read_text())["results"]["cells"]
    first = [cell for cell in cells if cell["partition"] == cells[0]["partition"]]
    for cell in first:
        sent = cell["payload_bytes"]["per_client"]
        assert points["protocol", cell["row"]]["bytes"] == round(sent["up"] + sent["down"])
    assert len(points) == len(first) + len({c["row"] for c in seeds})
    table = bytes_table(record)
    assert table.index("seed lexicon(600)") < table.index("seed lexicon(1500)")
    assert "n = 4,980" in table
    assert "majority baseline 50.1 %" in table
    bytes_figure(record, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_a_quick_source_is_said(tmp_path: Path) -> None:
    record = json.loads((Path(PROTOCOLS) / "record.json").read_text())
    record["config"]["quick"] = True
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    made = gather([SEEDS, str(path)]).to_dict()
    assert made["config"]["quick"] is True
    assert "--quick" in bytes_table(made)
    twice = gather([PROTOCOLS, PROTOCOLS]).results["linear"]
    assert len(twice) == len(gather([PROTOCOLS]).results["linear"])


def test_a_record_without_bytes() -> None:
    with pytest.raises(OutputError, match="zero-shot study or comparison"):
        gather([str(OFFICIAL / "budget")])


def test_a_record_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot read"):
        gather([str(tmp_path / "none")])


@pytest.mark.parametrize(
    "change", ["other texts", "no bytes", "nothing", "other task", "no baselines"]
)
def test_records_that_do_not_fit(tmp_path: Path, change: str) -> None:
    record = json.loads((Path(PROTOCOLS) / "record.json").read_text())
    for cell in record["results"]["cells"]:
        if change == "other texts":
            cell["accuracy"]["class_counts"] = [2480, 2500]
        if change == "no bytes":
            del cell["payload_bytes"]
    if change == "other task":
        record["task"] = "sentences"
    if change == "no baselines":
        del record["results"]["baselines"]
    if change == "nothing":
        record["results"]["cells"] = record["results"]["cells"][:1]
        record["results"]["cells"][0]["condition"] = "poison"
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    words = {
        "other task": "same texts",
        "no baselines": "lacks what",
        "other texts": "same texts",
        "no bytes": "lacks what",
        "nothing": "no accuracies",
    }
    with pytest.raises(OutputError, match=words[change]):
        gather([SEEDS, str(path)])


def test_the_command_writes_a_folder(tmp_path: Path) -> None:
    from fedseed.cli.exit_status import run_app
    from fedseed.cli.main import app

    out = tmp_path / "bytes"
    assert run_app(app, ["bytes", SEEDS, PROTOCOLS, "--out", str(out)]) == 0
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {"record.json", "table.md", "figure.png"}
    record = json.loads((out / "record.json").read_text())
    assert (record["kind"], record["status"]) == ("bytes", "completed")
    assert [one["record"] for one in record["provenance"]["records"]] == [SEEDS, PROTOCOLS]
    assert bytes_table(record) == (out / "table.md").read_text()


def test_published_models_stand_beside_and_nothing_stands_twice() -> None:
    models = str(OFFICIAL / "comparison-models")
    points = gather([SEEDS, PROTOCOLS, models]).results["points"]
    names = [(one["row"], one["max_length"]) for one in points]
    assert len(set(names)) == len(names)
    published = {one["row"] for one in points if "body_bytes" in one}
    assert published == {name for name, _ in names if name.endswith("(minilm)")} != set()


def test_names_hide_neither_points_nor_each_other() -> None:
    from fedseed.results.all_bytes.labels import OFFSETS, place

    points = [(100.0 + 12 * n, 100.0 + 5 * (n % 3)) for n in range(6)]
    offsets = place(["a name"] * 6, points, [(100.0, 120.0)], (400.0, 300.0))
    assert set(offsets) <= set(OFFSETS)
    middles = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(points, offsets, strict=True)]
    for n, (x, y) in enumerate(middles):
        for u, v in middles[n + 1 :]:
            assert abs(x - u) > 28 or abs(y - v) > 10.9
        for u, v in (*points, (100.0, 120.0)):
            assert abs(x - u) > 14 + 6.9 or abs(y - v) > 5.5 + 6.9
    assert offsets[0] != OFFSETS[0]  # a point stands there
