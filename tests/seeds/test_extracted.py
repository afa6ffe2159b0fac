"""Seeds that are extracted from weights: sizes, errors, hostile bytes, and the same bits always."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.evaluation.reconstruction import relative_error, total_error
from fedseed.models.architecture import State, architecture
from fedseed.seeds.base import Material, Seed
from fedseed.seeds.codec import assemble, decode, encode, expected_errors, sizes
from fedseed.seeds.kinds.pca import PcaOptions
from fedseed.seeds.kinds.random import random_seed
from fedseed.seeds.make import make_seed
from fedseed.seeds.registry import format_of

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = architecture("bert-tiny").shapes()
SMALL = {"words": (60, 8), "square": (8, 8), "wide": (4, 12), "norm": (8,), "bias": (3,)}
"""Shapes of a made-up architecture, for tests of the payload alone."""


@pytest.fixture(scope="module")
def weights() -> State:
    """BERT-tiny from a key, with a structure that components can find."""
    state = assemble(random_seed("bert-tiny", 2, 11, "bert"), SHAPES)
    rng = np.random.Generator(np.random.PCG64(3))
    for name, values in state.items():
        if values.ndim == 2:
            left, right = rng.normal(size=(len(values), 3)), rng.normal(size=(3, values.shape[1]))
            state[name] = values + (0.05 * left @ right).astype(np.float32)
        else:
            state[name] = values + rng.normal(0, 0.1, values.shape).astype(np.float32)
    return state


def small_weights(seed: int = 0) -> State:
    rng = np.random.Generator(np.random.PCG64(seed))
    state = {name: rng.normal(0.3, 0.5, shape).astype(np.float32) for name, shape in SMALL.items()}
    state["words"][20:] = state["words"].mean()  # rows of which nothing is left
    return state


def make(kind: str, weights: State, options: PcaOptions | None = None) -> Seed:
    return make_seed(kind, "bert-tiny", 2, 7, weights, options.model_dump() if options else None)


def made_up(kind: str, weights: State, options: PcaOptions | None = None, key: int = 1) -> Seed:
    shapes = {name: values.shape for name, values in weights.items()}
    return format_of(kind).make(Material("made-up", 2, shapes, key, options, weights))


@pytest.mark.parametrize(("kind", "most"), [("minimal", 64), ("stats", 256), ("pca", 55_000)])
def test_encoded_sizes(weights: State, kind: str, most: int) -> None:
    seed = make(kind, weights)
    assert len(encode(seed)) <= most
    assert decode(encode(seed)) == seed
    parts = sizes(seed, SHAPES)
    assert sum(parts.values()) == pytest.approx(len(encode(seed)), abs=8)


@pytest.mark.parametrize("kind", ["minimal", "stats", "pca"])
def test_golden_weights(kind: str) -> None:
    """The same bytes and the same weights on every machine, from integers-only weights."""
    state: State = {
        name: ((np.arange(np.prod(shape)) * 7919 % 251 - 125) / 256.0)
        .astype(np.float32).reshape(shape)
        for name, shape in SMALL.items()
    }  # fmt: skip
    if kind == "pca":
        payload = bytes.fromhex((GOLDEN / "pca.payload.hex").read_text())
        seed = Seed("pca", "made-up", 2, payload)
    else:
        seed = made_up(kind, state, key=0x0123456789ABCDEF)
    whole = hashlib.sha256()
    for values in assemble(seed, SMALL).values():
        assert values.dtype == np.float32
        whole.update(values.astype("<f4").tobytes())
    expected = json.loads((GOLDEN / "extracted.json").read_text())
    assert whole.hexdigest() == expected[kind]


def test_stats_have_the_moments(weights: State) -> None:
    for name, values in assemble(make("stats", weights), SHAPES).items():
        original = weights[name]
        if original.size < 100:  # the moments of a few draws say little
            continue
        assert values.std() == pytest.approx(original.std(), rel=0.3, abs=1e-3), name
        room = float(4 * original.std() / original.size**0.5 + 1e-3)
        assert values.mean() == pytest.approx(original.mean(), abs=room), name


def test_minimal_has_the_moments_and_leading_components(weights: State) -> None:
    assembled = assemble(make("minimal", weights), SHAPES)
    matrices = [name for name, values in weights.items() if values.ndim == 2]
    drawn, original = (
        np.concatenate([state[name].ravel() for name in matrices]) for state in (assembled, weights)
    )
    assert drawn.std() == pytest.approx(original.std(), rel=0.1)

    def leading(state: State) -> float:
        matrix = state["bert.encoder.layer.0.attention.self.query.weight"]
        values = np.linalg.svd(matrix - matrix.mean(), compute_uv=False)
        return float((values[:3] ** 2).sum() / (values**2).sum())

    noise = assemble(random_seed("bert-tiny", 2, 1, "bert"), SHAPES)
    assert leading(assembled) > 2 * leading(noise)
    assert (assembled["bert.embeddings.LayerNorm.weight"] == 1).all()


def test_pca_states_its_error(weights: State) -> None:
    seed = make("pca", weights)
    errors = relative_error(assemble(seed, SHAPES), weights)
    stated = expected_errors(seed, SHAPES)
    for name, error in errors.items():
        assert stated[name] == pytest.approx(error, rel=0.02, abs=2e-3), name


def test_more_components_and_finer_steps_lower_the_error(weights: State) -> None:
    def error(k: int, step: float) -> float:
        return total_error(
            assemble(make("pca", weights, PcaOptions(k=k, step=step)), SHAPES), weights
        )

    by_k = [error(k, 1e-3) for k in (1, 3, 30, 128)]
    assert by_k == sorted(by_k, reverse=True)
    by_step = [error(128, step) for step in (1e-2, 3e-3, 1e-3, 1e-4)]
    assert by_step == sorted(by_step, reverse=True)
    assert by_step[-1] < 0.06


def test_pca_beats_components_without_places(weights: State) -> None:
    """Components alone, as floats, cost twice the bytes and leave the whole error."""
    seed = make("pca", weights)
    matrices = [values for values in weights.values() if values.ndim == 2]
    theirs = 4 * sum(min(10, *values.shape) * values.shape[1] for values in matrices)
    assert len(encode(seed)) <= theirs / 2
    words = "bert.embeddings.word_embeddings.weight"
    rng = np.random.Generator(np.random.PCG64(5))
    _, values, right = np.linalg.svd(weights[words], full_matrices=False)
    drawn = rng.normal(size=(len(weights[words]), 10)) * values[:10] / len(weights[words]) ** 0.5
    without = {words: (drawn @ right[:10]).astype(np.float32)}
    assert total_error(assemble(seed, SHAPES), weights) < total_error(without, weights)


def test_budgets_and_most_bytes(weights: State) -> None:
    words = "bert.embeddings.word_embeddings.weight"
    options = PcaOptions(k=8, budget={"*word_embeddings*": 1})
    less, more = sizes(make("pca", weights, options), SHAPES), sizes(make("pca", weights), SHAPES)
    assert less[words] < more[words]
    fitted = make("pca", weights, PcaOptions(k=10, max_bytes=20_000))
    assert 10_000 < len(fitted.payload) <= 20_000
    with pytest.raises(SeedError, match="give more"):
        make("pca", weights, PcaOptions(k=10, max_bytes=100))


def test_rows_that_hold_nothing_cost_nothing() -> None:
    state = small_weights()
    seed = made_up("pca", state, PcaOptions(k=3, step=0.02))
    words = assemble(seed, SMALL)["words"]
    assert (words[20:] == words[20, 0]).all()
    assert words[:20].std() > 0.2


def test_fill_restores_the_deviation() -> None:
    state = small_weights()
    filled = made_up("pca", state, PcaOptions(k=1, step=0.05, fill=True))
    plain = made_up("pca", state, PcaOptions(k=1, step=0.05))
    deviation = state["square"].std()
    assert abs(assemble(filled, SMALL)["square"].std() - deviation) < deviation / 3
    assert assemble(plain, SMALL)["square"].std() < deviation


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (PcaOptions(k=129), "k = 129"),
        (PcaOptions(k=0), "k = 0"),
        (PcaOptions(step=0.0), "step"),
        (PcaOptions(step=float("nan")), "step"),
        (PcaOptions(budget={"*nothing*": 2}), "pattern"),
        (PcaOptions(budget={"*": 500}), "k = 500"),
    ],
)
def test_impossible_options(weights: State, options: PcaOptions, words: str) -> None:
    with pytest.raises(SeedError, match=words):
        make("pca", weights, options)


@pytest.mark.parametrize("kind", ["minimal", "stats", "pca"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_are_not_finite_or_too_large(weights: State, kind: str, value: float) -> None:
    name = "classifier.weight"
    broken = weights | {name: np.full_like(weights[name], value)}
    with pytest.raises(SeedError, match=r"NaN|range"):
        make(kind, broken)


@pytest.mark.parametrize("kind", ["minimal", "stats", "pca"])
def test_weights_of_another_architecture(weights: State, kind: str) -> None:
    missing = {name: values for name, values in weights.items() if "pooler" not in name}
    with pytest.raises(SeedError, match="lack"):
        make(kind, missing)
    other = weights | {"classifier.weight": np.zeros((3, 128), dtype=np.float32)}
    with pytest.raises(SeedError, match="shape"):
        make(kind, other)


@pytest.mark.parametrize("kind", ["stats", "pca"])
def test_a_seed_of_another_architecture(weights: State, kind: str) -> None:
    seed = make(kind, weights)
    with pytest.raises(SeedError):
        assemble(seed, architecture("bert-mini").shapes())


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_hostile_payloads(place: int, value: int, cut: int) -> None:
    """Altered bytes are refused, or give finite weights of the right shapes: never a crash."""
    good = made_up("pca", small_weights(), PcaOptions(k=3, step=0.02)).payload
    data = bytearray(good)
    data[place % len(data)] = value
    payload = bytes(data[: len(data) - cut])
    try:
        state = assemble(Seed("pca", "made-up", 2, payload), SMALL)
    except SeedError:
        return
    assert {name: values.shape for name, values in state.items()} == SMALL
    assert all(np.isfinite(values).all() for values in state.values())


@given(st.binary(max_size=80))
def test_hostile_small_payloads(payload: bytes) -> None:
    for kind in ("minimal", "stats", "pca"):
        try:
            state = assemble(Seed(kind, "made-up", 2, payload), SMALL)
        except SeedError:
            continue
        assert {name: values.shape for name, values in state.items()} == SMALL


def test_a_hostile_rank_allocates_nothing() -> None:
    head = struct.pack("<BQf", 0, 1, 0.01)
    tensors = struct.pack("<eeeHI", 0.0, 1.0, 1.0, 60_000, 2**32 - 1) * len(SMALL)
    with pytest.raises(SeedError, match="another architecture"):
        assemble(Seed("pca", "made-up", 2, head + tensors), SMALL)


def test_the_same_weights_give_the_same_seed(weights: State) -> None:
    for kind in ("minimal", "stats", "pca"):
        assert make(kind, weights) == make(kind, dict(reversed(weights.items())))


def test_a_large_embedding_within_seconds() -> None:
    """50,257 x 768, GPT-2's; a timing belongs in a benchmark, memory and success here."""
    shapes = {"wte": (50_257, 768)}
    rng = np.random.Generator(np.random.PCG64(1))
    matrix = rng.standard_normal((50_257, 768), dtype=np.float32)
    seed = made_up("pca", {"wte": matrix}, PcaOptions(k=4, step=0.004))
    assert assemble(seed, shapes)["wte"].shape == (50_257, 768)
