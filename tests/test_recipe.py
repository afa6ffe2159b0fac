"""Recipes: validated, canonical, the same through bytes and TOML."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedseed.config import RunConfig
from fedseed.errors import RecipeError, WireError
from fedseed.given_recipe import given_recipe
from fedseed.models.architecture import architecture
from fedseed.protocols.rows import FROM_WORDS
from fedseed.recipe import OPTIMISERS, RECIPE_BYTES, SCHEDULES, Recipe
from fedseed.runs.plan import make_plan
from fedseed.seeds.codec import write_seed
from fedseed.seeds.kinds.lexicon.format import lexicon_seed
from fedseed.seeds.kinds.lexicon.words import Lexicon
from fedseed.seeds.kinds.pretrained import pretrained_seed

GOLDEN = Path(__file__).parent / "golden" / "recipe.hex"


def recipes() -> st.SearchStrategy[Recipe]:
    share = st.floats(0, 1, exclude_max=True)
    return st.builds(
        Recipe,
        optimiser=st.sampled_from(OPTIMISERS),
        learning_rate=st.floats(1e-12, 10),
        embedding_multiplier=st.floats(1e-6, 1000),
        schedule=st.sampled_from(SCHEDULES),
        warmup=share,
        steps=st.integers(0, 10_000_000),
        batch_size=st.integers(1, 65_535),
        max_length=st.integers(4, 65_535),
        weight_decay=share,
        dropout=share,
        label_smoothing=share,
    )


@given(recipes())
def test_round_trips(recipe: Recipe) -> None:
    import tomllib

    assert Recipe.decode(recipe.encode()) == recipe
    assert Recipe.parse(tomllib.loads(recipe.to_toml())).encode() == recipe.encode()


def test_golden_bytes() -> None:
    assert Recipe().encode().hex() == GOLDEN.read_text().strip()
    assert len(Recipe().encode()) == RECIPE_BYTES <= 96


def test_the_default_is_the_seed_documents_recipe() -> None:
    recipe = Recipe()
    found = (recipe.optimiser, recipe.learning_rate, recipe.steps, recipe.batch_size)
    assert found == ("adam", 2e-5, 30, 32)


def test_equal_recipes_have_equal_bytes() -> None:
    assert Recipe(warmup=-0.0).encode() == Recipe(warmup=0.0).encode()


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": -1e-3}, {"learning_rate": 0}, {"learning_rate": float("nan")},
        {"learning_rate": float("inf")}, {"learning_rate": "fast"}, {"optimiser": "adamx"},
        {"steps": -1}, {"steps": 1.5}, {"batch_size": 0}, {"max_length": 3}, {"warmup": 1.0},
        {"dropout": 1.0}, {"embedding_multiplier": 0},
        {"embedding_multiplier": 9e-7}, {"momentum": 0.9}, {"schedule": "step"},
    ],
)  # fmt: skip
def test_impossible_values(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Recipe.parse(values)


@given(st.binary(max_size=RECIPE_BYTES + 2))
def test_hostile_bytes(data: bytes) -> None:
    try:
        recipe = Recipe.decode(data)
    except WireError:
        return
    assert recipe.encode() == data


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbfsteps = 7\n")
    assert Recipe.from_toml(path).steps == 7


@pytest.mark.parametrize("content", ["", "steps = ", "steps = 'many'", "\xff\xfe"])
def test_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content.encode("latin-1"))
    if content == "":
        assert Recipe.from_toml(path) == Recipe()
        return
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        Recipe.from_toml(path)


def test_rates() -> None:
    recipe = Recipe(learning_rate=1.0, schedule="linear", warmup=0.2, steps=10)
    rates = [recipe.rate(step) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 8)
    assert Recipe(learning_rate=0.5, steps=3).rate(2) == 0.5
    cosine = Recipe(learning_rate=1.0, schedule="cosine", steps=100)
    assert cosine.rate(50) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "rate", "steps"),
    [
        ({}, 2e-5, 30),
        ({"protocol": "weights", "steps": 7}, 1e-3, 7),
        ({"protocol": "weights", "start": "lexicon", "rounds": 3}, 1e-3, 90),
        ({"protocol": "weights", "model": "minilm"}, 2e-4, 90),
        ({"protocol": "coordinates", "model": "minilm"}, 4e-3, 90),
        ({"protocol": "coordinates"}, 4e-3, 90),
        ({"protocol": "adapters", "start": "lexicon", "rounds": 3}, 3e-3, 90),
        ({"protocol": "adapters", "model": "minilm"}, 3e-3, 90),
        ({"protocol": "adapters", "model": "minilm", "target": "head"}, 1e-2, 90),
        ({"protocol": "mask", "model": "minilm"}, 0.03, 90),
        ({"protocol": "labels", "model": "minilm"}, 1e-4, 90),
        ({"protocol": "recipe", "model": "minilm"}, 1e-4, 30),
    ],
)
def test_without_one_clients_train_as_in_the_comparison(
    options: dict[str, Any], rate: float, steps: int
) -> None:
    recipe = given_recipe(RunConfig.parse(options))
    assert (recipe.learning_rate, recipe.steps) == (rate, steps)
    if options.get("start") == "lexicon" and options["protocol"] == "weights":
        assert recipe.embedding_multiplier == FROM_WORDS.embedding_multiplier


def test_a_stored_seed_decides_the_usual_recipe(small: dict[str, Any], tmp_path: Path) -> None:
    options = {n: v for n, v in small.items() if n not in ("model", "recipe")}
    path = tmp_path / "seed.fseed"
    write_seed(path, pretrained_seed("minilm", 2, 1))
    config = RunConfig.parse(options | {"protocol": "coordinates", "seed_file": str(path)})
    plan = make_plan(config)
    assert plan.given.learning_rate == 4e-3
    alone = plan.setup().alone  # trains all weights, for which that rate would be too much
    assert alone is not None
    assert (alone.learning_rate, alone.steps) == (1e-4, plan.given.steps)
    words = tmp_path / "words.fseed"
    lexicon = Lexicon(
        np.array([2000, 3000]), np.array([[1], [-1]], np.int32), 0.5, 0.5, np.zeros(1)
    )
    shapes = architecture("bert-tiny").shapes()
    write_seed(words, lexicon_seed(lexicon, "bert-tiny", 2, 1, shapes))
    config = RunConfig.parse(options | {"protocol": "weights", "seed_file": str(words)})
    assert make_plan(config).given.embedding_multiplier == FROM_WORDS.embedding_multiplier
