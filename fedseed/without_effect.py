"""Options that would silently have no effect beside others: said, instead of ignored."""

from collections.abc import Callable, Mapping
from typing import Any

from fedseed.config import RunConfig
from fedseed.errors import ConfigError

_NEEDS: Mapping[str, tuple[Callable[[RunConfig], bool], str]] = {
    "alpha": (
        lambda c: c.partition in ("dirichlet", "quantity"), "--partition dirichlet or quantity",
    ),
    "shards_per_client": (lambda c: c.partition == "shards", "--partition shards"),
    "keep": (lambda c: c.codec == "topk", "--codec topk"),
    "aggregator": (lambda c: c.protocol == "recipe", "--protocol recipe"),
    "recipes_per_client": (lambda c: c.protocol == "recipe", "--protocol recipe"),
    "test_every": (
        lambda c: c.protocol != "recipe", "a --protocol whose server has a model, not recipe",
    ),
    "scheme": (lambda c: c.seed_file is None, "a new seed, not --seed-file"),
}  # fmt: skip
"""What options are for."""


def refuse_without_effect(given: Mapping[str, Any]) -> None:
    """Refuse options that were given and would change nothing.

    Args:
        given: values of :class:`RunConfig` that somebody asked for, by name; defaults do no harm.

    Raises:
        ConfigError: an option has no effect beside the others, or the values are impossible.
    """
    config = RunConfig.parse(given)
    for name, (has_effect, what) in _NEEDS.items():
        default = RunConfig.model_fields[name].default
        if getattr(config, name) != default and not has_effect(config):
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{flag} works with {what} only: leave it out")
