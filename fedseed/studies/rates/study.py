"""Which learning rates improve a seed that knows, and which spoil it.

A newcomer has texts of its own and a seed of everybody else's words. At every rate it trains, and
its model is compared with the untrained seed on the same test texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError
from fedseed.evaluation.repeats import holm, over_repeats, paired, paired_answers
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
        cells: list[dict[str, Any]] = []
        for start in STARTS:
            of_start = len(cells)
            runs = [measured[f"{start}, {repeat}"] for repeat in repeats]
            before = over_repeats(counts_of(runs, "before"))
            for rate in self.config.all_rates:
                trained = [run["by_rate"][f"{rate:g}"] for run in runs]
                changes = [(one["gained"], one["lost"]) for one in trained]
                cells.append({
                    "start": start, "learning_rate": rate, "bytes": runs[0]["bytes"],
                    "before": before, "after": over_repeats(counts_of(trained, "after")),
                    "gain": paired_answers(changes, before["n"]),
                    "over_newcomers": _over_newcomers(runs, trained),
                    "diverged": sum(one["diverged"] for one in trained),
                })  # fmt: skip
            alone = [cell["over_newcomers"] for cell in cells[of_start:]]
            for one, p in zip(alone, holm([one["p_value"] for one in alone]), strict=True):
                one["p_holm"] = p
        return {"cells": cells, "baselines": measured["baselines"]["baselines"]}


def _over_newcomers(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The gain on these very test texts, newcomer by newcomer."""
    first, last = counts_of(before, "before"), counts_of(after, "after")
    return paired([one.accuracy for one in last], [one.accuracy for one in first])
