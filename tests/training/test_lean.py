"""The hand-written forward and backward are Hugging Face's, for one model and for a stack."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.training.kernels import are_available
from fedseed.training.kernels.layers_in_blocks import kernel_layers
from fedseed.training.lean.bert import LeanBert
from fedseed.training.lean.layers import TORCH_LAYERS
from fedseed.training.lean.layout import Layout
from fedseed.training.lean.stack import WORDS, WeightStack

transformers = pytest.importorskip("transformers")
ANY = torch.empty(0)
SMALL = Architecture("small", 3, 32, 4, 64, labels=3, vocabulary=50, positions=24)
ODD = Architecture("odd", 2, 36, 3, 50, labels=3, vocabulary=50, positions=24)


def models(shape: Architecture, seed: int) -> tuple[BertClassifier, Any]:
    """The same random weights in our module and in theirs."""
    config = transformers.BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.intermediate,
        num_labels=shape.labels, max_position_embeddings=shape.positions,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    theirs = transformers.BertForSequenceClassification(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # far from zero biases, where a missing term would not show
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    ours = BertClassifier(shape)
    ours.load_state_dict(theirs.state_dict(), strict=False)
    return ours, theirs


def lean_gradients(
    modules: list[BertClassifier],
    ids: Tensor,
    lengths: Tensor,
    labels: Tensor,
    few_shapes: bool = False,
    kernels: bool = False,
) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Logits ``(models, texts, labels)`` and each model's gradients, by name."""
    shape = modules[0].shape
    stack = WeightStack(modules, shape, torch.device("cpu"), torch.float32)
    kinds = kernel_layers(torch.float32, shape) if kernels else TORCH_LAYERS
    bert = LeanBert(stack, shape, few_shapes, kinds)
    offset = shape.vocabulary * torch.arange(len(modules))[:, None, None]
    places, single = ids + offset, len(modules) == 1
    if single:
        places, lengths = places[0], lengths[0]
    logits = bert.forward(stack.words, places, lengths)
    logits = logits.reshape(len(modules), -1, shape.labels)
    targets = functional.one_hot(labels, shape.labels)
    gradient = (logits.softmax(-1) - targets) / ids.shape[1]
    total = torch.zeros_like(stack.words)
    bert.backward(gradient[0] if single else gradient, total)
    gradients: list[dict[str, Tensor]] = [{WORDS: part} for part in total.chunk(len(modules))]
    stack.weights.copy_(stack.gradients)
    stack.words = torch.cat([of_model[WORDS] for of_model in gradients])
    holders = [BertClassifier(shape) for _ in modules]
    stack.write_back(holders)
    for of_model, holder in zip(gradients, holders, strict=True):
        of_model |= {name: part.detach() for name, part in holder.named_parameters()}
    return logits, gradients


def their_gradients(
    theirs: Any, ids: Tensor, lengths: Tensor, labels: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    theirs.zero_grad()
    logits = theirs(input_ids=ids, attention_mask=mask).logits
    functional.cross_entropy(logits, labels).backward()
    return logits, {name: part.grad for name, part in theirs.named_parameters()}


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 24), min_size=1, max_size=6),
    count=st.integers(1, 3),
    seed=st.integers(0, 99),
    few_shapes=st.booleans(),
    kernels=st.booleans(),
    shape=st.sampled_from([SMALL, ODD]),
)
def test_logits_and_every_gradient(
    lengths: list[int],
    count: int,
    seed: int,
    few_shapes: bool,
    kernels: bool,
    shape: Architecture,
) -> None:
    pairs = [models(shape, seed + number) for number in range(count)]
    draws = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([np.roll(lengths, number).tolist() for number in range(count)])
    ids = torch.randint(1, 50, (count, len(lengths), max(lengths)), generator=draws)
    ids *= torch.arange(max(lengths)) < sizes[..., None]
    labels = torch.randint(0, 3, (count, len(lengths)), generator=draws)
    modules = [ours for ours, _ in pairs]
    single = count == 1
    logits, gradients = lean_gradients(
        modules, ids, sizes, labels, few_shapes and single, kernels and single and are_available()
    )
    for number, (_, theirs) in enumerate(pairs):
        wanted, expected = their_gradients(theirs, ids[number], sizes[number], labels[number])
        assert torch.allclose(logits[number], wanted, atol=1e-5)
        assert set(expected) == set(gradients[number])
        for name, part in gradients[number].items():
            assert torch.allclose(part, expected[name], atol=1e-5), name


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("sizes", [[128, 128, 90, 12], [200, 150], [50, 50, 44, 31, 3], [9] * 20])
def test_bert_tiny_at_its_real_size(kernels: bool, sizes: list[int]) -> None:
    """The kernels' blocks of 128 rows hold a text, part of one, two, or many."""
    if kernels and not are_available():
        pytest.skip("the kernels are not compiled")
    shape = Architecture("bert-tiny", 2, 128, 2, 512)
    ours, theirs = models(shape, 1)
    draws = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 30_000, (len(sizes), sizes[0]), generator=draws)
    lengths = torch.tensor(sizes)
    ids *= torch.arange(sizes[0]) < lengths[:, None]
    labels = torch.arange(len(sizes)) % 2
    logits, (gradients,) = lean_gradients(
        [ours], ids[None], lengths[None], labels[None], kernels=kernels
    )
    wanted, expected = their_gradients(theirs, ids, lengths, labels)
    assert torch.allclose(logits[0], wanted, atol=1e-5)
    for name, part in gradients.items():
        assert torch.allclose(part, expected[name], atol=1e-5), name


def test_few_shapes_are_few() -> None:
    sizes = [(texts, width) for texts in range(1, 33) for width in (8, 40, 128)]
    layouts = [Layout.of(torch.full((n,), width), width, True, ANY) for n, width in sizes]
    assert {layout.rows for layout in layouts} == set(range(256, 4097, 256))
    assert {layout.first_rows for layout in layouts} == {16, 32}
    for (texts, width), layout in zip(sizes, layouts, strict=True):
        assert 0 <= layout.rows - texts * width < 256
        exact = Layout.of(layout.lengths, width, False, ANY)
        assert (exact.rows, exact.first_rows) == (texts * width, texts)
