"""From labels of public texts to a model, in the same way everywhere."""

import struct

from torch import nn

from fedseed.data.public_texts import PublicTexts
from fedseed.errors import WireError
from fedseed.protocols.labels import BITS
from fedseed.protocols.labels.messages import decode_labels
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.seeds.codec import decode
from fedseed.training import FitJob, Trainer

_HEAD = "<BI"
_HEAD_BYTES = struct.calcsize(_HEAD)


def encode_head(bits: int, steps: int) -> bytes:
    """The first bytes of a body that goes down: bits of a label, and steps of distillation."""
    return struct.pack(_HEAD, bits, steps)


def read_head(body: bytes) -> tuple[int, int, bytes]:
    """Bits of a label, steps of distillation, and the coded labels that follow.

    Raises:
        WireError: truncated, or numbers that no run has.
    """
    if len(body) < _HEAD_BYTES:
        raise WireError("the download names no bits")
    bits, steps = struct.unpack_from(_HEAD, body)
    if bits not in BITS or not 0 < steps <= 1_000_000:
        raise WireError(f"labels of {bits} bits, {steps} steps of distillation")
    return bits, steps, body[_HEAD_BYTES:]


def distilled(
    seed: bytes, recipe: Recipe, body: bytes, public: PublicTexts, trainer: Trainer
) -> nn.Module:
    """The seed's model, fine-tuned on the public texts with the labels that a body holds, if any.

    The order of the texts depends on the seed alone, so that everybody makes the same model.

    Raises:
        WireError: malformed bytes, or labels of other texts.
    """
    _, steps, coded = read_head(body)
    model = grow(seed)
    if coded:
        labels = decode_labels(coded, len(public.rows), decode(seed).labels)
        distillation = recipe.replace(steps=steps, label_smoothing=0.0)
        rng = generator(key_of(seed, 6), "distil")
        trainer.fit(FitJob(model, public.labelled(labels), public.rows, distillation, rng))
    return model
