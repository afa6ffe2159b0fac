"""Zeroth-order training: two losses a step and no gradient, along directions with numbers.

A direction is a vector of +1 and -1 over the weights that are trained, drawn from a key and a
number by Philox4x64-10 (Salmon et al. 2011), so that whoever has both has the direction. A step
along direction z moves the weights by ``-rate * slope * z``, where the slope is the central
difference ``(L(w + REACH z) - L(w - REACH z)) / (2 REACH)`` (Spall 1992, simultaneous perturbation;
Malladi et al. 2023, MeZO, on fine-tuning). The sum of the moves along each direction, one number a
direction, says where training ends (Qin et al. 2023, FedKSeed).
"""

from fedseed.training.zeroth_order.directions import (
    Directions,
    Scalars,
    displace,
    has_head,
    is_trainable,
)
from fedseed.training.zeroth_order.surface import HeadSurface, LossSurface, make_surface
from fedseed.training.zeroth_order.walk import LARGEST, REACH, walk

__all__ = [
    "LARGEST", "REACH", "Directions", "HeadSurface", "LossSurface", "Scalars", "displace",
    "has_head", "is_trainable", "make_surface", "walk",
]  # fmt: skip
