"""A run that starts from a published model says what it takes of it, and tests it as it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedseed.config import RunConfig
from fedseed.runs.evaluate import zero_shot
from fedseed.runs.plan import make_plan
from fedseed.seeds.codec import write_seed
from fedseed.seeds.kinds.pretrained import pretrained_seed
from tests.models.folders import make_folder, tensors

Command = Callable[..., tuple[int, str, str]]
NAMES = {"0": "positive", "1": "negative", "2": "neutral"}


@pytest.fixture
def phrases(tmp_path: Path) -> Path:
    """Three classes, 80 % positive."""
    kinds = ["negative", "neutral", *["positive"] * 8]
    rows = [f"text {n} of {kinds[n % 10]},{kinds[n % 10]}" for n in range(200)]
    path = tmp_path / "phrases.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A fine-tuned head that always answers "positive"."""
    parts = dict(tensors())
    parts |= {"classifier.bias": np.array([5, 0, 0], np.float32)}
    parts["bert.embeddings.word_embeddings.weight"] = np.ones((30_522, 16), np.float32)
    parts["classifier.weight"] = np.zeros((3, 16), np.float32)
    files = {"model.safetensors": parts}
    return make_folder(tmp_path / "model", files, id2label=NAMES, vocab_size=30_522)


def options(phrases: Path, model: str, **more: Any) -> dict[str, Any]:
    return {
        "data": str(phrases), "model": model, "max_length": 16, "clients": 2, "newcomers": 1,
    } | more  # fmt: skip


def test_a_head_is_right_before_training(small: dict[str, Any], phrases: Path, model: str) -> None:
    config = RunConfig.parse(options(phrases, model, recipe=small["recipe"]))
    plan = make_plan(config)
    assert zero_shot(plan).value == pytest.approx(0.8)
    assert plan.encoded_seed == make_plan(config).encoded_seed


def test_it_is_said_in_the_plan_and_in_the_record(
    command: Command, phrases: Path, model: str, tmp_path: Path
) -> None:
    given = options(phrases, model, rounds=1, steps=1)
    status, out, _ = command("--dry-run", **given)
    assert status == 0
    assert f"head of {model}: its classes are matched to the data's by name" in out
    status, _, err = command("--quiet", out=tmp_path / "run", **given)
    assert status == 0, err
    provenance = json.loads((tmp_path / "run" / "record.json").read_text())["provenance"]
    assert provenance["model_notes"][0].startswith("head of")
    assert provenance["seed"]["head_rows"] == [1, 2, 0]


def test_a_random_start_says_nothing(command: Command) -> None:
    status, out, _ = command("--dry-run")
    assert status == 0
    assert "drawn" not in out


def test_a_seed_file_with_another_order_is_refused(
    command: Command, phrases: Path, model: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.fseed"
    given = options(phrases, model) | {"model": None, "seed_file": path}
    write_seed(path, pretrained_seed(model, 3, 1, ("negative", "neutral", "positive")))
    assert command("--dry-run", **given)[0] == 0
    write_seed(path, pretrained_seed(model, 3, 1))
    status, _, err = command("--dry-run", **given)
    assert status == 2
    assert "in another order" in err


def test_a_folder_is_looked_at_before_the_texts(
    command: Command, phrases: Path, model: str
) -> None:
    (Path(model) / "model.safetensors").rename(Path(model) / "pytorch_model.bin")
    status, _, err = command("--dry-run", **options(phrases, model))
    assert status == 2
    assert "save_pretrained" in err
    assert "tokenising" not in err


def test_a_byte_order_mark_in_a_config_file(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbfrounds = 1\n")
    assert command("--dry-run", config=path, rounds=None)[0] == 0
