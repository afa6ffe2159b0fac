"""Attacks: what can be learnt from messages. Each is a folder whose ``ATTACK`` describes it.

The files beside the folders serve several of them: who sees what
(:mod:`~fedseed.attacks.observer`), what messages stand for (:mod:`~fedseed.attacks.replay`), by
what guesses are judged (:mod:`~fedseed.attacks.evidence`, :mod:`~fedseed.attacks.roc`).
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from fedseed.attacks.description import Attack


@functools.cache
def attacks() -> Mapping[str, Attack]:
    """All attacks by name, in alphabetical order."""
    folders = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    described = (importlib.import_module(f"{__name__}.{folder}").ATTACK for folder in folders)
    return MappingProxyType({attack.name: attack for attack in described})
