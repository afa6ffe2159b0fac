"""fedseed: federated task distillation. A seed and a recipe travel instead of weights.

The public names are listed in ``__all__`` and imported when they are first used, so that
``import fedseed`` is quick. Type checkers read the imports instead.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedseed.config import RunConfig as RunConfig
    from fedseed.data.shard import Shard as Shard
    from fedseed.data.tokens import Dataset as Dataset
    from fedseed.errors import FedseedError as FedseedError
    from fedseed.errors import InputError as InputError
    from fedseed.evaluation.metrics import Accuracy as Accuracy
    from fedseed.evaluation.metrics import accuracy as accuracy
    from fedseed.randomness import generator as generator
    from fedseed.recipe import Recipe as Recipe
    from fedseed.results.record import RunRecord as RunRecord
    from fedseed.runs.plan import Plan as Plan
    from fedseed.runs.plan import make_plan as make_plan
    from fedseed.seeds.assemble import grow as grow
    from fedseed.seeds.base import Seed as Seed
    from fedseed.seeds.codec import decode as decode_seed
    from fedseed.seeds.codec import encode as encode_seed
    from fedseed.seeds.kinds.pretrained import pretrained_seed as pretrained_seed
    from fedseed.seeds.kinds.random import random_seed as random_seed
    from fedseed.training import fit as fit
    from fedseed.training import predict as predict
    from fedseed.transcript import Transcript as Transcript

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


if not TYPE_CHECKING:  # so that a name that is not there is an error for type checkers too

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'fedseed' has no attribute '{name}'")
        module, _, attribute = _PLACES[name].partition(":")
        return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
