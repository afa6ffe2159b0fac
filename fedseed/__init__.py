"""fedseed: federated task distillation. A seed and a recipe travel instead of weights.

The public names are listed in ``__all__`` and imported when they are first used, so that
``import fedseed`` is quick.
"""

import importlib
from typing import Any

_PLACES = {
    "Accuracy": "fedseed.evaluation.metrics",
    "Dataset": "fedseed.data.tokens",
    "FedseedError": "fedseed.errors",
    "InputError": "fedseed.errors",
    "Plan": "fedseed.runs.plan",
    "Recipe": "fedseed.recipe",
    "RunConfig": "fedseed.config",
    "RunRecord": "fedseed.results.record",
    "Seed": "fedseed.seeds.base",
    "Shard": "fedseed.data.shard",
    "Transcript": "fedseed.transcript",
    "accuracy": "fedseed.evaluation.metrics",
    "decode_seed": "fedseed.seeds.codec:decode",
    "encode_seed": "fedseed.seeds.codec:encode",
    "fit": "fedseed.training",
    "generator": "fedseed.randomness",
    "grow": "fedseed.seeds.assemble",
    "make_plan": "fedseed.runs.plan",
    "predict": "fedseed.training",
    "pretrained_seed": "fedseed.seeds.kinds.pretrained",
    "random_seed": "fedseed.seeds.kinds.random",
}

__version__ = "0.1.0"
__all__ = [
    "Accuracy",
    "Dataset",
    "FedseedError",
    "InputError",
    "Plan",
    "Recipe",
    "RunConfig",
    "RunRecord",
    "Seed",
    "Shard",
    "Transcript",
    "accuracy",
    "decode_seed",
    "encode_seed",
    "fit",
    "generator",
    "grow",
    "make_plan",
    "predict",
    "pretrained_seed",
    "random_seed",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'fedseed' has no attribute '{name}'")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
