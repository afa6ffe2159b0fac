"""Saved classifiers: transformers' pipeline gives the probabilities that fedseed gives."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fedseed.errors import ConfigError
from fedseed.models.architecture import CAUSAL
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import build, find_model, to_state
from fedseed.models.saving import save_classifier
from fedseed.models.taking import published_weights
from fedseed.runs.labelling import Classifier, open_classifier
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from tests.models.folders import tensors

TEXTS = [
    "A Wonderful film, café au lait!", "", "bad " * 100, "x y z", "naïve ﬁle ②  and\ttabs",
    "[CLS] [MASK] tokens in a text [SEP]", "日本語の文",
]  # fmt: skip
CLASSES = ("negative", "so so", "positive: é")
LENGTH = 24


def pipeline_of(folder: Path) -> np.ndarray:
    """What transformers says of the texts, shape ``(texts, classes)``."""
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    classify = pipeline("text-classification", model=str(folder))
    answers = classify(TEXTS, truncation=True, top_k=None)
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return np.array([[score[name] for name in CLASSES] for score in scores])


def ours(module: nn.Module, model: str) -> np.ndarray:
    return Classifier(module, tokenizer_file(model), CLASSES, LENGTH).probabilities(TEXTS)


@pytest.mark.parametrize("scheme", ["scaled", "bert"])
def test_the_lean_model(scheme: str, tmp_path: Path) -> None:
    module = grow(encode(random_seed("bert-tiny", 3, 5, scheme)))
    with torch.no_grad():
        # So that texts differ by more than rounding.
        module.get_parameter("bert.embeddings.word_embeddings.weight").mul_(20)
        module.get_parameter("classifier.weight").mul_(3)
    model = find_model("bert-tiny", 3)
    save_classifier(tmp_path / "m", model, to_state(module), CLASSES, LENGTH, "# A card")
    expected = ours(module, "bert-tiny")
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(pipeline_of(tmp_path / "m"), expected, atol=1e-5)
    assert (tmp_path / "m" / "README.md").read_text() == "# A card"
    again = open_classifier(str(tmp_path / "m"))
    assert (again.classes, again.max_length) == (CLASSES, LENGTH)
    np.testing.assert_allclose(again.probabilities(TEXTS), expected, atol=1e-6)


def generic_folder(path: Path) -> str:
    """A small DistilBERT without a head, under bert-base-uncased's tokenizer."""
    from transformers import DistilBertConfig, DistilBertModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = DistilBertConfig(
            vocab_size=30_522, n_layers=2, dim=16, hidden_dim=32, n_heads=2,
            max_position_embeddings=32, initializer_range=0.3,
        )  # fmt: skip
        DistilBertModel(config).save_pretrained(path)
    (path / "tokenizer.json").write_bytes(tokenizer_file("bert-tiny").read_bytes())
    return str(path)


def test_another_architecture(tmp_path: Path) -> None:
    """It takes no token types, and is computed by the library's own module."""
    name = generic_folder(tmp_path / "body")
    model = find_model(name, 3)
    rng = np.random.Generator(np.random.PCG64(4))
    given = published_weights(model)
    state = {
        part: given.weights.get(part, rng.normal(0, 0.5, shape).astype(np.float32))
        for part, shape in model.shapes().items()
    }
    module = build(model, state)
    save_classifier(tmp_path / "m", model, to_state(module), CLASSES, LENGTH, "")
    expected = ours(module, name)
    assert expected.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(pipeline_of(tmp_path / "m"), expected, atol=1e-5)
    np.testing.assert_allclose(
        open_classifier(str(tmp_path / "m")).probabilities(TEXTS), expected, atol=1e-6
    )


def test_no_path_of_this_machine_is_saved(tmp_path: Path) -> None:
    name = generic_folder(tmp_path / "body")
    model = find_model(name, 3)
    state = {part: np.zeros(shape, np.float32) for part, shape in model.shapes().items()}
    save_classifier(tmp_path / "m", model, state, CLASSES, LENGTH, "")
    for path in (tmp_path / "m").glob("*.json"):
        assert str(tmp_path) not in path.read_text()
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForSequenceClassification"]


def test_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="language model"):
        save_classifier(tmp_path / "m", find_model("gpt2-tiny", CAUSAL), {}, CLASSES, 9, "")
    assert not (tmp_path / "m").exists()


def test_a_body_is_no_classifier(tmp_path: Path) -> None:
    from tests.models.folders import make_folder

    name = make_folder(tmp_path / "body", {"model.safetensors": tensors(head=False)})
    with pytest.raises(ConfigError, match="no trained classifier"):
        open_classifier(name)
