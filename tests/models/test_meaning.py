"""A published model is computed as its owner means it, or refused, or a note says what is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fedseed.errors import ConfigError
from fedseed.models.head import start_notes
from fedseed.models.registry import find_model, max_tokens
from fedseed.models.taking import drawn_parts, published_weights
from tests.models.folders import make_folder, tensors

DATA = ("a", "b", "c")


def notes_of(name: str) -> str:
    return "; ".join(start_notes(find_model(name, 3), DATA))


@pytest.mark.parametrize("act", ["gelu", "gelu_new"], ids=["lean", "transformers"])
@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"is_decoder": True}, "is a decoder"),
        ({"position_embedding_type": "relative_key"}, "of the kind relative_key"),
        ({"position_embedding_type": "alibi"}, "of the kind alibi"),
        ({"model_type": "xlnet"}, "reads a text's last position"),
    ],
)
def test_another_sense_is_refused(
    tmp_path: Path, act: str, entries: dict[str, Any], says: str
) -> None:
    name = make_folder(tmp_path, **({"hidden_act": act} | entries))
    with pytest.raises(ConfigError, match=says):
        max_tokens(name)
    with pytest.raises(ConfigError, match=says):
        published_weights(find_model(name, 3))


@pytest.mark.parametrize("act", ["gelu", "gelu_new"], ids=["lean", "transformers"])
def test_a_head_for_another_task_is_drawn_anew(tmp_path: Path, act: str) -> None:
    made_for = ["BertForTokenClassification"]
    parts = {name: part for name, part in tensors().items() if "pooler" not in name}
    files = {"model.safetensors": parts}
    name = make_folder(tmp_path, files, architectures=made_for, hidden_act=act)
    drawn = drawn_parts(find_model(name, 3))
    assert [part.rpartition(".")[0] for part in drawn[::2]] == ["bert.pooler.dense", "classifier"]
    assert "drawn at random, as" in notes_of(name)
    assert "was saved from BertForTokenClassification" in notes_of(name)


def test_heads_of_the_same_names_in_another_architecture(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=1, n_heads=2, vocab_size=60, num_labels=3
    )
    transformers.DistilBertForTokenClassification(config).save_pretrained(tmp_path)
    assert "saved from DistilBertForTokenClassification" in notes_of(str(tmp_path))
    assert len(drawn_parts(find_model(str(tmp_path), 3))) == 4


def test_code_of_a_folder_is_not_run(tmp_path: Path) -> None:
    name = make_folder(tmp_path, auto_map={"AutoModel": "own.Model"})
    (tmp_path / "own.py").write_text("raise SystemExit")
    assert "is not run: it is taken as a bert" in notes_of(name)


@pytest.mark.parametrize("act", ["gelu", "gelu_new"], ids=["lean", "transformers"])
@pytest.mark.parametrize("body", [True, False], ids=["body", "classifier"])
def test_weights_in_layers_that_are_not_used_are_refused(
    tmp_path: Path, act: str, body: bool
) -> None:
    own = {name.removeprefix("bert.") if body else name: p for name, p in tensors(not body).items()}
    prefix = ("" if body else "bert.") + "encoder.layer.0.attention.self.query"
    own[f"{prefix}.lora_A.default.weight"] = np.ones((2, 16), np.float32)
    name = make_folder(tmp_path, {"model.safetensors": own}, hidden_act=act)
    with pytest.raises(ConfigError, match=r"lora_A\.default\.weight.*merge_and_unload"):
        published_weights(find_model(name, 3))


@pytest.mark.parametrize("act", ["gelu", "gelu_new"], ids=["lean", "transformers"])
@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_vectors_are_of_real_numbers_too(tmp_path: Path, act: str, dtype: torch.dtype) -> None:
    from safetensors.torch import save_file

    name = make_folder(tmp_path, hidden_act=act)
    parts = {n: torch.from_numpy(part) for n, part in tensors().items()}
    parts["bert.pooler.dense.bias"] = parts["bert.pooler.dense.bias"].to(dtype)
    save_file(parts, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match=r"bert\.pooler\.dense\.bias is quantised or of no real"):
        published_weights(find_model(name, 3))


SIZES = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32, "num_labels": 3, "pad_token_id": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more"),
    [("MPNet", {}), ("Data2VecText", {}), ("Roberta", {}), ("IBert", {}),
     ("Longformer", {"attention_window": 4}), ("Esm", {"position_embedding_type": "absolute"})],
)  # fmt: skip
def test_positions_numbered_from_the_padding_on(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(max_position_embeddings=40, **SIZES, **more)
    config.save_pretrained(tmp_path)
    assert max_tokens(str(tmp_path)) == 38
    ids = torch.full((1, 38), 7)
    make = getattr(transformers, f"{kind}ForSequenceClassification")
    assert make(config).eval()(input_ids=ids).logits.shape == (1, 3)


@pytest.mark.parametrize(("kind", "depends"), [("FNet", True), ("Electra", False)])
def test_an_answer_that_changes_with_the_padding(tmp_path: Path, kind: str, depends: bool) -> None:
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(**SIZES | {"max_position_embeddings": 40})
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    model.save_pretrained(tmp_path)
    assert ("changes with the padding" in notes_of(str(tmp_path))) == depends


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({}, r'add it, for example "model_type"'),
        ({"model_type": "vit"}, "no model of texts, but of the type vit"),
        ({"model_type": "clip"}, "no model of texts, but of the type clip"),
        ({"model_type": "gpt2"}, r"set pad_token_id in its config\.json"),
    ],
)
def test_entries_that_a_model_lacks(tmp_path: Path, entries: dict[str, Any], says: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(entries))
    with pytest.raises(ConfigError, match=says):
        max_tokens(str(tmp_path))
