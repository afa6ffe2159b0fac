"""What gentle training must not move: how often a seed that knows the task answers each class.

All weights that lie between a text and its score shift the scores of all texts alike, and an
optimiser whose steps have one size moves them by the noise of few examples. What is learnt of words
is not lost by that, but the balance of the classes is. A client puts it back, without labels.
"""

import torch
from torch import nn

from fedseed.models.architecture import Floats
from fedseed.seeds.codec import decode
from fedseed.seeds.registry import find_kind

TEXTS = 128
"""Of a client's texts on which it compares the shares; the same texts before and after."""
_ITERATIONS = 50
_HEAD = "classifier.bias"


def knows(seed: bytes) -> bool:
    """Whether an encoded seed knows a task before any training."""
    return find_kind(decode(seed).kind).made_from == "texts"


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
