"""Every tensor of a published model is taken from its files, or the model is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fedseed.errors import ConfigError, SeedError
from fedseed.models.registry import find_model
from fedseed.models.taking import Published, drawn_parts, published_weights
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.pretrained import pretrained_seed
from tests.models.folders import Tensors, make_folder, tensors

HEAD = ("classifier.weight", "classifier.bias")


def taken(path: Path, parts: Tensors, labels: int = 3, **entries: object) -> Published:
    name = make_folder(path, {"model.safetensors": parts}, **entries)
    model = find_model(name, labels)
    published = published_weights(model)
    assert published.drawn == drawn_parts(model)
    return published


def old(name: str) -> str:
    """A tensor's name in the files that were converted from TensorFlow."""
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize(
    "rename",
    [
        old,
        lambda name: name.removeprefix("bert."),
        lambda name: old(name.removeprefix("bert.")),
        lambda name: f"module.{name}",
        lambda name: f"model.{name}",
        lambda name: f"module._orig_mod.{old(name)}",
        lambda name: f"base_model.model.{name}",
        lambda name: f"net.model.{old(name.removeprefix('bert.'))}",
    ],
    ids=["gamma", "body", "gamma in a body", "parallel", "wrapped", "compiled", "base", "net"],
)
@pytest.mark.parametrize("act", ["gelu", "gelu_new"], ids=["lean", "transformers"])
@pytest.mark.parametrize("head", [True, False], ids=["head", "no head"])
def test_every_tensor_is_taken_under_its_old_names(
    tmp_path: Path, rename: Callable[[str], str], act: str, head: bool
) -> None:
    before = tensors(head)
    parts = {rename(name): part for name, part in before.items()}
    published = taken(tmp_path, parts, hidden_act=act)
    assert published.drawn == (() if head else HEAD)
    assert list(published.weights) == list(before)
    for name, part in before.items():
        assert np.array_equal(published.weights[name], part), name


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
@pytest.mark.parametrize(
    ("lost", "says"),
    [
        (["bert.encoder.layer.1.output.LayerNorm.weight"], "lack .*1.output.LayerNorm.weight"),
        (
            ["bert.embeddings.word_embeddings.weight", "classifier.bias"],
            r"word_embeddings.weight: copy",
        ),
        (["classifier.bias"], "lack classifier.bias"),
        (["bert.pooler.dense.weight", "bert.pooler.dense.bias"], "lack bert.pooler.dense.weight"),
    ],
    ids=["layer norm", "words", "half a head", "a head without its pooler"],
)
def test_a_missing_tensor_is_named(tmp_path: Path, act: str, lost: list[str], says: str) -> None:
    parts = {name: part for name, part in tensors().items() if name not in lost}
    with pytest.raises(ConfigError, match=says):
        taken(tmp_path, parts, hidden_act=act)


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
def test_a_body_of_masked_words_has_no_pooler(tmp_path: Path, act: str) -> None:
    parts = {name: part for name, part in tensors(False).items() if "pooler" not in name}
    parts["cls.predictions.transform.LayerNorm.gamma"] = np.ones(16, np.float32)
    pooler = ("bert.pooler.dense.weight", "bert.pooler.dense.bias")
    assert taken(tmp_path, parts, hidden_act=act).drawn == pooler + HEAD


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
def test_shapes_layers_and_numbers_are_checked(tmp_path: Path, act: str) -> None:
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    with pytest.raises(ConfigError, match=rf"{name} has shape \(32, 8\), not \(32, 16\)"):
        taken(tmp_path, tensors() | {name: np.zeros((32, 8), np.float32)}, hidden_act=act)
    with pytest.raises(SeedError, match=f"{name} holds NaN"):
        taken(tmp_path, tensors() | {name: np.full((32, 16), np.inf, np.float32)}, hidden_act=act)
    with pytest.raises(ConfigError, match=r"layer.1.attention.*a layer beyond"):
        taken(tmp_path / "fewer", tensors(), hidden_act=act, num_hidden_layers=1)


def test_a_tensor_under_two_names_is_refused(tmp_path: Path) -> None:
    parts = tensors() | {"embeddings.LayerNorm.gamma": np.ones(16, np.float32)}
    with pytest.raises(ConfigError, match=r"bert\.embeddings\.LayerNorm\.weight twice"):
        taken(tmp_path, parts)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import save_file

    name = make_folder(tmp_path)
    parts = {n: torch.from_numpy(part).to(dtype) for n, part in tensors().items()}
    save_file(parts, tmp_path / "model.safetensors")
    weights = published_weights(find_model(name, 3)).weights
    assert all(np.array_equal(weights[n], part.float().numpy()) for n, part in parts.items())


def test_language_models_lack_nothing(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    transformers.GPT2Model(small).save_pretrained(tmp_path)  # as gpt2 is: names without prefix
    published = published_weights(find_model(str(tmp_path), 0))
    assert not published.drawn
    assert "transformer.wte.weight" in published.weights


@pytest.mark.parametrize(
    ("act", "entry", "value", "says"),
    [
        ("gelu", "num_attention_heads", 3, "does not divide"),
        ("gelu_new", "num_attention_heads", 3, "not a multiple"),
        ("gelu", "num_hidden_layers", 4_000_000, "is above 1,000"),
        ("gelu_new", "num_hidden_layers", 4_000_000, "is above 1,000"),
        ("gelu_new", "pad_token_id", 60, "pad_token_id"),
        ("gelu", "intermediate_size", 10**12, "no whole number from 1 to 4,000,000"),
        ("gelu_new", "intermediate_size", 10**12, "is above 4,000,000"),
        ("gelu", "vocab_size", 3_000_000, r"not \(3000000, 16\)"),
        ("gelu_new", "vocab_size", 4_000_000, "describes 64,"),
        ("gelu_new", "layer_norm_eps", -1e9, "does not give 3 numbers"),
        ("gelu_new", "hidden_act", "nothing", "no sequence classifier"),
    ],
)
def test_an_absurd_config(tmp_path: Path, act: str, entry: str, value: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        taken(tmp_path, tensors(), **({"hidden_act": act} | {entry: value}))
    assert len(str(caught.value).splitlines()) == 1


def test_damaged_models_are_read_or_refused(tmp_path: Path) -> None:
    from benchmarks.mutations_models import make_folders, mutate, read
    from fedseed.randomness import generator

    (tmp_path / "whole").mkdir()
    folders = make_folders(tmp_path / "whole")
    results = []
    for number in range(60):
        folder = tmp_path / str(number)
        shutil.copytree(folders[number % len(folders)], folder)
        mutate(folder, generator(1, "mutation", number))
        results.append(read(folder))
    assert set(results) == {"read", "refused"}


@pytest.mark.parametrize("kind", ["XLMRoberta", "Bart"])
def test_heads_before_their_body_and_shared_embeddings(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    sizes: dict[str, object] = {"vocab_size": 60, "pad_token_id": 1, "num_labels": 3}
    if kind == "Bart":
        sizes |= {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
    else:
        sizes |= {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**sizes)
    theirs = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    theirs.save_pretrained(tmp_path / "head")
    getattr(theirs, theirs.base_model_prefix).save_pretrained(tmp_path / "body")
    ids = torch.tensor([[5, 6, 7, 2], [9, 8, 7, 2]])
    module = grow(encode(pretrained_seed(str(tmp_path / "head"), 3, 1))).eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        assert torch.allclose(module(ids, torch.tensor([4, 4])), expected, atol=1e-6)
    drawn = drawn_parts(find_model(str(tmp_path / "body"), 3))
    assert len(drawn) == 4
    assert all("class" in name for name in drawn)
