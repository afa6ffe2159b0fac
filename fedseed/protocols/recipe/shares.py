"""Training from a seed, and what it must not move in one that knows the task.

How often such a seed answers each class is worth keeping.
All weights that lie between a text and its score shift the scores of all texts alike, and an
optimiser whose steps have one size moves them by the noise of few examples. What is learnt of words
is not lost by that, but the balance of the classes is. A client puts it back, without labels.
"""

import numpy as np
import torch
from torch import nn

from fedseed.data.splits import Rows
from fedseed.data.tokens import TokenTable
from fedseed.models.architecture import Floats
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import decode
from fedseed.seeds.registry import find_kind
from fedseed.training import FitJob, FitResult, Trainer

TEXTS = 128
"""Of a client's texts on which it compares the shares; the same texts before and after."""
_ITERATIONS = 50
_HEAD = "classifier.bias"


def knows(seed: bytes) -> bool:
    """Whether an encoded seed knows a task before any training."""
    return find_kind(decode(seed).kind).made_from == "texts"


def train_from_seed(
    trainer: Trainer, seed: bytes, recipe: Recipe, table: TokenTable, rows: Rows,
    rng: np.random.Generator,
) -> tuple[nn.Module, FitResult]:  # fmt: skip
    """Train from an encoded seed on some rows; a model that knows the task keeps its shares."""
    model = grow(seed)
    few = rows[:: -(-len(rows) // TEXTS)]  # evenly, for rows may be in the order of their classes
    before = trainer.predict(model, table, few, recipe.max_length) if knows(seed) else None
    result = trainer.fit(FitJob(model, table, rows, recipe, rng))
    if before is not None and not result.diverged:
        keep_shares(model, before, trainer.predict(model, table, few, recipe.max_length))
    return model, result


def keep_shares(model: nn.Module, before: Floats, after: Floats) -> None:
    """Shift the head's biases until each class's mean probability is what it was.

    Args:
        model: a classifier with the head of the BERT family; changed in place.
        before: log-likelihoods of some texts before the training, shape ``(texts, classes)``.
        after: those of the same texts after it.
    """
    wanted = torch.from_numpy(before).double().exp().mean(0).log()
    logits = torch.from_numpy(after).double()
    shift = torch.zeros_like(wanted)
    for _ in range(_ITERATIONS):  # iterative scaling (Deming and Stephan 1940), of one margin
        found = (logits + shift).log_softmax(1).exp().mean(0).log()
        shift += wanted - found
    with torch.no_grad():
        bias = model.get_parameter(_HEAD)
        bias.add_((shift - shift.mean()).to(bias))
