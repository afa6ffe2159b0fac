"""Which learning rates improve a seed that knows, and which spoil it.

A newcomer has texts of its own and a seed of everybody else's words. At every rate it trains, and
its model is compared with the untrained seed on the same test texts.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError
from fedseed.evaluation.repeats import over_repeats, paired_answers
from fedseed.results.display import Display
from fedseed.studies.base import Study, tested_rows
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import TEST_COST, baseline_cell, counts_of
from fedseed.studies.rates import STUDY
from fedseed.studies.rates.cells import measure
from fedseed.studies.rates.options import STARTS, RatesOptions

_EXTRACTION_COST = 400.0
"""Training steps that a lexicon of all texts costs."""


class Rates(Study):
    """Rates of fine-tuning from a seed."""

    about: ClassVar[StudyDescription] = STUDY
    config: RatesOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens."""
        self.dataset = open_dataset(self.config, display.tokenising)
        if self.config.samples >= len(self.dataset.train) - 1:
            raise ConfigError(
                f"--samples {self.config.samples}: of {len(self.dataset.train)} training texts "
                "some must be left for the seed: give fewer"
            )

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        recipes = {f"{r:g}": self.config.recipe(r).model_dump() for r in self.config.all_rates}
        return super().provenance() | {"recipes": recipes}

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        config = self.config
        tests = TEST_COST * len(tested_rows(config, self.dataset))
        training = config.steps * config.batch_size / 32 + tests
        cost = tests + training * len(config.all_rates)
        cells = [baseline_cell()]
        for repeat in range(config.repeats):
            for start in STARTS:
                arguments = {"what": "rates", "start": start, "repeat": repeat}
                more = _EXTRACTION_COST if start == "lexicon" else 0.0
                cells.append(Cell(f"{start}, {repeat}", cost + more, arguments))
        return cells

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        repeats = range(self.config.repeats)
        cells = []
        for start in STARTS:
            runs = [measured[f"{start}, {repeat}"] for repeat in repeats]
            before = over_repeats(counts_of(runs, "before"))
            for rate in self.config.all_rates:
                trained = [run["by_rate"][f"{rate:g}"] for run in runs]
                changes = [(one["gained"], one["lost"]) for one in trained]
                cells.append({
                    "start": start, "learning_rate": rate, "bytes": runs[0]["bytes"],
                    "before": before, "after": over_repeats(counts_of(trained, "after")),
                    "gain": paired_answers(changes, before["n"]),
                    "diverged": sum(one["diverged"] for one in trained),
                })  # fmt: skip
        return {"cells": cells, "baselines": measured["baselines"]["baselines"]}
