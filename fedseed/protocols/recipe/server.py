"""The server side of ``recipe``: a seed and recipes go down, metrics come up, never weights.

Down: the seed (later its sha256) and one or more recipes. Up: for each recipe the counts and
losses of :class:`RecipeScore`. The server keeps the seed and all scores. An observer learns
how well recipes do on a client's private validation split and how many examples it has;
nothing else leaves the client. ``docs/protocols/recipe.md`` has the byte layout.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.errors import WireError
from fedseed.protocols.base import ProtocolServer, Report, Setup
from fedseed.protocols.recipe import RecipeOptions
from fedseed.protocols.recipe.messages import SCORE_BYTES, RecipeScore, why_absurd
from fedseed.protocols.recipe.shares import knows
from fedseed.protocols.request import SeedBroadcast
from fedseed.recipe import Recipe
from fedseed.recipe_search import find_search
from fedseed.recipe_search.base import RecipeSearch, Trial
from fedseed.recipe_search.space import KNOWING, RANDOM, RecipeSpace


class RecipeServer(ProtocolServer):
    """Proposes recipes, aggregates scores."""

    def __init__(self, setup: Setup) -> None:
        """Start a run."""
        assert isinstance(setup.options, RecipeOptions)
        self._given = setup.given
        self._each = setup.options.recipes_per_client
        self._classes = setup.classes
        """Number of classes, which bounds a plausible loss."""
        box = KNOWING if knows(setup.seed) else RANDOM
        space = RecipeSpace.around(setup.given, setup.steps // self._each, box)
        make_search = find_search(setup.options.aggregator).make
        self._search: RecipeSearch = make_search(space, setup.given, setup.rounds, setup.run_seed)
        self._broadcast = SeedBroadcast(setup.seed)
        self._sent: dict[int, dict[int, list[Recipe]]] = {}
        """Recipes by round and partition."""

    def configure(self, round_number: int, cohort: Sequence[int]) -> dict[int, bytes]:
        """See :class:`ProtocolServer`. Clients that replied once are sent the digest only."""
        proposals = self._search.propose(round_number, cohort, self._each)
        self._sent[round_number] = proposals
        holders = self._broadcast.holders
        return {pid: self._broadcast.request(proposals[pid], pid in holders) for pid in cohort}

    def aggregate(self, round_number: int, contributions: Mapping[int, bytes]) -> dict[int, Report]:
        """See :class:`ProtocolServer`."""
        reports: dict[int, Report] = {}
        trials: list[Trial] = []
        for pid in sorted(contributions):
            recipes = self._sent[round_number][pid]
            try:
                scores = self._decode(contributions[pid], recipes)
            except WireError as error:
                reports[pid] = Report("rejected", reason=str(error))
                continue
            self._broadcast.holders.add(pid)
            trials += [
                self._trial(pid, recipe, score)
                for recipe, score in zip(recipes, scores, strict=True)
            ]
            reports[pid] = _report(recipes, scores)
        self._search.update(trials)
        return reports

    def _decode(self, payload: bytes, recipes: Sequence[Recipe]) -> list[RecipeScore]:
        if len(payload) != len(recipes) * SCORE_BYTES:
            raise WireError(f"{len(payload)} bytes are not {len(recipes)} score(s)")
        parts = range(0, len(payload), SCORE_BYTES)
        scores = [RecipeScore.decode(payload[at : at + SCORE_BYTES]) for at in parts]
        for recipe, score in zip(recipes, scores, strict=True):
            reason = why_absurd(score, recipe, self._classes)
            if reason:
                raise WireError(f"not believable: {reason}")
        return scores

    def _trial(self, pid: int, recipe: Recipe, score: RecipeScore) -> Trial:
        # Twice the loss of guessing is bad enough: one wild client or a diverged run counts
        # against its recipe, but does not drown the others' scores.
        worst = 2 * math.log(self._classes)
        loss = worst if score.diverged else min(score.validation_loss, worst)
        return Trial(pid, recipe, loss, score.validation_examples)

    def describe_contribution(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`: the loss of the first recipe."""
        if len(contribution) < SCORE_BYTES:
            return ""
        return f"loss {RecipeScore.decode(contribution[:SCORE_BYTES]).validation_loss:.3g}"

    def aggregated(self) -> Recipe:
        """The recipe that the scores so far speak for."""
        return self._search.aggregated()

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the given and the aggregated recipe, with the seed."""
        recipes = {"given": self._given, "aggregated": self.aggregated()}
        return {
            name: self._broadcast.request([recipe], held=False) for name, recipe in recipes.items()
        }

    def files(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the aggregated recipe."""
        return {"recipe.toml": self.aggregated().to_toml().encode()}

    def summary(self, product: str) -> Mapping[str, Any]:
        """See :class:`ProtocolServer`."""
        recipe = self._given if product == "given" else self.aggregated()
        return {"recipe": recipe.model_dump()}

    def payload_estimate(self) -> dict[str, int]:
        """See :class:`ProtocolServer`."""
        recipes = [self._given] * self._each
        return {
            "down_first": len(self._broadcast.request(recipes, held=False)),
            "down_later": len(self._broadcast.request(recipes, held=True)),
            "up": len(recipes) * SCORE_BYTES,
        }


def _report(recipes: Sequence[Recipe], scores: Sequence[RecipeScore]) -> Report:
    tried = [
        {
            "learning_rate": recipe.learning_rate,
            "embedding_multiplier": recipe.embedding_multiplier,
            "diverged": score.diverged,
            "steps": score.steps,
            "train_loss": _finite(score.train_loss),
            "validation_loss": _finite(score.validation_loss),
            "validation_correct": score.validation_correct,
            "validation_examples": score.validation_examples,
        }
        for recipe, score in zip(recipes, scores, strict=True)
    ]
    return Report("ok", scores[0].train_examples, {"recipes": tried})


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity: such a loss is null."""
    return round(value, 6) if math.isfinite(value) else None
