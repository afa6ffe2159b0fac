"""The zero-shot study: what is retained, perplexities, and text that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedseed.errors import ConfigError, DataError, InputError, OutputError, SeedError
from fedseed.seeds.codec import write_seed
from fedseed.seeds.kinds.random import random_seed
from fedseed.studies.base import study_command
from fedseed.studies.zero_shot import study as zero_shot
from fedseed.studies.zero_shot.language import language_of, text_of
from fedseed.studies.zero_shot.language_model import trained_folder
from fedseed.studies.zero_shot.study import ZeroShot
from tests.studies.conftest import Run, lasting


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the film was great and the plot was very good . " * 60)
    return path


@pytest.fixture(scope="module")
def gpt2(text: Path) -> Path:
    """A folder in the hub's format, trained for a few steps."""
    from fedseed.data.plain_text import PlainText
    from fedseed.studies.zero_shot.options import TRAINING

    content = text.read_text()
    recipe = TRAINING.replace(steps=4, batch_size=2, max_length=32)
    return trained_folder(PlainText("test", (content,), (content,)), recipe)


def test_classifier(run: Run, tmp_path: Path) -> None:
    options = {"k": "2,128", "step": 0.0005, "budget": "*=3", "lexicon_bytes": "200,600"}
    record = run(ZeroShot, part="classifier", **options)
    cells = {(cell["row"], cell.get("test_set")): cell for cell in record["results"]["cells"]}
    original = cells["original", "balanced"]
    assert (
        original["accuracy"]["value"] == record["results"]["originals"]["balanced"]["value"] > 0.7
    )
    assert original["retention_plain"] == 1.0
    assert original["seed_kind"] is None
    keys = ("seed_kind", "model", "task", "max_length")
    about = tuple(cells["pca(128)", "balanced"][key] for key in keys)
    assert about == ("pca", "bert-tiny", "reviews", 16)
    assert cells["lexicon(200)", "balanced"]["seed_kind"] == "lexicon"
    assert cells["random-bert", "one_class"]["seed_kind"] == "random"
    assert original["reconstruction_error"] == 0.0
    # Every component and a fine step keep the whole model; the moments keep nothing.
    assert (
        cells["pca(128)", "balanced"]["accuracy"]["value"] >= original["accuracy"]["value"] - 0.05
    )
    assert cells["pca(128)", "balanced"]["reconstruction_error"] < 0.3
    assert cells["stats", "balanced"]["reconstruction_error"] == pytest.approx(1.41, abs=0.1)
    assert cells["random-bert", "balanced"]["accuracy"]["value"] == pytest.approx(0.5, abs=0.2)
    assert cells["random-bert", "one_class"]["accuracy"]["majority_baseline"] == 1.0
    for size in (200, 600):
        lexicon = cells[f"lexicon({size})", "balanced"]
        assert lexicon["bytes"] <= size
        linear = lexicon["linear_accuracy"]
        assert lexicon["accuracy"]["value"] >= original["accuracy"]["value"] - 0.1
        assert abs(lexicon["accuracy"]["value"] - linear["value"]) <= 0.05
        assert linear["n"] == lexicon["accuracy"]["n"]
        assert lexicon["reconstruction_error"] is None
    assert cells["stats", "balanced"]["linear_accuracy"] is None
    assert "linear model" in (tmp_path / "run" / "table.md").read_text()
    assert cells["pca by budget", "balanced"]["bytes"] > cells["pca(2)", "balanced"]["bytes"] / 2


def test_language_model_of_a_folder(run: Run, gpt2: Path, text: Path, tmp_path: Path) -> None:
    options = {"model": str(gpt2), "text": str(text), "context": 32, "k": "1,8"}
    record = run(ZeroShot, **options)
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    assert set(cells) == {
        "original", "random-bert", "minimal", "stats", "pca(1)", "pca(8)", "unigram", "uniform",
    }  # fmt: skip
    for cell in cells.values():
        assert cell["part"] == "language"
        assert (cell["perplexity"] is None) == cell["infinite"]
    assert cells["original"]["perplexity"] < cells["uniform"]["perplexity"]
    assert cells["original"]["context"] == 32
    assert cells["original"]["stride"] == 16
    assert cells["original"]["retention_chance_corrected"] == 1.0
    assert cells["uniform"]["retention_chance_corrected"] == 0.0
    assert not any(row.startswith("unigram(") for row in cells)  # no text beside the tested one
    assert cells["minimal"]["bytes"] <= 64 + len(str(gpt2)) + 1
    table = (tmp_path / "run" / "table.md").read_text()
    assert "windows of 32 tokens every 16" in table
    assert lasting(record) == lasting(run(ZeroShot, "again", workers=2, **options))


def test_unigram_seeds_of_other_text(
    run: Run, gpt2: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedseed.data.plain_text import PlainText
    from fedseed.studies.zero_shot import cells as zero_shot_cells
    from fedseed.studies.zero_shot import language

    content = text.read_text()
    both = PlainText("test", (content[::-1], content), (content,))
    for module in (language, zero_shot_cells, zero_shot):
        monkeypatch.setattr(module, "text_of", lambda _config: both)
    language_of.cache_clear()
    options = {"model": str(gpt2), "text": str(text), "context": 32, "k": "1"}
    record = run(ZeroShot, unigram_steps="0.25,3", **(options | {"repeats": 1}))
    language_of.cache_clear()
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    fine, unigram = cells["unigram(0.25)"], cells["unigram"]
    assert fine["loss_nats"] == pytest.approx(unigram["loss_nats"], abs=0.125)
    assert cells["unigram(3)"]["bytes"] < fine["bytes"] < 2000


def test_infinite_perplexity_is_shown_as_such(
    run: Run, gpt2: Path, text: Path, tmp_path: Path
) -> None:
    """Weights that are a thousand times too large: a loss beyond what exp can hold."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "large"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((gpt2 / name).read_bytes())
    weights = load_file(gpt2 / "model.safetensors")
    weights["transformer.ln_f.weight"] = weights["transformer.ln_f.weight"] * 30_000
    save_file(weights, folder / "model.safetensors")
    record = run(ZeroShot, model=str(folder), text=str(text), context=32, k="1", repeats=1)
    cells = {cell["row"]: cell for cell in record["results"]["cells"]}
    assert cells["original"]["infinite"] is True
    assert cells["original"]["perplexity"] is None
    assert cells["original"]["loss_nats"] > 709
    assert "infinite" in (tmp_path / "run" / "table.md").read_text()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"text": "nowhere.txt"}, DataError, "nowhere"),
        ({"context": 4096}, ConfigError, "4096"),
        ({"context": 16, "stride": 17}, ConfigError, "stride"),
        ({"test_tokens": 20}, DataError, "fewer than the context"),
        ({"k": "500"}, SeedError, "k = 500"),
        ({"k": "two"}, ConfigError, "whole numbers"),
        ({"k": "\u00b2"}, ConfigError, "whole numbers"),
        ({"unigram_steps": "fine"}, ConfigError, "write steps in nats"),
        ({"unigram_steps": "0"}, ConfigError, "write steps in nats"),
        ({"budget": ","}, ConfigError, "write PATTERN=K"),
        ({"budget": "*=\u00b2"}, ConfigError, "write PATTERN=K"),
        ({"language_model": "none-such"}, ConfigError, "none-such"),
        ({"seed_file": "nowhere.fseed"}, SeedError, "nowhere"),
    ],
)
def test_bad_input(
    run: Run, gpt2: Path, text: Path, changes: dict[str, Any], error: type[InputError], words: str
) -> None:
    options = {"language_model": str(gpt2), "text": str(text), "part": "language", "k": "1"}
    with pytest.raises(error, match=words):
        run(ZeroShot, **(options | changes))


def test_components_are_refused_before_anything_is_trained(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedseed.studies.zero_shot.study.original_of", pytest.fail)
    with pytest.raises(SeedError, match=r"k = 500: .* ranks up to"):
        run(ZeroShot, part="classifier", k="2,500")


def test_an_empty_text(run: Run, gpt2: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(DataError, match="is empty"):
        run(ZeroShot, language_model=str(gpt2), text=str(tmp_path / "empty.txt"))


def test_weights_with_nan_are_refused(run: Run, gpt2: Path, text: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((gpt2 / name).read_bytes())
    weights = load_file(gpt2 / "model.safetensors")
    weights["transformer.wpe.weight"][3, 3] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(SeedError, match="NaN"):
        run(ZeroShot, model=str(folder), text=str(text), k="1")


def test_a_seed_of_another_architecture(run: Run, tmp_path: Path) -> None:
    write_seed(tmp_path / "mini.fseed", random_seed("bert-mini", 2, 1, "bert"))
    with pytest.raises(SeedError, match="bert-mini"):
        run(ZeroShot, part="classifier", seed_file=str(tmp_path / "mini.fseed"))


def test_a_seed_file_is_measured_too(run: Run, tmp_path: Path) -> None:
    write_seed(tmp_path / "another.fseed", random_seed("bert-tiny", 2, 1, "bert"))
    record = run(
        ZeroShot, part="classifier", seed_file=str(tmp_path / "another.fseed"), k="2", budget="",
        repeats=1,
    )  # fmt: skip
    assert "file" in [cell["row"] for cell in record["results"]["cells"]]


def test_text_from_a_folder_in_the_hubs_format(tmp_path: Path) -> None:
    from fedseed.data.plain_text import open_text

    for part in ("train", "test"):
        lines = [json.dumps({"text": f"{part} line {number}"}) for number in range(3)]
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines))
    text = open_text(f"hub:{tmp_path}")
    assert text.test == ("test line 0\n\ntest line 1\n\ntest line 2",)
    assert text.train[0].startswith("train line 0")


def test_resume_refuses_another_text(
    run: Run, gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = tmp_path / "changing.txt"
    changing.write_text("a text that will change . " * 60)

    def interrupted(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(zero_shot, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(ZeroShot, language_model=str(gpt2), text=str(changing), context=32, k="1")
    changing.write_text("another text altogether . " * 60)
    text_of.cache_clear()
    language_of.cache_clear()
    with pytest.raises(OutputError, match="text changed"):
        study_command(ZeroShot, {}, None, str(tmp_path / "run"), True, Console(quiet=True))
