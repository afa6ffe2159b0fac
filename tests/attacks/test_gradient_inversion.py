"""One step gives texts away: row by row, and through the span of the inputs."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedseed.attacks.tokens.gradient_inversion import (
    recovery,
    sentences,
    texts_of_step,
    words_in_order,
)
from fedseed.attacks.tokens.input_spans import (
    embedded,
    input_span,
    layer_span,
    sets_by_span,
    tokens_by_span,
)
from fedseed.attacks.tokens.optimiser_step import Step, read_step
from fedseed.attacks.tokens.vocabulary import moved_rows
from fedseed.attacks.tokens.word_positions import match_positions
from fedseed.data.tokens import TokenTable
from fedseed.models.bert import BertClassifier
from fedseed.models.registry import to_state
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import encode
from fedseed.seeds.kinds.random import random_seed
from fedseed.training import fit

SGD = {"optimiser": "sgd", "learning_rate": 10.0}
SEEDS = {name: encode(random_seed("bert-tiny", 2, 7, name)) for name in ("bert", "scaled")}


def texts(count: int, length: int, repeats: int = 0) -> list[list[int]]:
    """Texts of distinct words, of which the first few come again at the end."""
    words = generator(length, "words").permutation(np.arange(1000, 30_000))
    made = []
    for number in range(count):
        chosen = words[number * length : (number + 1) * length - 2 - repeats].tolist()
        made.append([101, *chosen, *chosen[:repeats], 102])
    return made


def table(batch: Sequence[Sequence[int]]) -> TokenTable:
    offsets = np.cumsum([0, *map(len, batch)])
    return TokenTable(np.concatenate(batch), offsets, np.arange(len(batch)) % 2)


def one_step(
    batch: Sequence[Sequence[int]], scheme: str, **options: object
) -> tuple[dict, dict, Recipe]:
    """States before and after one step, and its recipe."""
    recipe = Recipe().replace(steps=1, batch_size=len(batch), **options)
    model = grow(SEEDS[scheme])
    before = to_state(model)
    fit(model, table(batch), np.arange(len(batch)), recipe, generator(0, "fit"))
    return before, to_state(model), recipe


@pytest.mark.parametrize("scheme", ["bert", "scaled"])
@pytest.mark.parametrize("length", [12, 60, 126])
def test_sgd_gives_a_text_away_in_order(scheme: str, length: int) -> None:
    true = texts(1, length, repeats=length // 4)
    options = SGD | {"learning_rate": 0.1, "weight_decay": 0.01, "embedding_multiplier": 5.0}
    recovered = words_in_order(*one_step(true, scheme, **options))
    assert recovered.tolist() == true[0]


@pytest.mark.parametrize("scheme", ["bert", "scaled"])
def test_adamw_gives_the_order_of_words_used_once_away(scheme: str) -> None:
    options = {"optimiser": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01}
    once = texts(1, 100)
    assert words_in_order(*one_step(once, scheme, **options)).tolist() == once[0]
    twice = texts(1, 60, repeats=15)
    recovered = words_in_order(*one_step(twice, scheme, **options))
    right = recovered == np.array(twice[0])
    assert right[[0, *range(16, 43), 59]].all()  # those that do not come again
    assert right.mean() > 0.6


def test_match_positions_on_plain_numbers() -> None:
    rows = generator(0, "rows").normal(size=(5, 8))
    words = np.stack([rows[3], rows[0] + rows[2], rows[1] + rows[4]])
    assert match_positions(words, rows).tolist() == [1, 2, 1, 0, 2]
    assert match_positions(rows[::-1], rows, additive=False).tolist() == [4, 3, 2, 1, 0]
    assert match_positions(rows[:0], rows).tolist() == [-1] * 5
    assert match_positions(rows, rows[:0]).tolist() == []


def test_a_step_of_sgd_is_read_as_the_gradient() -> None:
    true = texts(2, 9)
    step = read_step(*one_step(true, "bert", weight_decay=0.1, **SGD))
    model = grow(SEEDS["bert"])
    logits = model(torch.tensor(true), torch.tensor([9, 9]))
    functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    for name, part in model.named_parameters():
        gradient = part.grad.numpy()
        assert np.allclose(step.moves[name], gradient, atol=1e-5 * np.abs(gradient).max() + 1e-8)


def test_inputs_are_the_model_s_own() -> None:
    model = grow(SEEDS["bert"])
    assert isinstance(model, BertClassifier)
    words = np.array([101, 2003, 7])
    with torch.inference_mode():
        inputs = model.bert.embeddings(torch.from_numpy(words)[None])[0].numpy()
    state = to_state(model)
    expected = np.concatenate([embedded(state, words[[place]], place) for place in range(3)])
    assert np.allclose(inputs, expected, atol=1e-5)


def test_input_span() -> None:
    inputs = generator(0, "inputs").normal(size=(3, 8))
    gradient = generator(0, "outputs").normal(size=(10, 3)) @ inputs
    span = input_span(gradient, 1e-6)
    assert span is not None
    assert span.shape == (3, 8)
    assert np.allclose(inputs @ span.T @ span, inputs)
    assert input_span(generator(0, "full").normal(size=(10, 8)), 1e-6) is None


def attack(batch: list[list[int]], **options: object) -> list[list[int]]:
    before, after, recipe = one_step(batch, "bert", **options)
    model = grow(SEEDS["bert"])
    assert isinstance(model, BertClassifier)
    step, words = read_step(before, after, recipe), moved_rows(before, after, special=())
    return sentences(model, step, words, len(batch), generator(0, "search"))


@pytest.mark.parametrize(("length", "rate"), [(12, 1.0), (40, 1.0), (90, 10.0)])
def test_the_span_gives_one_text_away(length: int, rate: float) -> None:
    true = texts(1, length)
    assert attack(true, optimiser="sgd", learning_rate=rate) == true


def test_the_span_gives_two_texts_of_unequal_length_away() -> None:
    long, short = texts(2, 12)
    true = [long, [*short[:8], 102]]
    assert recovery(attack(true, **SGD), true) == {"token_share": 1.0, "text_share": 1.0}


def test_as_many_tokens_as_features_defeat_the_span() -> None:
    true = texts(2, 12)
    step = read_step(*one_step(true, "bert", **SGD))
    noise = generator(0, "full")
    full = {name: noise.normal(size=part.shape) for name, part in step.moves.items()}
    model = grow(SEEDS["bert"])
    assert isinstance(model, BertClassifier)
    hidden = Step(step.before, full, step.noise)
    assert layer_span(hidden, 0) is None
    assert sentences(model, hidden, np.arange(1000), 2, generator(0, "search")) == []


def test_texts_of_step_takes_the_attack_that_can_read() -> None:
    model = grow(SEEDS["bert"])
    assert isinstance(model, BertClassifier)
    for count, options in ((1, {"optimiser": "adamw"}), (2, SGD), (2, {"optimiser": "adamw"})):
        true = texts(count, 10)
        _, after, recipe = one_step(true, "bert", **options)
        recovered = texts_of_step(model, after, recipe, count, generator(0, "search"))
        assert sorted(recovered) == (
            [] if (count, options) == (2, {"optimiser": "adamw"}) else sorted(true)
        )


def test_adam_defeats_the_span() -> None:
    true = texts(1, 12)
    assert attack(true, optimiser="adamw", learning_rate=1e-3) == []


def test_alike_positions_leave_a_bag_of_words() -> None:
    true = texts(1, 12)
    before, after, recipe = one_step(true, "scaled", **SGD)
    step: Step = read_step(before, after, recipe)
    span = layer_span(step, 0)
    assert span is not None
    candidates = np.concatenate([true[0], np.arange(500, 900)])
    distances = tokens_by_span(before, span, candidates, 3)
    assert np.allclose(distances[0], distances[2])
    for words in sets_by_span(distances, candidates):
        assert sorted(words) == sorted(true[0])


def test_recovery() -> None:
    true = [[101, 5, 6, 102], [101, 7, 102]]
    assert recovery([[101, 7, 102], [101, 5, 9, 102]], true) == {
        "token_share": 6 / 7,
        "text_share": 0.5,
    }
    assert recovery([], true) == {"token_share": 0.0, "text_share": 0.0}
    assert recovery([true[0], true[0]], true)["text_share"] == 0.5
