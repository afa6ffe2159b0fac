"""The ``recipe`` protocol: a seed and recipes go down, metrics come up, never weights.

Down: the seed (later its sha256) and one or more recipes. Up: for each recipe the counts and
losses of :class:`RecipeScore`. The server keeps the seed and all scores. An observer learns
how well recipes do on a client's private validation split and how many examples it has;
nothing else leaves the client. ``docs/protocols/recipe.md`` has the byte layout.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from fedseed.data.shard import Shard
from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.errors import WireError
from fedseed.privacy.mechanisms import Defence, noisy_loss
from fedseed.protocols.base import (
    Memory,
    Protocol,
    ProtocolClient,
    ProtocolServer,
    Report,
    Setup,
)
from fedseed.protocols.recipe_messages import (
    SCORE_BYTES,
    RecipeScore,
    coarse,
    decode_request,
    encode_request,
    why_absurd,
)
from fedseed.recipe import Recipe
from fedseed.recipe_search.base import RecipeAggregator, Trial
from fedseed.recipe_search.registry import AGGREGATORS
from fedseed.recipe_search.space import RecipeSpace
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import digest
from fedseed.seeds.codec import decode
from fedseed.training import FitJob, Trainer
from fedseed.training.losses import mean_loss


class RecipeServer(ProtocolServer):
    """Proposes recipes, aggregates scores."""

    def __init__(
        self, seed: bytes, given: Recipe, aggregator: RecipeAggregator, classes: int, each: int
    ) -> None:
        """Start a run.

        Args:
            seed: the encoded seed.
            given: the recipe to compare with.
            aggregator: the search.
            classes: number of classes, which bounds a plausible loss.
            each: recipes for one client in one round.
        """
        self._seed = seed
        self._digest = digest(seed)
        self._given = given
        self._aggregator = aggregator
        self._classes = classes
        self._each = each
        self._sent: dict[int, dict[int, list[Recipe]]] = {}
        self._holders: set[int] = set()

    def configure(self, round_number: int, cohort: Sequence[int]) -> dict[int, bytes]:
        """See :class:`ProtocolServer`. Clients that replied once are sent the digest only."""
        proposals = self._aggregator.propose(round_number, cohort, self._each)
        self._sent[round_number] = proposals
        return {
            pid: encode_request(
                None if pid in self._holders else self._seed, self._digest, proposals[pid]
            )
            for pid in cohort
        }

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
            self._holders.add(pid)
            trials += [
                self._trial(pid, recipe, score)
                for recipe, score in zip(recipes, scores, strict=True)
            ]
            reports[pid] = _report(recipes, scores)
        self._aggregator.update(trials)
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

    def glance(self, contribution: bytes) -> str:
        """See :class:`ProtocolServer`: the loss of the first recipe."""
        if len(contribution) < SCORE_BYTES:
            return ""
        return f"loss {RecipeScore.decode(contribution[:SCORE_BYTES]).validation_loss:.3g}"

    def aggregated(self) -> Recipe:
        """The recipe that the scores so far speak for."""
        return self._aggregator.aggregated()

    def products(self) -> dict[str, bytes]:
        """See :class:`ProtocolServer`: the given and the aggregated recipe, with the seed."""
        recipes = {"given": self._given, "aggregated": self.aggregated()}
        return {
            name: encode_request(self._seed, self._digest, [recipe])
            for name, recipe in recipes.items()
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
            "down_first": len(encode_request(self._seed, self._digest, recipes)),
            "down_later": len(encode_request(None, self._digest, recipes)),
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
    """JSON has no infinity: a loss that is none is null."""
    return round(value, 6) if math.isfinite(value) else None


class RecipeClient(ProtocolClient):
    """Trains from the seed with each recipe, and reports scores."""

    def contribute(
        self, payload: bytes, shard: Shard, memory: Memory, rng: np.random.Generator
    ) -> bytes:
        """See :class:`ProtocolClient`."""
        seed, recipes = decode_request(payload, memory, self.architecture)
        defence = self.defence or Defence()
        if defence.by_client:
            if len(recipes) > defence.most_recipes:
                raise WireError(f"{len(recipes)} scores are more than the privacy budget covers")
            scores = [self._private(seed, recipe, shard, rng, defence) for recipe in recipes]
            return b"".join(score.encode() for score in scores)
        if len(shard.validation) < (defence.metric_threshold or 1):
            # A single example, or too few to be told of: nothing to judge recipes by.
            nothing = RecipeScore(False, 0, len(shard.train), 0, 0, 0.0, 0.0)
            return nothing.encode() * len(recipes)
        scores = [_score(self.trainer, seed, recipe, shard, rng) for recipe in recipes]
        if defence.metric_digits is not None:
            scores = [coarse(score, defence.metric_digits) for score in scores]
        return b"".join(score.encode() for score in scores)

    def _private(
        self,
        seed: bytes,
        recipe: Recipe,
        shard: Shard,
        rng: np.random.Generator,
        defence: Defence,
    ) -> RecipeScore:
        """A score of which only the noised validation loss is the client's; constants else."""
        classes = decode(seed).labels
        loss = math.log(classes)  # of guessing, for a client that cannot judge
        if len(shard.validation):
            loss = _score(self.trainer, seed, recipe, shard, rng).validation_loss
        told = noisy_loss(loss, classes, defence.noise, rng)
        if defence.metric_digits is not None:
            told = round(told, defence.metric_digits)
        return RecipeScore(False, recipe.steps, 1, 1, 1, told, 0.0)

    def grow(
        self,
        payload: bytes,
        table: TokenTable,
        rows: Rows,
        memory: Memory,
        rng: np.random.Generator,
    ) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        seed, recipes = decode_request(payload, memory, self.architecture)
        model = grow(seed)
        self.trainer.fit(FitJob(model, table, rows, recipes[0], rng))
        return model, recipes[0].max_length


def _score(
    trainer: Trainer, seed: bytes, recipe: Recipe, shard: Shard, rng: np.random.Generator
) -> RecipeScore:
    model = grow(seed)
    result = trainer.fit(FitJob(model, shard.table, shard.train, recipe, rng))
    examples = len(shard.train), len(shard.validation)
    if result.diverged:
        return RecipeScore(True, result.steps, *examples, 0, math.inf, math.inf)
    likelihoods = trainer.predict(model, shard.table, shard.validation, recipe.max_length)
    labels = shard.table.labels[shard.validation]
    correct = int((likelihoods.argmax(axis=1) == labels).sum())
    loss = mean_loss(likelihoods, labels)
    if not math.isfinite(loss):
        return RecipeScore(True, result.steps, *examples, 0, math.inf, math.inf)
    train_loss = 0.0 if math.isnan(result.train_loss) else result.train_loss
    return RecipeScore(False, result.steps, *examples, correct, loss, train_loss)


def _server(setup: Setup) -> RecipeServer:
    config = setup.config
    space = RecipeSpace.around(setup.given, config.steps // config.recipes_per_client)
    aggregator = AGGREGATORS[config.aggregator](space, setup.given, config.rounds, config.run_seed)
    return RecipeServer(
        setup.seed, setup.given, aggregator, setup.classes, config.recipes_per_client
    )


PROTOCOL = Protocol(_server, RecipeClient)
