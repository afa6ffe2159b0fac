"""A few numbers trained by the lean trainer end where automatic differentiation takes them."""

import copy
import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.models.architecture import architecture
from fedseed.models.bert import BertClassifier
from fedseed.recipe import Recipe
from fedseed.training.fit import fit
from fedseed.training.precision_and_device import Compute
from fedseed.training.subspace import Core, LowRank, SubspaceModel, head, trainer
from fedseed.training.subspace.trainer import SubspaceTrainer, is_lean_subspace
from tests.training.kernels.helpers import needs_kernels

WORDS = "bert.embeddings.word_embeddings.weight"
QUERY = "bert.encoder.layer.0.attention.self.query.weight"
KEY = "bert.encoder.layer.0.attention.self.key.weight"
VALUE = "bert.encoder.layer.0.attention.self.value.weight"
OUTPUT = "bert.encoder.layer.0.output.dense.weight"
WIDE = "bert.encoder.layer.1.intermediate.dense.weight"
WHOLE = ("classifier.weight", "classifier.bias", "bert.encoder.layer.0.output.LayerNorm.weight")
HEAD = ("classifier.weight", "classifier.bias")
RECIPE = Recipe(
    optimiser="adamw", learning_rate=3e-3, steps=6, batch_size=8, max_length=32, weight_decay=0.01
)


@pytest.fixture
def federated(small: dict[str, Any]) -> FederatedDataset:
    return open_federated_dataset(RunConfig.parse(small))


def drawn_model(seed: int) -> tuple[BertClassifier, dict[str, torch.Size]]:
    """A model of random weights, and its parameters' shapes."""
    torch.manual_seed(seed)
    model = BertClassifier(architecture("bert-tiny"))
    with torch.no_grad():
        for name, part in model.named_parameters():
            part.copy_(torch.randn(part.shape) * 0.05 + ("LayerNorm.weight" in name))
    return model, {name: part.shape for name, part in model.named_parameters()}


def made_up(
    matrices: tuple[str, ...], both: bool, whole: tuple[str, ...] = WHOLE, seed: int = 0
) -> SubspaceModel:
    """A model with changes of rank 3 that are not zero."""
    model, shapes = drawn_model(seed)
    changes = {
        name: LowRank(torch.randn(shapes[name][0], 3) * 0.1, torch.randn(3, shapes[name][1]), 0.5,
                      both)
        for name in matrices
    }  # fmt: skip
    return SubspaceModel(model, changes, whole)


def trained(model: SubspaceModel) -> dict[str, torch.Tensor]:
    """What is trained, by name."""
    return {n: part.detach() for n, part in model.named_parameters() if part.requires_grad}


def check(
    model: SubspaceModel, federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train on the lean path and a copy by automatic differentiation; what is frozen stays."""
    reference, table = copy.deepcopy(model), federated.dataset.table
    before = {name: part.clone() for name, part in model.originals().items()}
    start = {name: part.clone() for name, part in trained(model).items()}
    assert is_lean_subspace(model, RECIPE, Compute())
    rows = federated.shard(0).whole()[:20]
    fit(model, table, rows, RECIPE, np.random.default_rng(1))
    module = importlib.import_module("fedseed.training.fit")
    monkeypatch.setattr(module, "is_lean_subspace", lambda *_: False)
    fit(reference, table, rows, RECIPE, np.random.default_rng(1))
    wanted = trained(reference)
    for name, part in trained(model).items():
        assert (part - start[name]).abs().max() > 1e-3, name
        assert torch.allclose(part, wanted[name], rtol=2e-3, atol=3e-4), name
    for name, part in model.originals().items():
        if name not in model.whole:
            assert torch.equal(part, before[name]), name


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("matrices", "whole"),
    [
        ((), WHOLE), ((QUERY,), WHOLE), ((WORDS, QUERY, WIDE), WHOLE), ((WORDS,), WHOLE),
        ((WIDE,), ("classifier.bias",)), ((), ("classifier.weight",)),
    ],
)  # fmt: skip
def test_as_automatic_differentiation(
    federated: FederatedDataset,
    monkeypatch: pytest.MonkeyPatch,
    matrices: tuple[str, ...],
    whole: tuple[str, ...],
    both: bool,
) -> None:
    check(made_up(matrices, both, whole), federated, monkeypatch)


def with_cores(matrices: Sequence[str]) -> SubspaceModel:
    """A model with cores of rank 4 that are zero."""
    model, shapes = drawn_model(1)
    changes = {
        name: Core(torch.randn(shapes[name][0], 4) / 9, torch.zeros(4, 4),
                   torch.randn(4, shapes[name][1]) / 9, 8.0)
        for name in matrices
    }  # fmt: skip
    return SubspaceModel(model, changes, ["classifier.weight"])


def test_a_core_as_automatic_differentiation(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = with_cores((QUERY, WIDE))
    assert len(trained(one)) == 3
    check(one, federated, monkeypatch)


@needs_kernels
@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("kind", ["core", "ffa", "lora"])
def test_gradients_in_a_few_directions_as_those_of_whole_matrices(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch, kind: str, lanes: int
) -> None:
    torch.set_num_threads(1)
    matrices = (QUERY, KEY, VALUE, OUTPUT, WIDE)
    model = with_cores(matrices) if kind == "core" else made_up(matrices, kind == "lora")
    reference, table = copy.deepcopy(model), federated.dataset.table
    rows, compute = federated.shard(0).whole()[:20], Compute("bf16", lanes=lanes)
    one = SubspaceTrainer(model, RECIPE, compute)
    monkeypatch.setattr(trainer, "_reduced", lambda *_: {})
    other = SubspaceTrainer(reference, RECIPE, compute)
    assert one._stack.reduced.keys() == {QUERY, KEY, VALUE, OUTPUT}
    for _ in range(2):
        assert one.step([rows], table) == pytest.approx(other.step([rows], table), abs=0.01)
    found = {name: part.grad for name, part in model.named_parameters() if part.requires_grad}
    for name, part in reference.named_parameters():
        if part.requires_grad:
            assert (found[name] - part.grad).norm() < 0.05 * part.grad.norm() > 0, name


@pytest.mark.parametrize("rows", [20, 60])
def test_a_head_alone_as_automatic_differentiation(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Features that are computed once are those of every step."""
    one = SubspaceModel(drawn_model(3)[0], {}, HEAD)
    assert head.is_head_alone(one, RECIPE, Compute())
    reference, table = copy.deepcopy(one), federated.dataset.table
    chosen, recipe = federated.dataset.train[:rows], RECIPE.replace(label_smoothing=0.1)
    computed: list[int] = []
    learn = head.HeadTrainer._learn

    def counted(self: Any, unknown: Any, *rest: Any) -> None:
        computed.extend(unknown)
        learn(self, unknown, *rest)

    monkeypatch.setattr(head.HeadTrainer, "_learn", counted)
    results = [fit(one, table, chosen, recipe, np.random.default_rng(1))]
    assert len(computed) == len(set(computed)) <= min(rows, recipe.steps * recipe.batch_size)
    module = importlib.import_module("fedseed.training.fit")
    monkeypatch.setattr(module, "is_head_alone", lambda *_: False)
    monkeypatch.setattr(module, "is_lean_subspace", lambda *_: False)
    results.append(fit(reference, table, chosen, recipe, np.random.default_rng(1)))
    assert results[0].train_loss == pytest.approx(results[1].train_loss, abs=1e-4)
    for name in HEAD:
        assert (one.whole[name] - drawn_model(3)[0].get_parameter(name)).abs().max() > 1e-3
        assert torch.allclose(one.whole[name], reference.whole[name], atol=1e-5), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_head_does_not_depend_on_what_was_trained_before(
    federated: FederatedDataset, precision: Any
) -> None:
    table, compute, texts = federated.dataset.table, Compute(precision), federated.dataset.train
    found = []
    for before in ([], [texts[:40]], [texts[10:60], texts[5:30]]):
        fresh = dataclasses.replace(table)
        for rows in [*before, texts[20:50], texts[20:50]]:
            one = SubspaceModel(drawn_model(3)[0], {}, HEAD)
            fit(one, fresh, rows, RECIPE, np.random.default_rng(1), compute)
        found.append(torch.cat([one.whole[name].detach().reshape(-1) for name in HEAD]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_features_are_kept_for_the_newest_and_forgotten_with_their_texts(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_MOST_KEPT", 2)
    table, before = dataclasses.replace(federated.dataset.table), len(head._KNOWN)
    for first in (0, 9, 18, 18):
        one, rows = SubspaceModel(drawn_model(3)[0], {}, HEAD), np.arange(first, first + 9)
        fit(one, table, rows, RECIPE, np.random.default_rng(1))
    assert len(head._KNOWN) == before + 1
    assert [min(known) for known in head._KNOWN[id(table)].values()] == [9, 18]
    del table
    assert len(head._KNOWN) == before


def test_a_head_whose_loss_is_nan_stays_where_it_was(federated: FederatedDataset) -> None:
    model = drawn_model(3)[0]
    with torch.no_grad():
        model.get_parameter("bert.pooler.dense.bias")[0] = torch.nan
    one = SubspaceModel(model, {}, HEAD)
    start, rows = one.whole["classifier.weight"].clone(), federated.dataset.train[:9]
    result = fit(one, federated.dataset.table, rows, RECIPE, np.random.default_rng(1))
    assert result.diverged
    assert torch.equal(one.whole["classifier.weight"], start)


@needs_kernels
def test_one_of_three_projections_has_its_whole_gradient() -> None:
    one = SubspaceTrainer(with_cores((QUERY, OUTPUT, WIDE)), RECIPE, Compute("bf16"))
    assert one._stack.reduced.keys() == {OUTPUT}


@pytest.mark.parametrize("matrices", [(QUERY, WIDE), (WORDS, QUERY)])
def test_a_model_looked_at_between_steps_has_its_changes(
    federated: FederatedDataset, matrices: tuple[str, ...]
) -> None:
    model, table, seen = made_up(matrices, True), federated.dataset.table, []
    frozen = {name: part.clone() for name, part in model.originals().items()}

    def watch(losses: Sequence[float], copied: Callable[[], torch.nn.Module]) -> bool:
        seen.append(copied() if len(losses) == RECIPE.steps else None)
        return False

    rows = federated.shard(0).whole()[:20]
    fit(model, table, rows, RECIPE, np.random.default_rng(1), watch=watch)
    ids, lengths = torch.arange(24).view(3, 8), torch.tensor([8, 5, 2])
    with torch.no_grad():
        assert torch.allclose(seen[-1](ids, lengths), model(ids, lengths), atol=1e-5)
    if WORDS in matrices:
        change = model.changes[WORDS]
        assert torch.allclose(
            seen[-1].get_parameter(WORDS), change(model.originals()[WORDS]), atol=1e-6
        )
    for name, part in model.originals().items():
        assert name in WHOLE or torch.equal(part, frozen[name]), name


def test_what_is_not_lean() -> None:
    model = made_up((QUERY,), False)
    assert not is_lean_subspace(model, RECIPE.replace(dropout=0.1), Compute())
    assert not is_lean_subspace(model, RECIPE.replace(optimiser="sgd"), Compute())
    assert not is_lean_subspace(model, RECIPE, Compute(device="cuda"))
    assert not is_lean_subspace(model.model, RECIPE, Compute())


def test_the_frozen_model_is_not_copied() -> None:
    model = made_up((WORDS,), False)
    trainer = SubspaceTrainer(model, RECIPE, Compute())
    assert trainer._stack.words.data_ptr() == model.originals()[WORDS].data_ptr()
