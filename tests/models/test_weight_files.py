"""Which weight files of a folder are read, and what is said when they are not what they should."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fedseed.errors import ConfigError
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import find_model
from fedseed.models.taking import published_weights
from fedseed.models.weight_files import stored_tensors, weight_files
from tests.models.folders import Tensors, config, make_folder, tensors

SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


def halves() -> dict[str, Tensors]:
    parts = list(tensors().items())
    return {SHARDS[0]: dict(parts[:20]), SHARDS[1]: dict(parts[20:])}


def sharded(path: Path, **weight_map: str) -> str:
    name = make_folder(path, halves())
    found = {tensor: file for file, parts in halves().items() for tensor in parts}
    (path / INDEX).write_text("\ufeff" + json.dumps({"weight_map": found | weight_map}))
    return name


def test_the_shards_of_an_index_are_read_and_no_others(tmp_path: Path) -> None:
    name = sharded(tmp_path)
    save_file({"classifier.bias": np.ones(3, np.float32)}, tmp_path / "stray.safetensors")
    assert [path.name for path in weight_files(name)] == SHARDS
    weights = published_weights(find_model(name, 3)).weights
    assert all(np.array_equal(weights[n], part) for n, part in tensors().items())


def test_one_whole_file_is_read_alone(tmp_path: Path) -> None:
    name = sharded(tmp_path)
    save_file(tensors(), tmp_path / "model.safetensors")
    assert [path.name for path in weight_files(name)] == ["model.safetensors"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    name = sharded(tmp_path)
    (tmp_path / SHARDS[1]).unlink()
    with pytest.raises(ConfigError, match=f"lacks {SHARDS[1]}"):
        stored_tensors(name)
    (tmp_path / INDEX).unlink()
    with pytest.raises(ConfigError, match=f"lacks {SHARDS[1]}"):
        stored_tensors(name)


def test_shards_without_an_index(tmp_path: Path) -> None:
    name = make_folder(tmp_path, halves())
    assert len(stored_tensors(name)) == len(tensors())
    save_file({"x": np.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="leave one"):
        stored_tensors(name)


def test_a_tensor_in_two_shards(tmp_path: Path) -> None:
    files = halves()
    files[SHARDS[1]] |= dict(list(files[SHARDS[0]].items())[:1])
    with pytest.raises(ConfigError, match=r"word_embeddings\.weight stands in"):
        stored_tensors(make_folder(tmp_path, files))


@pytest.mark.parametrize(
    ("tensor", "file", "says"),
    [
        ("x", SHARDS[0], "lacks x, which its index names"),
        ("x", "../other/model.safetensors", "of the same folder"),
        ("x", "/etc/passwd", "of the same folder"),
        ("x\ny", SHARDS[0], "lacks x.y, which"),
    ],
)
def test_a_hostile_index(tmp_path: Path, tensor: str, file: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        stored_tensors(sharded(tmp_path, **{tensor: file}))


def test_a_hostile_header(tmp_path: Path) -> None:
    name = make_folder(tmp_path)
    part = {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}
    header = json.dumps({"x": part}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ConfigError, match="cannot be read"):
        stored_tensors(name)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    tensor = "bert.pooler.dense.weight"
    parts = tensors() | {tensor: np.zeros((16, 16), np.int8)}
    parts |= {"bert.embeddings.position_ids": np.arange(32)[None]}  # a buffer of old files
    with pytest.raises(ConfigError, match=f"{tensor} is quantised"):
        stored_tensors(make_folder(tmp_path, {"model.safetensors": parts}))
    name = make_folder(tmp_path / "bnb", quantization_config={"load_in_8bit": True})
    with pytest.raises(ConfigError, match="quantised"):
        stored_tensors(name)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "tf_model.h5", "model.pt"])
def test_one_message_for_all_that_is_missing(tmp_path: Path, file: str) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(config(architectures=["BertForSequenceClassification"]))
    )
    for other in (file, "vocab.txt"):
        (tmp_path / other).write_bytes(b"x")
    messages = []
    for ask in (tokenizer_file, weight_files):
        with pytest.raises(ConfigError) as caught:
            ask(str(tmp_path))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "tokenizer.json" in messages[0]
    assert f"weights in safetensors ({file}" in messages[0]
    assert ("M.from_pretrained" in messages[0]) == (file == "pytorch_model.bin")
    assert len(messages[0].splitlines()) == 1


def test_how_to_make_a_tokenizer(tmp_path: Path) -> None:
    name = make_folder(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("[PAD]")
    with pytest.raises(ConfigError, match=r"lacks tokenizer.json: .*T.from_pretrained"):
        tokenizer_file(name)


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    name = make_folder(tmp_path, {"adapter_model.safetensors": {"x": np.ones(1)}})
    with pytest.raises(ConfigError, match="merge_and_unload"):
        stored_tensors(name)


@pytest.mark.parametrize("act", ["gelu", "gelu_new"])
def test_a_byte_order_mark_is_ignored(tmp_path: Path, act: str) -> None:
    name = make_folder(tmp_path)
    text = "\ufeff" + json.dumps(config(hidden_act=act))
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    assert not published_weights(find_model(name, 3)).drawn
