"""Protocols: what travels in each direction and how it is aggregated. One file each.

This file knows names and options only, so that a command line can be read without importing torch;
:func:`find_protocol` imports the rest.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from fedseed.protocols.base import Protocol

PROTOCOLS = ("recipe", "weights", "adapters", "labels", "scalars", "mask")
"""Names that ``--protocol`` takes; each is a module of this package with a ``PROTOCOL``."""
STRATEGIES = ("fedavg", "fedadam", "fedmedian", "fedtrimmedavg", "krum", "multikrum")
"""Names that ``--strategy`` takes."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "recipe": {},
    "weights": {"codec": "fp32", "keep": 0.01, "strategy": "fedavg"},
    "adapters": {"rank": 4, "adapter": "ffa"},
    "labels": {"public": "sentences", "label_bits": 1, "distil_steps": 500},
    "scalars": {"perturbations": 64, "trainable": "all"},
    "mask": {},
}
"""Options that each protocol has beside the common ones, with their defaults."""


def find_protocol(name: str) -> "Protocol":
    """Import a protocol by its name, one of :data:`PROTOCOLS`."""
    return cast("Protocol", importlib.import_module(f"fedseed.protocols.{name}").PROTOCOL)
