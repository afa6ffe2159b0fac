"""A tokenizer.json that is not the one its model was trained with is refused."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError
from fedseed.models.tokenizer import refuse_tokenizer
from tests.models.folders import make_folder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]


def tokenizer(
    path: Path, lower: bool = True, words: list[str] = WORDS, around: bool = True
) -> None:
    """Write a tokenizer of single letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    table = {word: number for number, word in enumerate(words)}
    made = Tokenizer(models.WordPiece(table, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lower)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if around:
        special = [(word, table[word]) for word in ("[CLS]", "[SEP]")]
        made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, special)
    made.save(str(path / "tokenizer.json"))


@pytest.mark.parametrize(
    ("made", "lowers", "says"),
    [
        ({}, None, None),
        ({}, True, None),
        ({"lower": False}, False, None),
        ({"lower": False}, True, "says do_lower_case true, and its tokenizer.json does not"),
        ({}, False, "says do_lower_case false, and its tokenizer.json does:"),
        ({"around": False}, None, "no special tokens around a text"),
        ({"words": WORDS[:5]}, None, "knows 5 tokens, and its config.json says vocab_size 60"),
        ({"words": [w for w in WORDS if w != "[UNK]"]}, None, "cannot read every text"),
    ],
)
def test_tokenizers(
    tmp_path: Path, made: dict[str, Any], lowers: bool | None, says: str | None
) -> None:
    name = make_folder(tmp_path)
    tokenizer(tmp_path, **made)
    if lowers is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowers}))
    if says is None:
        refuse_tokenizer(name)
        return
    with pytest.raises(ConfigError, match=says):
        refuse_tokenizer(name)


def test_a_classifier_that_reads_the_end_needs_one(tmp_path: Path) -> None:
    sizes = {"d_model": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2, "d_ff": 32}
    more = {"is_encoder_decoder": True, "eos_token_id": 4, "decoder_start_token_id": 0}
    name = make_folder(tmp_path, model_type="t5", **sizes, **more)
    tokenizer(tmp_path)
    with pytest.raises(ConfigError, match="puts no end"):
        refuse_tokenizer(name)


@pytest.mark.parametrize(("strange", "fits"), [(1, True), (9, False)])
def test_texts_of_unknown_words(tmp_path: Path, strange: int, fits: bool) -> None:
    name = make_folder(tmp_path)
    tokenizer(tmp_path)
    known = [" ".join(letters) for letters in itertools.permutations("abcdef", 3)]
    more = " ".join(["\u03b1"] * strange)
    rows = [f"{text} {more},{number % 2}" for number, text in enumerate(known)]
    data = tmp_path / "texts.csv"
    data.write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
    options = RunConfig(model=name, data=str(data), clients=2, max_length=32)
    if fits:
        assert open_dataset(options).labels == 2
        return
    with pytest.raises(ConfigError, match="fewer than half of the words") as caught:
        open_dataset(options)
    assert "\u03b1" not in str(caught.value)
