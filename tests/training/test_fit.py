"""fit and predict: the same inputs give the same bits, and learning happens."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.models.registry import to_state
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, FitJob, can_be_stacked, fit, fit_together, predict
from fedseed.training.batches import batches
from fedseed.training.generic import GenericTrainer
from fedseed.training.lean_trainer import LeanTrainer

SEED = encode(random_seed("bert-tiny", 2, 9, "scaled"))
LEARNS = Recipe(
    optimiser="adamw", learning_rate=1e-3, embedding_multiplier=10, schedule="linear", warmup=0.1,
    steps=40, batch_size=16, max_length=16,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def federated(small: dict[str, Any]) -> FederatedDataset:
    return open_federated_dataset(RunConfig.parse(small))


def trained(
    federated: FederatedDataset, recipe: Recipe, run_seed: int = 0
) -> tuple[dict[str, Any], Any]:
    module = grow(SEED)
    result = fit(
        module, federated.dataset.table, federated.dataset.train, recipe, generator(run_seed, "t")
    )
    return to_state(module), (module, result)


def test_learns_what_can_be_learnt(federated: FederatedDataset) -> None:
    _, (module, result) = trained(federated, LEARNS)
    likelihoods = predict(module, federated.dataset.table, federated.dataset.test, 16)
    labels = federated.dataset.table.labels[federated.dataset.test]
    assert float((likelihoods.argmax(axis=1) == labels).mean()) > 0.9
    assert result.steps == 40
    assert result.train_loss < 0.4
    assert np.allclose(np.exp(likelihoods).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{}, {"dropout": 0.2}, {"optimiser": "sgd"}, {"optimiser": "adam"}]
)
def test_same_bits(federated: FederatedDataset, change: dict[str, Any]) -> None:
    recipe = LEARNS.replace(steps=3, **change)
    before = torch.get_rng_state()
    first, _ = trained(federated, recipe)
    second, _ = trained(federated, recipe)
    other, _ = trained(federated, recipe, run_seed=1)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_zero_steps_change_nothing(federated: FederatedDataset) -> None:
    state, (_, result) = trained(federated, LEARNS.replace(steps=0))
    assert all(np.array_equal(state[name], part) for name, part in to_state(grow(SEED)).items())
    assert (result.steps, result.diverged) == (0, False)


def test_equals_a_plain_loop(federated: FederatedDataset) -> None:
    """The same two steps, written out with torch alone."""
    recipe = LEARNS.replace(steps=2, schedule="constant", warmup=0.0, weight_decay=0.1)
    state, _ = trained(federated, recipe)
    module = grow(SEED)
    rng = generator(0, "t")
    rng.integers(2**63)  # the seed of dropout
    rows = rng.permutation(federated.dataset.train)
    embedding, matrices, others = [], [], []
    for name, part in module.named_parameters():
        group = embedding if "word_embeddings" in name else matrices if part.ndim > 1 else others
        group.append(part)
    optimiser = torch.optim.AdamW(
        [
            {"params": embedding, "lr": 1e-2, "weight_decay": 0.1},
            {"params": matrices, "weight_decay": 0.1},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=1e-3,
    )
    for step in range(2):
        chosen = rows[16 * step : 16 * (step + 1)]
        ids, lengths = federated.dataset.table.padded(chosen, 16)
        logits = module(torch.from_numpy(ids), torch.from_numpy(lengths))
        labels = torch.from_numpy(federated.dataset.table.labels[chosen])
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
    for name, part in to_state(module).items():
        # Adam blows rounding noise up to a step where a gradient is nearly zero, as that of
        # the key's bias is, to which the softmax is blind; how often, the processor decides.
        if not name.endswith("key.bias"):
            apart = np.abs(state[name] - part)
            assert np.mean(apart < 1e-5) > 0.99, name
            assert apart.max() < 3e-3, name


def test_every_epoch_visits_each_example_once(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    table = federated.dataset.table
    padded = type(table).padded

    def spy(self: Any, rows: Any, *how: int) -> Any:
        seen.extend(rows.tolist())
        return padded(self, rows, *how)

    monkeypatch.setattr(type(table), "padded", spy)
    rows = federated.dataset.train[:24]
    fit(grow(SEED), table, rows, LEARNS.replace(steps=3, batch_size=16), generator(0, "t"))
    assert sorted(seen[:24]) == sorted(seen[24:]) == rows.tolist()


def test_prediction_does_not_depend_on_the_order(federated: FederatedDataset) -> None:
    rows = federated.dataset.test
    module = grow(SEED)
    forward = predict(module, federated.dataset.table, rows, 16)
    backward = predict(module, federated.dataset.table, rows[::-1], 16)[::-1]
    assert np.allclose(forward, backward, atol=1e-6)


def test_padding_to_a_multiple_changes_nothing(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, rows = federated.dataset.table, federated.dataset.test
    losses, likelihoods = [], []
    for multiple in (1, 4):
        monkeypatch.setattr(Compute, "width_multiple", multiple)
        module = grow(SEED)
        recipe = LEARNS.replace(steps=3, max_length=14)
        losses.append(fit(module, table, rows, recipe, generator(0, "t")).train_loss)
        likelihoods.append(predict(module, table, rows, 14))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert np.allclose(*likelihoods, atol=1e-4)
    longest = int(table.lengths(rows, 14).max())
    assert [table.padded(rows, 14, m)[0].shape[1] for m in (1, 4)] == [longest, 12]
    assert table.padded(rows, 9, 4)[0].shape[1] == 9  # never beyond what is kept


def test_divergence_stops_training(federated: FederatedDataset) -> None:
    module = grow(SEED)
    with torch.no_grad():
        module.classifier.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]
    result = fit(
        module, federated.dataset.table, federated.dataset.train, LEARNS, generator(0, "t")
    )
    assert result.diverged
    assert result.steps == 1


def jobs(federated: FederatedDataset, count: int) -> list[FitJob]:
    """Models with starts, rates, shards and orders of their own."""
    parts = np.array_split(federated.dataset.train, count)
    return [
        FitJob(
            grow(encode(random_seed("bert-tiny", 2, number, "scaled"))),
                federated.dataset.table, part,
            LEARNS.replace(steps=6, learning_rate=1e-3 * (number + 1), weight_decay=0.01),
            generator(0, "t", 0, number),
        )
        for number, part in enumerate(parts)
    ]  # fmt: skip


def test_stacked_equals_one_after_another(federated: FederatedDataset) -> None:
    together, alone = jobs(federated, 3), jobs(federated, 3)
    assert can_be_stacked(together[0], together[1])
    results = fit_together(together, Compute())
    for number, job in enumerate(alone):
        single = fit(job.model, job.table, job.rows, job.recipe, job.rng)
        assert single.train_loss == pytest.approx(results[number].train_loss, abs=1e-5)
        expected = predict(job.model, job.table, federated.dataset.test, 16)
        stacked = predict(together[number].model, job.table, federated.dataset.test, 16)
        assert np.allclose(expected, stacked, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_made_ready_while_the_last_one_is_worked_on(
    federated: FederatedDataset, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """As on a GPU: the losses are read after the next batch is there."""
    made: list[LeanTrainer] = []

    class Background(LeanTrainer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.in_background = True
            made.append(self)

    usual, ours = jobs(federated, count), jobs(federated, count)
    expected = fit_together(usual, Compute())
    monkeypatch.setattr(sys.modules[fit_together.__module__], "LeanTrainer", Background)
    assert fit_together(ours, Compute()) == expected
    assert len(made) == 1
    for job, other in zip(usual, ours, strict=True):
        states = to_state(job.model), to_state(other.model)
        assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_a_stacked_model_that_diverges_leaves_the_others_alone(federated: FederatedDataset) -> None:
    together, alone = jobs(federated, 2), jobs(federated, 2)
    with torch.no_grad():
        together[0].model.classifier.weight.fill_(float("inf"))  # type: ignore[union-attr,operator]
    broken, sound = fit_together(together, Compute())
    job = alone[1]
    single = fit(job.model, job.table, job.rows, job.recipe, job.rng)
    assert broken.diverged
    assert broken.steps == 1
    assert not sound.diverged
    assert single.train_loss == pytest.approx(sound.train_loss, abs=1e-5)


def test_only_like_jobs_are_stacked(federated: FederatedDataset) -> None:
    first, second = jobs(federated, 2)
    for change in ({"steps": 7}, {"dropout": 0.1}, {"optimiser": "sgd"}, {"batch_size": 8}):
        other = dataclasses.replace(second, recipe=second.recipe.replace(**change))
        assert not can_be_stacked(first, other)


def test_lean_is_as_the_generic_path(federated: FederatedDataset) -> None:
    """With automatic differentiation and torch's dense AdamW instead."""
    lean, generic = jobs(federated, 1)[0], jobs(federated, 1)[0]
    ours = fit(lean.model, lean.table, lean.rows, lean.recipe, lean.rng)
    trainer = GenericTrainer(generic.model, generic.recipe, Compute(), 0)
    generic.rng.integers(2**63)
    order = batches(generic.rows, generic.recipe.batch_size, generic.rng)
    losses = [trainer.step([next(order)], generic.table)[0] for _ in range(6)]
    assert losses[-1] == pytest.approx(ours.train_loss, abs=1e-4)


def test_bf16_is_near_fp32(federated: FederatedDataset) -> None:
    models = [grow(SEED), grow(SEED)]
    table, rows = federated.dataset.table, federated.dataset.test
    both = [
        predict(model, table, rows, 16, Compute(precision))
        for model, precision in zip(models, ("fp32", "bf16"), strict=True)
    ]
    assert not np.array_equal(*both)
    assert np.allclose(*both, atol=0.02)
    results = [
        fit(model, table, federated.dataset.train, LEARNS, generator(0, "t"), Compute(precision))
        for model, precision in zip(models, ("fp32", "bf16"), strict=True)
    ]
    assert results[1].train_loss == pytest.approx(results[0].train_loss, abs=0.1)
    likelihoods = predict(models[1], table, rows, 16, Compute("bf16"))
    assert float((likelihoods.argmax(axis=1) == table.labels[rows]).mean()) > 0.9


def test_a_stack_in_bf16_is_near_fp32(federated: FederatedDataset) -> None:
    half, whole = jobs(federated, 2), jobs(federated, 2)
    losses = [
        [result.train_loss for result in fit_together(pair, Compute(precision))]
        for pair, precision in ((half, "bf16"), (whole, "fp32"))
    ]
    assert losses[0] != losses[1]
    assert np.allclose(*losses, atol=0.05)


def test_a_watched_model_is_that_of_a_shorter_run(federated: FederatedDataset) -> None:
    """Looking changes nothing, and what is seen after n steps is a run that ends there."""
    recipe = LEARNS.replace(steps=6, schedule="constant", warmup=0.0)
    seen: dict[int, dict[str, Any]] = {}

    def run(watch: Any) -> Any:
        module = grow(SEED)
        table, rows = federated.dataset.table, federated.dataset.train
        result = fit(module, table, rows, recipe, generator(1, "watch"), watch=watch)
        return to_state(module), result

    def look(losses: Sequence[float], model: Callable[[], Any]) -> bool:
        seen[len(losses)] = to_state(model())
        return False

    watched, _ = run(look)
    alone, _ = run(None)
    ended, result = run(lambda losses, _: len(losses) == 3)
    assert result.steps == 3
    assert sorted(seen) == [1, 2, 3, 4, 5, 6]
    for name, values in alone.items():
        assert (watched[name] == values).all()
        assert (seen[6][name] == values).all()
        assert (seen[3][name] == ended[name]).all()
    assert any((seen[3][name] != alone[name]).any() for name in alone)


def test_predictions_side_by_side(federated: FederatedDataset) -> None:
    table, rows = federated.dataset.table, np.tile(federated.dataset.train, 10)
    alone = predict(grow(SEED), table, rows, 16)
    assert np.array_equal(predict(grow(SEED), table, rows, 16, Compute(lanes=3)), alone)
