"""The client side of ``recipe``: trains from the seed with each recipe, and reports scores."""

import math
from typing import Any

from torch import nn

from fedseed.errors import WireError
from fedseed.privacy.mechanisms import Defence, noisy_loss
from fedseed.protocols.base import ClientTask, ProtocolClient
from fedseed.protocols.description import ProtocolOptions
from fedseed.protocols.recipe import RecipeOptions
from fedseed.protocols.recipe.messages import RecipeScore, coarse
from fedseed.protocols.recipe.shares import train_from_seed
from fedseed.protocols.request import decode_request
from fedseed.recipe import Recipe
from fedseed.seeds.codec import decode
from fedseed.training import Trainer
from fedseed.training.losses import mean_loss


class RecipeClient(ProtocolClient):
    """Trains from the seed with each recipe, and reports scores."""

    def __init__(self, options: ProtocolOptions, **parts: Any) -> None:
        """See :class:`ProtocolClient`."""
        super().__init__(options, **parts)
        assert isinstance(options, RecipeOptions)
        self._digits = options.metric_digits
        self._threshold = options.metric_threshold or 1

    def contribute(self, task: ClientTask) -> bytes:
        """See :class:`ProtocolClient`."""
        seed, recipes = decode_request(task.payload, task.memory, self.architecture)
        defence, shard = self.defence or Defence(), task.shard
        if defence.by_client:
            if len(recipes) > defence.most_releases:
                raise WireError(f"{len(recipes)} scores are more than the privacy budget covers")
            scores = [self._private(seed, recipe, task, defence) for recipe in recipes]
            return b"".join(score.encode() for score in scores)
        if len(shard.validation) < self._threshold:
            # A single example, or too few to be reported: nothing to judge recipes by.
            nothing = RecipeScore(False, 0, len(shard.train), 0, 0, 0.0, 0.0)
            return nothing.encode() * len(recipes)
        scores = [_score(self.trainer, seed, recipe, task) for recipe in recipes]
        if self._digits is not None:
            scores = [coarse(score, self._digits) for score in scores]
        return b"".join(score.encode() for score in scores)

    def _private(
        self, seed: bytes, recipe: Recipe, task: ClientTask, defence: Defence
    ) -> RecipeScore:
        """A score of which only the noised validation loss is the client's; constants else."""
        classes = decode(seed).labels
        loss = math.log(classes)  # of guessing, for a client that cannot judge
        if len(task.shard.validation):
            loss = _score(self.trainer, seed, recipe, task).validation_loss
        reported = noisy_loss(loss, classes, defence.noise, task.rng)
        if self._digits is not None:
            reported = round(reported, self._digits)
        return RecipeScore(False, recipe.steps, 1, 1, 1, reported, 0.0)

    def grow(self, task: ClientTask) -> tuple[nn.Module, int]:
        """See :class:`ProtocolClient`."""
        seed, recipes = decode_request(task.payload, task.memory, self.architecture)
        recipe, shard = recipes[0], task.shard
        model, _ = train_from_seed(self.trainer, seed, recipe, shard.table, shard.whole(), task.rng)
        return model, recipe.max_length


def _score(trainer: Trainer, seed: bytes, recipe: Recipe, task: ClientTask) -> RecipeScore:
    """Train from the seed on the client's training split, and test on its validation split."""
    shard = task.shard
    model, result = train_from_seed(trainer, seed, recipe, shard.table, shard.train, task.rng)
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
