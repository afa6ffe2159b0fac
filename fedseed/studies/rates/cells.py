"""The cells of the rates study: one newcomer and one start, trained at every rate."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedseed.data.splits import Rows
from fedseed.data.tokens import Dataset
from fedseed.evaluation.metrics import count_correct
from fedseed.models.architecture import Floats
from fedseed.protocols.recipe.shares import train_from_seed
from fedseed.randomness import generator, random_key
from fedseed.runs.extraction import seed_of_texts
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import Seed
from fedseed.seeds.codec import encode
from fedseed.seeds.make import make_row
from fedseed.studies.base import dataset_of, tested_rows
from fedseed.studies.measuring import measure_baseline_cell
from fedseed.studies.rates.options import RatesOptions
from fedseed.training import Trainer
from fedseed.training.precision_and_device import choose


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell: the seed's own answers, and those after training at every rate."""
    config = RatesOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    dataset, repeat = dataset_of(config), arguments["repeat"]
    order = generator(config.run_seed, "rates", 0, repeat).permutation(dataset.train)
    own, others = np.sort(order[: config.samples]), np.sort(order[config.samples :])
    seed = encode(_seed(config, arguments["start"], repeat, dataset, others))
    trainer, tests = Trainer(choose(config.precision)), tested_rows(config, dataset)
    labels = dataset.table.labels[tests]

    def likelihoods(model: Any) -> Floats:
        return trainer.predict(model, dataset.table, tests, config.length)

    first = likelihoods(grow(seed))
    known = first.argmax(axis=1) == labels
    by_rate = {}
    for rate in config.all_rates:
        rng = generator(config.run_seed, "rates/training", 0, repeat)
        model, result = train_from_seed(trainer, seed, config.recipe(rate), dataset.table, own, rng)
        by_rate[f"{rate:g}"] = _compared(likelihoods(model), known, labels) | {
            "diverged": result.diverged
        }
    before = count_correct(first, labels).to_record()
    return {"bytes": len(seed), "before": before, "by_rate": by_rate}


def _seed(config: RatesOptions, start: str, repeat: int, dataset: Dataset, others: Rows) -> Seed:
    """A seed of the texts that the newcomer does not have, or a random one."""
    key = random_key(config.run_seed, f"study/{repeat}")
    if start != "lexicon":
        return make_row(start, config.model, dataset.labels, key)
    theirs = dataclasses.replace(dataset, train=others)
    options = {"max_bytes": config.seed_bytes}
    return seed_of_texts(theirs, config.model, config.length, key, options)


def _compared(
    likelihoods: Floats, known: NDArray[np.bool_], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """A test, and the texts that only it has right, or only the seed."""
    right = likelihoods.argmax(axis=1) == labels
    return {
        "after": count_correct(likelihoods, labels).to_record(),
        "gained": int((right & ~known).sum()),
        "lost": int((known & ~right).sum()),
    }
