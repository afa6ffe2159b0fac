"""Which recipe clients train with: the one that is given, or a usual one."""

from pathlib import Path

from fedseed.config import RunConfig
from fedseed.protocols import find_protocol
from fedseed.protocols.rows import ALONE, BODY_ALONE
from fedseed.protocols.start import LEXICON
from fedseed.recipe import Recipe


def given_recipe(config: RunConfig, from_words: bool = False) -> Recipe:
    """How clients train a shared model; of protocol recipe, the recipe to compare with.

    Args:
        config: the run's options.
        from_words: whether the seed is one of weighted words.

    Raises:
        RecipeError: the file given with ``--recipe`` is no recipe.
    """
    if config.recipe is not None:
        return Recipe.from_toml(Path(config.recipe))
    protocol, body = find_protocol(config.protocol), config.starts_from_a_body
    start = LEXICON if from_words else config.resolved_start
    usual = protocol.usual_recipe(config.values() | {"start": start}, body)
    keeps_steps = protocol.ends_with == "recipe" and not (config.quick and body)
    steps = usual.steps if keeps_steps else config.steps
    return usual.replace(max_length=config.length, steps=steps)


def recipe_alone(config: RunConfig, given: Recipe) -> Recipe:
    """How a client trains all weights without the protocol, whose rates may be of other numbers.

    Args:
        config: the run's options.
        given: what :func:`given_recipe` returned.
    """
    if config.recipe is not None or find_protocol(config.protocol).ends_with == "recipe":
        return given
    usual = BODY_ALONE if config.starts_from_a_body else ALONE
    return usual.replace(max_length=given.max_length, steps=given.steps)
