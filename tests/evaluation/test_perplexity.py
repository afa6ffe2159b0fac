"""Perplexity against an implementation that goes token by token."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fedseed.errors import DataError
from fedseed.evaluation.perplexity import (
    Perplexity,
    sliding_perplexity,
    uniform_perplexity,
    unigram_perplexity,
)
from fedseed.models.architecture import CAUSAL
from fedseed.models.causal import SMALL_GPT2
from fedseed.models.registry import build, find_model
from fedseed.seeds.codec import assemble
from fedseed.seeds.kinds.random import random_seed
from fedseed.studies.zero_shot.language_model import logits_of

VOCABULARY = 11


@pytest.fixture(scope="module")
def gpt2() -> nn.Module:
    """The small GPT-2 from a key, sharpened so that its guesses differ."""
    model = find_model(SMALL_GPT2, CAUSAL)
    shapes = model.shapes()
    state = assemble(random_seed(SMALL_GPT2, CAUSAL, 5, "bert"), shapes)
    return build(model, {name: 5 * values for name, values in state.items()})


def last_seen(ids: Tensor) -> Tensor:
    """A model without parameters: prefers the token two places back, and knows its place."""
    back = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], dim=1)
    scores = 2.0 * nn.functional.one_hot(back, VOCABULARY).double()
    return scores + 0.1 * torch.arange(ids.shape[1])[None, :, None] * torch.arange(VOCABULARY)


def plain(logits: object, ids: list[int], context: int, stride: int) -> tuple[float, int]:
    """One token at a time: the first window that holds a token scores it."""
    total, count = 0.0, 0
    for place in range(1, len(ids)):
        start = 0
        while start + context <= place:
            start += stride
        if start == place:  # nothing stands before it in its window
            continue
        seen = torch.tensor([ids[start : place + 1]])
        scores = logits(seen)[0, -2].double()  # type: ignore[operator]
        total -= float(scores[ids[place]] - torch.logsumexp(scores, 0))
        count += 1
    return total / count, count


@settings(max_examples=60, deadline=None)
@given(data=st.data(), length=st.integers(4, 40), context=st.integers(2, 12))
def test_equals_the_plain_implementation(data: st.DataObject, length: int, context: int) -> None:
    if length < context:
        return
    stride = data.draw(st.integers(1, context))
    ids = data.draw(st.lists(st.integers(0, VOCABULARY - 1), min_size=length, max_size=length))
    measured = sliding_perplexity(last_seen, np.array(ids), 3, context, stride)
    loss, count = plain(last_seen, ids, context, stride)
    assert measured.tokens == count
    assert stride == context or count == length - 1
    assert measured.loss_nats == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("stride", [7, 16])
def test_a_real_model_equals_the_plain_implementation(gpt2: nn.Module, stride: int) -> None:
    ids = np.random.Generator(np.random.PCG64(1)).integers(0, 2048, 50)
    with torch.inference_mode():
        loss, count = plain(logits_of(gpt2), ids.tolist(), 16, stride)
    measured = sliding_perplexity(logits_of(gpt2), ids, 30, 16, stride)
    assert measured.tokens == count
    assert measured.per_token == pytest.approx(math.exp(loss), rel=1e-4)
    assert measured.per_word == pytest.approx(math.exp(loss * count / 30), rel=1e-4)


def test_padding_in_batches_changes_nothing(gpt2: nn.Module) -> None:
    """Windows of a batch and the short one at the end: the same as one window at a time."""
    ids = np.random.Generator(np.random.PCG64(2)).integers(0, 2048, 131)
    whole = sliding_perplexity(logits_of(gpt2), ids, 1, 128, 64)
    loss, count = 0.0, 0
    for start, end, new in ((0, 128, 127), (64, 131, 3)):
        batch = torch.from_numpy(ids[start:end])[None]
        with torch.inference_mode():
            scores = logits_of(gpt2)(batch)[0, :-1].log_softmax(-1)
        losses = -scores.gather(-1, batch[0, 1:, None])[:, 0]
        loss, count = loss + float(losses[-new:].double().sum()), count + new
    assert whole.tokens == count == 130
    assert whole.loss_nats == pytest.approx(loss / count, abs=1e-5)


def test_baselines() -> None:
    assert uniform_perplexity(50, 9, 3).per_token == pytest.approx(50)
    train, test = np.array([0, 0, 0, 1]), np.array([2, 0, 0, 1])
    # Counts with one added: 4, 2, 1 of 7; the first token of the text is not scored.
    loss = -(2 * math.log(4 / 7) + math.log(2 / 7)) / 3
    assert unigram_perplexity(train, test, 3, 2).loss_nats == pytest.approx(loss)


def test_what_is_infinite_is_said_to_be() -> None:
    record = Perplexity(5000.0, 10, 10).to_record()
    assert record["perplexity"] is None
    assert record["infinite"] is True
    assert record["loss_nats"] == 5000.0

    def broken(ids: Tensor) -> Tensor:
        return torch.full((*ids.shape, 4), float("nan"))

    measured = sliding_perplexity(broken, np.zeros(8, dtype=np.int64), 2, 4, 2).to_record()
    assert measured["loss_nats"] is None
    assert measured["infinite"] is True


def test_a_text_shorter_than_the_context() -> None:
    with pytest.raises(DataError, match="fewer than the context"):
        sliding_perplexity(last_seen, np.zeros(5, dtype=np.int64), 1, 6, 3)
