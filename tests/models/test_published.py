"""Published models: the bundled MiniLM, and any Hugging Face folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError, SeedError
from fedseed.models.published import tokenizer_file
from fedseed.models.registry import GenericModel, find_model, max_tokens
from fedseed.models.weight_files import published_digest
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import assemble, encode
from fedseed.seeds.kinds.pretrained import pretrained_seed


def test_minilm_has_its_published_weights() -> None:
    from safetensors.numpy import load_file

    from fedseed.models.published import bundled_folder

    seed = pretrained_seed("minilm", 2, 7)
    state = assemble(seed, find_model("minilm", 2).shapes())
    published = load_file(bundled_folder() / "model.safetensors")
    name = "encoder.layer.5.output.dense.weight"
    assert np.array_equal(state[f"bert.{name}"], published[name].astype(np.float32))
    assert state["classifier.weight"].shape == (2, 384)
    assert state["classifier.weight"].any()
    assert len(encode(seed)) < 100


def folder(path: Path, labels: int = 3) -> Path:
    """A small DistilBERT classifier, saved as the hub has it."""
    transformers = pytest.importorskip("transformers")
    config = transformers.DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=1, n_heads=2, num_labels=labels
    )
    torch.manual_seed(0)
    transformers.DistilBertForSequenceClassification(config).save_pretrained(path)
    (path / "tokenizer.json").write_bytes(tokenizer_file("bert-tiny").read_bytes())
    return path


def test_any_hugging_face_folder(tmp_path: Path) -> None:
    name = str(folder(tmp_path))
    assert isinstance(find_model(name, 3), GenericModel)
    module = grow(encode(pretrained_seed(name, 3, 1)))
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 102, 0, 0]])
    logits = module.eval()(ids, torch.tensor([4, 2]))
    from transformers import AutoModelForSequenceClassification

    theirs = AutoModelForSequenceClassification.from_pretrained(name).eval()
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    assert torch.allclose(logits, theirs(input_ids=ids, attention_mask=mask).logits, atol=1e-6)
    logits.sum().backward()
    assert all(part.grad is not None for part in module.parameters())
    assert max_tokens(name) == 512
    assert tokenizer_file(name).is_file()


def test_padding_is_the_models_own(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=60, n_embd=16, n_layer=1, n_head=2, n_positions=32, num_labels=2,
        pad_token_id=49,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    module = grow(encode(pretrained_seed(str(tmp_path), 2, 1))).eval()
    alone = module(torch.tensor([[5, 6, 7]]), torch.tensor([3]))
    padded = module(torch.tensor([[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]]), torch.tensor([3, 5]))
    assert torch.allclose(alone[0], padded[0], atol=1e-6)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[]", "not a table"),
        ('{"model_type": "bert"}', "lacks"),
        ('{"model_type": "x"}', "no model"),
    ],
)
def test_damaged_folders(tmp_path: Path, config: str, says: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigError, match=says):
        find_model(str(tmp_path), 2).shapes()


def write_config(folder: Path, entry: str, value: str) -> None:
    """The config.json of a small BERT, with one entry as it is given, in JSON."""
    config = {
        "num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2,
        "intermediate_size": 64, "vocab_size": 90, "max_position_embeddings": 16,
        "type_vocab_size": 2, "model_type": "bert", entry: json.loads(value),
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("value", ["null", '"128"', "0", "-1", "1e3", "9000000000"])
@pytest.mark.parametrize("entry", ["hidden_size", "max_position_embeddings"])
def test_absurd_sizes_are_refused_before_anything_is_made(
    tmp_path: Path, entry: str, value: str
) -> None:
    write_config(tmp_path, entry, value)
    with pytest.raises(ConfigError, match=f"{entry} is no whole number"):
        find_model(str(tmp_path), 2).shapes()
    if entry == "max_position_embeddings":
        with pytest.raises(ConfigError, match=f"{entry} is no whole number"):
            max_tokens(str(tmp_path))


@pytest.mark.parametrize(("value", "right"), [("0", True), ("1e-12", True), ("1", False),
                                              ("true", False), ('"0"', False)])  # fmt: skip
def test_epsilon_of_layer_norms_is_a_number_below_one(
    tmp_path: Path, value: str, right: bool
) -> None:
    write_config(tmp_path, "layer_norm_eps", value)
    if right:
        assert find_model(str(tmp_path), 2).shapes()
        return
    with pytest.raises(ConfigError, match="layer_norm_eps is no number"):
        find_model(str(tmp_path), 2).shapes()


def test_dropout_is_the_recipes_not_the_folders(tmp_path: Path) -> None:
    from fedseed.training import set_dropout

    module = grow(encode(pretrained_seed(str(folder(tmp_path)), 3, 1)))
    ids, sizes = torch.tensor([[101, 2023, 2003, 102]]), torch.tensor([4])
    module.train()
    assert not torch.equal(module(ids, sizes), module(ids, sizes))  # the folder says 0.1
    set_dropout(module, 0.0)
    assert torch.equal(module(ids, sizes), module(ids, sizes))


def test_a_tokenizer_with_more_words_than_the_model_is_refused(
    tmp_path: Path, reviews: Path
) -> None:
    write_config(tmp_path, "vocab_size", "29000")
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_file("bert-tiny").read_bytes())
    config = RunConfig(model=str(tmp_path), data=str(reviews), clients=2, max_length=16)
    assert open_dataset(config).table.tokens.max() < 29_000
    write_config(tmp_path, "vocab_size", "90")
    with pytest.raises(ConfigError, match="says vocab_size 90: give a folder"):
        open_dataset(config)


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    name = str(folder(tmp_path))
    with pytest.raises(SeedError, match="number of classes"):
        grow(encode(pretrained_seed(name, 2, 1)))


def test_other_weights_than_the_seed_names(tmp_path: Path) -> None:
    encoded = encode(pretrained_seed(str(folder(tmp_path)), 3, 1))
    (tmp_path / "model.safetensors").write_bytes(b"other")
    published_digest.cache_clear()
    with pytest.raises(SeedError, match="not those that the seed names"):
        grow(encoded)


@pytest.mark.parametrize("name", ["no/such-model", "bert-huge", "../nowhere"])
def test_unknown(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown model"):
        find_model(name, 2)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ConfigError, match="safetensors"):
        pretrained_seed(str(tmp_path), 2, 1)


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        tokenizer_file(str(tmp_path))
