"""The unigram seed: exact bytes, hostile bytes, and a GPT-2 that answers with frequencies."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.models.architecture import CAUSAL
from fedseed.models.registry import build, find_model
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import assemble, decode, describe, encode, sizes
from fedseed.seeds.kinds.unigram.format import fits, levels_of
from fedseed.seeds.make import make_seed

MODEL = find_model("gpt2-tiny", CAUSAL)
SHAPES = MODEL.shapes()
TOKENS = 2048


def counts() -> np.ndarray:
    return (1e5 / (1 + np.arange(TOKENS))).astype(np.int64)


def seed(step: float = 0.5, key: int = 7) -> Seed:
    return make_seed("unigram", "gpt2-tiny", CAUSAL, key, None, {"step": step}, counts())


@pytest.mark.parametrize("step", [0.05, 0.5, 8.0])
def test_the_model_answers_with_frequencies(step: float) -> None:
    module = build(MODEL, assemble(decode(encode(seed(step))), SHAPES))
    ids = torch.randint(0, TOKENS, (3, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = module(input_ids=ids, use_cache=False).logits.numpy()
    levels = levels_of(counts(), float(np.float16(step)))
    expected = -levels * np.float16(step).astype(np.float64)
    assert np.abs(logits - expected).max() < 1e-4
    logarithms = np.log(counts() + 1.0)
    exact = logarithms - logarithms.max()
    assert np.abs(expected - np.maximum(exact, -255 * step)).max() <= step * 0.51


def test_its_bytes_are_few() -> None:
    few, many = len(encode(seed(3.0))), len(encode(seed(0.25)))
    assert few < many < 1300
    assert sum(sizes(seed(), SHAPES).values()) == len(encode(seed()))
    assert describe(seed())["tokens"] == TOKENS


def test_the_key_draws_the_rest() -> None:
    one, other = (assemble(seed(key=key), SHAPES) for key in (1, 2))
    name = "transformer.h.0.attn.c_attn.weight"
    assert not np.array_equal(one[name], other[name])
    first = "transformer.wte.weight"
    assert np.array_equal(one[first][:, 0], other[first][:, 0])


def test_alike_tokens() -> None:
    made = make_seed("unigram", "gpt2-tiny", CAUSAL, 1, None, None, np.ones(TOKENS, np.int64))
    assert decode(encode(made)) == made
    assert not assemble(made, SHAPES)["transformer.wte.weight"][:, 0].any()


@given(st.data())
def test_changed_payloads_are_refused_or_read(data: st.DataObject) -> None:
    payload = bytearray(seed().payload)
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(payload)))
    for hostile in (bytes(payload), bytes(payload[:cut])):
        changed = Seed("unigram", "gpt2-tiny", CAUSAL, hostile)
        try:
            state = assemble(changed, SHAPES)
        except SeedError:
            continue
        assert np.isfinite(state["transformer.wte.weight"]).all()


def test_huge_sizes_are_refused_before_anything_is_made() -> None:
    payload = bytearray(seed().payload)
    payload[8:12] = b"\xff\xff\xff\xff"
    with pytest.raises(SeedError, match="malformed"):
        assemble(Seed("unigram", "gpt2-tiny", CAUSAL, bytes(payload)), SHAPES)


@pytest.mark.parametrize("extract", [None, np.ones(9, np.int64)])
def test_other_counts_are_refused(extract: object) -> None:
    with pytest.raises(SeedError, match="2,048 counts"):
        make_seed("unigram", "gpt2-tiny", CAUSAL, 1, None, None, extract)


def test_an_output_of_its_own_is_refused() -> None:
    untied = dict(SHAPES) | {"lm_head.weight": (TOKENS, 128)}
    assert fits(SHAPES)
    assert not fits(untied)


def test_a_classifier_is_refused() -> None:
    with pytest.raises(SeedError, match="GPT-2"):
        make_seed("unigram", "bert-tiny", 2, 1, None, None, counts())
