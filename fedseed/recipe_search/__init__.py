"""Recipe searches: how scores of recipes become the next proposals. One file each.

Each describes itself here in a line, so that a command line can be read without importing numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Search:
    """One way to search for recipes."""

    name: str
    """What ``--aggregator`` takes."""
    summary: str
    place: str
    """``module:attribute`` of a :class:`fedseed.recipe_search.base.RecipeSearch`."""

    @property
    def make(self) -> Callable[..., Any]:
        """The class; imports it."""
        module, _, attribute = self.place.partition(":")
        searcher: Callable[..., Any] = getattr(import_module(module), attribute)
        return searcher


SEARCHES = (
    Search(
        "log-mean", "weighted mean in log space, after a cross-entropy search",
        "fedseed.recipe_search.log_mean:LogMean",
    ),
    Search(
        "halving", "successive halving over clients",
        "fedseed.recipe_search.halving:SuccessiveHalving",
    ),
    Search(
        "fedex", "exponentiated gradient over a population of recipes",
        "fedseed.recipe_search.exponentiated_gradient:ExponentiatedGradient",
    ),
)  # fmt: skip


def search_names() -> tuple[str, ...]:
    """Names that ``--aggregator`` takes."""
    return tuple(search.name for search in SEARCHES)


def find_search(name: str) -> Search:
    """The search of a name; raises KeyError when there is none."""
    return {search.name: search for search in SEARCHES}[name]
