"""DP-SGD: sums of clipped gradients against opacus and plain torch, sampling and noise."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.data.tokens import TokenTable
from fedseed.errors import ConfigError
from fedseed.models.architecture import Architecture
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.protocols.adapters.low_rank import AdaptedModel
from fedseed.protocols.adapters.messages import Layout
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import Compute, DpSgd, FitJob, StackingTrainer, Trainer, fit, fit_together
from fedseed.training.dp_sgd import Mechanism, poisson_sample, sampling_rate
from fedseed.training.dp_sgd import lean as lean_module
from fedseed.training.dp_sgd.generic import DpGenericTrainer
from fedseed.training.dp_sgd.head import DpHeadTrainer
from fedseed.training.dp_sgd.lean import DpLeanTrainer
from fedseed.training.lean.stack import WORDS

fit_module = sys.modules[fit.__module__]
SMALL = Architecture("small", 3, 32, 4, 64, labels=3, vocabulary=50, positions=24)
RECIPE = Recipe(
    optimiser="adamw", learning_rate=1e-3, steps=4, batch_size=8, max_length=24,
    label_smoothing=0.1,
)  # fmt: skip
SEED = encode(random_seed("bert-tiny", 2, 9, "scaled"))
Gradients = dict[str, Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def small_model(seed: int) -> BertClassifier:
    """Random weights, far from zero biases."""
    model = BertClassifier(SMALL)
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, part in model.named_parameters():
            part.normal_(float("LayerNorm.weight" in name), 0.2, generator=draws)
    return model


def texts(lengths: Sequence[int], seed: int, soft: bool = False) -> TokenTable:
    """Texts of few distinct words, so that many come twice."""
    rng = generator(seed, "texts")
    tokens = rng.integers(1, 12, sum(lengths)).astype(np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    labels = rng.integers(0, 3, len(lengths))
    shares = rng.dirichlet(np.ones(3), len(lengths)).astype(np.float32) if soft else None
    return TokenTable(tokens, offsets, labels, shares)


def mechanism(clip: float, noise: float = 0.0, seed: int = 0) -> Mechanism:
    """One that expects one example, so that the mean is the sum."""
    return Mechanism(DpSgd(clip, noise), 1, 4, generator(seed, "mechanism"))


def lean_gradients(model: BertClassifier, table: TokenTable, noise: Mechanism) -> Gradients:
    """What the lean path hands to the optimiser, by name."""
    trainer = DpLeanTrainer(model, RECIPE, Compute(), noise)
    handed: list[Tensor] = []
    for optimiser in (trainer._words, trainer._dense):
        optimiser.step = lambda given: handed.append(given.clone())  # type: ignore[method-assign]
    trainer.step([np.arange(len(table.labels))], table)
    trainer._stack.words = handed[0].view(-1, model.shape.hidden)
    trainer._stack.weights.copy_(handed[1])
    holder = BertClassifier(model.shape)
    trainer._stack.write_back([holder])
    return {name: part.detach() for name, part in holder.named_parameters()}


def generic_gradients(
    model: nn.Module, table: TokenTable, noise: Mechanism, recipe: Recipe = RECIPE
) -> Gradients:
    """What the generic path hands to the optimiser, by name."""
    trainer = DpGenericTrainer(model, recipe, Compute(), 0, noise)
    trainer._update = lambda: None  # type: ignore[method-assign]
    trainer.step([np.arange(len(table.labels))], table)
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def losses_of(model: nn.Module, table: TokenTable, row: int) -> Tensor:
    """The loss of one text alone, unpadded."""
    ids, lengths = table.padded(np.array([row]), RECIPE.max_length)
    logits = model(torch.from_numpy(ids), torch.from_numpy(lengths))
    known = table.labels if table.soft is None else table.soft
    wanted = torch.from_numpy(known[[row]])
    return functional.cross_entropy(logits, wanted, label_smoothing=RECIPE.label_smoothing)


def plain_gradients(model: nn.Module, table: TokenTable, clip: float) -> tuple[Gradients, list]:
    """The sum of clipped gradients by plain torch, text by text, and their norms."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(part) for name, part in trained.items()}
    norms = []
    for row in range(len(table.labels)):
        of_text = torch.autograd.grad(losses_of(model, table, row), list(trained.values()))
        norms.append(float(torch.stack([part.double().norm() for part in of_text]).norm()))
        for sum_of_clipped, part in zip(total.values(), of_text, strict=True):
            sum_of_clipped += part * min(1.0, clip / norms[-1])
    return total, norms


def assert_close(summed: Gradients, wanted: Gradients, size: float) -> None:
    assert set(summed) == set(wanted)
    for name, part in wanted.items():
        assert torch.allclose(summed[name], part, atol=2e-5 * size, rtol=0), name


def norm_of(gradients: Gradients) -> float:
    return float(torch.stack([part.double().norm() for part in gradients.values()]).norm())


def apart(one: Gradients, other: Gradients) -> float:
    return norm_of({name: part - other[name] for name, part in one.items()})


@settings(max_examples=12, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 24), min_size=2, max_size=10),
    seed=st.integers(0, 99),
    soft=st.booleans(),
)
def test_lean_is_opacus_is_plain_torch(lengths: list[int], seed: int, soft: bool) -> None:
    table = texts(sorted(lengths, reverse=True), seed, soft)
    model = small_model(seed)
    _, norms = plain_gradients(model, table, 1.0)
    clip = float(np.median(norms)) * 0.999  # some are clipped, some are not
    wanted, _ = plain_gradients(model, table, clip)
    summed = lean_gradients(small_model(seed), table, mechanism(clip))
    assert_close(summed, wanted, clip)
    assert_close(generic_gradients(model, table, mechanism(clip)), wanted, clip)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    table = texts([24, 20, 9, 9, 5, 3, 2], 1)
    whole = lean_gradients(small_model(1), table, mechanism(0.5))
    monkeypatch.setattr(lean_module, "_TOKENS_AT_ONCE", 25)
    assert_close(lean_gradients(small_model(1), table, mechanism(0.5)), whole, 0.5)


@pytest.mark.parametrize("gradients", [lean_gradients, generic_gradients])
def test_one_more_example_moves_the_sum_by_the_clip_at_most(
    gradients: Callable[..., Gradients],
) -> None:
    lengths, clip = [24, 18, 12, 12, 7, 2], 0.3
    table = texts(lengths, 2)
    table.tokens[:24] = 7  # one text of one word
    sums = gradients(small_model(2), table, mechanism(clip))
    for row in range(len(lengths)):
        parts = [np.arange(*table.offsets[at : at + 2]) for at in range(len(lengths))]
        kept = [at for at in range(len(lengths)) if at != row]

        def of(rows: list[int], parts: list[Any] = parts) -> TokenTable:
            sizes = np.cumsum([0, *(lengths[at] for at in rows)])
            tokens = np.concatenate([table.tokens[parts[at]] for at in rows])
            return TokenTable(tokens, sizes, table.labels[rows])

        alone = gradients(small_model(2), of([row]), mechanism(clip))
        without = gradients(small_model(2), of(kept), mechanism(clip))
        assert norm_of(alone) <= clip
        assert norm_of(alone) == pytest.approx(clip, rel=1e-4)  # the clip is at work
        assert apart(sums, without) <= clip * (1 + 1e-5)


@pytest.mark.parametrize("gradients", [lean_gradients, generic_gradients])
def test_without_clip_and_noise_it_is_the_ordinary_gradient(
    gradients: Callable[..., Gradients],
) -> None:
    table = texts([24, 20, 9, 5, 3], 3)
    model = small_model(3)
    torch.stack([losses_of(model, table, row) for row in range(5)]).sum().backward()
    wanted = {name: part.grad for name, part in model.named_parameters()}
    summed = gradients(small_model(3), table, mechanism(1e6))
    assert_close(summed, wanted, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("gradients", [lean_gradients, generic_gradients])
@pytest.mark.parametrize("lengths", [[24, 9, 3], []])
def test_noise_on_every_coordinate(gradients: Callable[..., Gradients], lengths: list[int]) -> None:
    table = texts(lengths, 4)
    clip, noise = 0.01, 300.0  # the gradient is nothing beside the noise
    summed = gradients(small_model(4), table, mechanism(clip, noise))
    other = gradients(small_model(4), table, mechanism(clip, noise, seed=1))
    assert len(summed) == len(list(small_model(4).parameters()))
    touched, untouched = summed[WORDS][1:12], summed[WORDS][12:]
    everything = torch.cat([part.flatten() for part in summed.values()])
    for part in (touched, untouched, summed["classifier.weight"], everything):
        sigmas = 4 / np.sqrt(2 * part.numel())
        assert float(part.std()) == pytest.approx(clip * noise, rel=sigmas)
        assert abs(float(part.mean())) < clip * noise * 4 / np.sqrt(part.numel())
    for name, part in summed.items():
        assert (part != 0).all(), name
        assert (part != other[name]).all(), name


def test_steps_have_noise_of_their_own() -> None:
    noise, cpu = mechanism(1.0, 1.0), torch.device("cpu")
    first, second = (torch.randn(1000, generator=noise.generator(cpu)) for _ in "ab")
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.15
    state = noise.generator(cpu).get_state().numpy().view(np.uint64)[3:627]
    assert state.max() < 2**32  # the twister's words
    assert len(np.unique(state)) == 624
    seeded = torch.Generator().manual_seed(1).get_state().numpy().view(np.uint64)[3:627]
    assert seeded[0] == 1  # the words are where they are thought to be


def test_an_example_that_is_not_finite_adds_nothing() -> None:
    """A word whose embedding is infinite, in one of the texts."""
    table = texts([12, 9, 5], 5)
    table.tokens[3] = 40
    wanted: list[Gradients] = []
    for gradients in (lean_gradients, generic_gradients):
        model = small_model(5)
        sound = TokenTable(table.tokens[12:], table.offsets[1:] - 12, table.labels[1:])
        with torch.no_grad():
            model.bert.embeddings.word_embeddings.weight[40] = torch.inf
        summed = gradients(model, table, mechanism(0.5))
        wanted = [*wanted, gradients(small_model(5), sound, mechanism(0.5))]
        assert_close(summed, wanted[-1], 0.5)
        assert norm_of(summed) > 0


def test_sampling_rate() -> None:
    assert sampling_rate(32, 128) == 0.25
    assert sampling_rate(32, 20) == 1.0
    with pytest.raises(ConfigError, match="at least one example"):
        sampling_rate(32, 0)
    rows, rng = np.arange(100, 200), generator(0, "sample")
    samples = [poisson_sample(rows, 0.1, rng) for _ in range(1000)]
    sizes = np.array([len(sample) for sample in samples])
    assert sizes.mean() == pytest.approx(10, abs=0.4)
    assert sizes.var() == pytest.approx(9, rel=0.2)  # that of a binomial
    counts = np.bincount(np.concatenate(samples), minlength=200)[100:]
    assert counts.min() > 60
    assert counts.max() < 140
    assert all(len(np.unique(sample)) == len(sample) for sample in samples)


@pytest.mark.parametrize(("clip", "noise"), [(0, 1), (-1, 1), (np.nan, 1), (1, -1), (1, np.inf)])
def test_ranges(clip: float, noise: float) -> None:
    with pytest.raises(ConfigError, match="give a number"):
        DpSgd(clip, noise)


@pytest.fixture
def federated(small: dict[str, Any]) -> FederatedDataset:
    return open_federated_dataset(RunConfig.parse(small))


def private(
    federated: FederatedDataset, recipe: Recipe, run_seed: int = 0, **more: Any
) -> tuple[Any, Any]:
    model = grow(SEED)
    table, rows = federated.dataset.table, federated.dataset.train
    rng = generator(run_seed, "t")
    result = fit(model, table, rows, recipe, rng, dp=DpSgd(1.0, 0.5), **more)
    return to_state(model), result


@pytest.mark.parametrize(
    "change", [{}, {"dropout": 0.2}, {"optimiser": "sgd"}], ids=["lean", "dropout", "sgd"]
)
def test_same_bits_and_no_loss(
    federated: FederatedDataset, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(
        **({"optimiser": "adamw", "steps": 2, "batch_size": 4, "max_length": 16} | change)
    )
    used: list[str] = []
    for kind in (DpLeanTrainer, DpGenericTrainer):
        step: Any = kind.step

        def spy(self: Any, *args: Any, step: Any = step) -> Any:
            used.append(type(self).__name__)
            return step(self, *args)

        monkeypatch.setattr(kind, "step", spy)
    before = torch.get_rng_state()
    first, result = private(federated, recipe)
    second, _ = private(federated, recipe)
    other, _ = private(federated, recipe, run_seed=1)
    assert set(used) == {"DpGenericTrainer" if change else "DpLeanTrainer"}
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert all(not np.array_equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.isnan(result.train_loss)
    assert (result.steps, result.diverged) == (2, False)


def test_learns_with_little_noise(federated: FederatedDataset) -> None:
    recipe = Recipe(
        optimiser="adamw", learning_rate=1e-3, steps=40, batch_size=16, max_length=16
    )  # fmt: skip
    model, losses = grow(SEED), []
    table, rows = federated.dataset.table, federated.dataset.train
    fit(
        model, table, rows, recipe, generator(0, "t"), dp=DpSgd(1.0, 0.0),
        progress=lambda _, loss: losses.append(loss),
    )  # fmt: skip
    assert len(losses) == 40
    assert np.mean(losses[-8:]) < 0.6 < np.mean(losses[:4])


@pytest.mark.parametrize("dropout", [0.0, 0.1], ids=["lean", "generic"])
def test_empty_samples_and_watching(federated: FederatedDataset, dropout: float) -> None:
    """One example of 240 is expected in three steps: most samples are empty."""
    recipe = Recipe(optimiser="adamw", steps=3, batch_size=1, max_length=16, dropout=dropout)
    rows = federated.dataset.train
    seen: list[dict[str, Any]] = []

    def look(losses: Sequence[float], model: Callable[[], Any]) -> bool:
        seen.append(to_state(model()))
        return False

    def run(count: int, **more: Any) -> tuple[dict[str, Any], Any]:
        model = grow(SEED)
        shorter = recipe.replace(steps=count)
        rng = generator(3, "t")
        result = fit(model, federated.dataset.table, rows, shorter, rng, dp=DpSgd(1.0, 1.0), **more)
        return to_state(model), result

    watched, result = run(3, watch=look)
    alone, _ = run(3)
    shorter, _ = run(2)
    assert result.steps == 3
    for name, values in alone.items():
        assert np.array_equal(watched[name], values)
        assert np.array_equal(seen[2][name], values)
        assert np.array_equal(seen[1][name], shorter[name])
        assert not np.array_equal(seen[1][name], values)


def test_a_broken_model_takes_all_its_steps(federated: FederatedDataset) -> None:
    """When training ends must not tell of an example."""
    model = grow(SEED)
    with torch.no_grad():
        model.classifier.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]
    recipe = Recipe(optimiser="adamw", steps=3, batch_size=8, max_length=16)
    table, rows = federated.dataset.table, federated.dataset.train
    result = fit(model, table, rows, recipe, generator(0, "t"), dp=DpSgd(1.0, 1.0))
    assert (result.steps, result.diverged) == (3, True)


def test_trainers_pass_it_on(federated: FederatedDataset) -> None:
    dp = DpSgd(1.0, 1.0)
    recipe = Recipe(optimiser="adamw", steps=1, batch_size=8, max_length=16)

    def jobs() -> list[FitJob]:
        table, rows = federated.dataset.table, federated.dataset.train
        rngs = [generator(0, "t", 0, client) for client in (0, 1)]
        return [FitJob(grow(SEED), table, rows, recipe, rng) for rng in rngs]

    alone, together, stacking = jobs(), jobs(), jobs()
    assert np.isnan(Trainer(dp=dp).fit(alone[0]).train_loss)
    Trainer(Compute(), dp).fit(alone[1])
    assert len(fit_together(together, Compute(), dp=dp)) == 2
    trainer = StackingTrainer(Compute(), dp=dp)
    trainer.run_group([lambda job=job: trainer.fit(job) for job in stacking])  # type: ignore[misc]
    assert trainer.stacks == [1, 1]
    for groups in zip(alone, together, stacking, strict=True):
        first, *others = (to_state(job.model) for job in groups)
        assert all(np.array_equal(first[n], other[n]) for other in others for n in first)


@pytest.mark.parametrize("kind", ["lora", "ffa"])
def test_low_rank_factors(federated: FederatedDataset, kind: str) -> None:
    """Gradients are pulled back from the weights to the factors of every text alone."""
    layout = Layout.of(random_shapes(), 4, kind)
    start = layout.start(SEED)
    start = start + generator(0, "factors").normal(0, 0.05, start.shape).astype(np.float32)
    model, table = AdaptedModel(SEED, layout, start, 3.0), few_texts(federated)
    _, norms = plain_gradients(model, table, 1.0)
    clip = float(np.median(norms))
    wanted, _ = plain_gradients(model, table, clip)
    summed = generic_gradients(model, table, mechanism(clip))
    assert_close(summed, wanted, clip)


def test_a_head_alone(federated: FederatedDataset) -> None:
    """From kept features the sum is that of every text alone, and an empty sample is all noise."""
    layout = Layout.of(random_shapes(), 4, "ffa", "head")
    start = layout.start(SEED)
    start = start + generator(0, "head").normal(0, 0.5, start.shape).astype(np.float32)
    model, table = AdaptedModel(SEED, layout, start, 1.0), few_texts(federated)
    _, norms = plain_gradients(model, table, 1.0)
    clip = float(np.median(norms))
    wanted, _ = plain_gradients(model, table, clip)
    summed = torch.cat([part.flatten() for part in wanted.values()])
    rows = np.arange(len(table.labels))
    for noise, sample in ((0.0, rows), (2.0, rows[:0])):
        drawn = mechanism(clip, noise)
        trainer = DpHeadTrainer(model, RECIPE, Compute(), table, rows, drawn)
        handed: list[Tensor] = []
        trainer._adam.step = handed.append  # type: ignore[method-assign]
        trainer.step([sample], table)
        if noise:
            assert 0.8 < float(handed[0].std()) / (noise * clip) < 1.2
        else:
            assert torch.allclose(handed[0][0], summed, atol=2e-5 * clip, rtol=0)


def test_a_head_alone_is_trained_from_features(federated: FederatedDataset) -> None:
    """The fast path is the one that a job takes, and learns."""
    layout = Layout.of(random_shapes(), 4, "ffa", "head")
    model, table = AdaptedModel(SEED, layout, layout.start(SEED), 1.0), few_texts(federated)
    job = FitJob(model, table, np.arange(len(table.labels)), RECIPE, generator(0, "job"))
    run = fit_module._Run(job, DpSgd(1.0, 0.5))
    assert isinstance(fit_module._trainer([run], Compute()), DpHeadTrainer)
    before = model.vector()
    result = fit(model, table, job.rows, RECIPE, generator(0, "job"), dp=DpSgd(1.0, 0.5))
    assert not result.diverged
    assert (model.vector() != before).any()


def few_texts(federated: FederatedDataset) -> TokenTable:
    """Ten texts alone."""
    whole, order = federated.dataset.table, federated.dataset.train[:10]
    cut = [whole.tokens[whole.offsets[row] : whole.offsets[row + 1]] for row in order]
    sizes = np.cumsum([0, *(len(part) for part in cut)])
    return TokenTable(np.concatenate(cut), sizes, whole.labels[order])


def random_shapes() -> Any:
    return Architecture("bert-tiny", 2, 128, 2, 512).shapes()


class WithBuffer(nn.Module):
    """A model that opacus refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 3)
        self.normal = nn.BatchNorm1d(3)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = self.normal(self.words(input_ids).mean(1))
        return out


class WithBareWeight(nn.Module):
    """A model one of whose weights no layer holds."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 3)
        self.bare = nn.Parameter(torch.zeros(3))

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        out: Tensor = self.words(input_ids).mean(1) + self.bare
        return out


class WithSharedPositions(nn.Module):
    """A model one of whose layers does not see the examples apart, as Hugging Face's do."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 3)
        self.positions = nn.Embedding(24, 3)

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        places = torch.arange(input_ids.shape[1])[None]
        out: Tensor = (self.words(input_ids) + self.positions(places)).mean(1)
        return out


@pytest.mark.parametrize("kind", [WithBuffer, WithBareWeight, WithSharedPositions])
def test_models_without_gradients_by_example_are_refused(kind: type[nn.Module]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind()
    table = texts([9, 5, 3], 6)
    with pytest.raises(ConfigError, match="no gradients by example") as caught:
        generic_gradients(model, table, mechanism(1.0))
    assert "\n" not in str(caught.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DpSgd(1.0, 1.0).clip = 2.0  # type: ignore[misc]


def test_opacus_is_imported_late() -> None:
    code = "import sys, fedseed.training; print('opacus' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
