"""The privacy study: what each protocol gives away, measured by attacks that read only the wire."""

from collections.abc import Mapping
from typing import Any, ClassVar

from fedseed.attacks import attacks
from fedseed.attacks.observer import OBSERVERS
from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError
from fedseed.results.display import Display
from fedseed.studies.base import Study
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.privacy import STUDY
from fedseed.studies.privacy.budgets import budget_cells
from fedseed.studies.privacy.cells import measure
from fedseed.studies.privacy.jobs import all_cells
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.outcomes import (
    alive_cells,
    many_shadow_cells,
    observed_cells,
    special_cells,
    summed_cells,
    update_cells,
)
from fedseed.studies.privacy.plans import can_be_crafted, set_aside
from fedseed.studies.rows import ROWS, described_protocols, noised_rows, row_words


class Privacy(Study):
    """What each protocol gives away."""

    about: ClassVar[StudyDescription] = STUDY
    config: PrivacyOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and enough texts for the world."""
        dataset = open_dataset(self.config, display.tokenising)
        config = self.config
        need = (2 * config.clients + 1) * config.shard + config.population
        there = len(dataset.train) - len(set_aside(config))
        if need > there:
            raise ConfigError(
                f"--clients {config.clients} with --shard {config.shard} need {need:,} training "
                f"texts, there are {there:,}: lower them, or --population"
            )
        if config.attack == "crafted" and not can_be_crafted(config):
            raise ConfigError(
                f"--attack crafted asks models of two classes, {config.data} has {dataset.labels}: "
                "give another attack or other --data"
            )

    def protocols(self) -> dict[str, dict[str, Any]]:
        """See :class:`Study`."""
        return described_protocols(self.config.rows())

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        return list(all_cells(self.config))

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        parts = (
            observed_cells, summed_cells, alive_cells, many_shadow_cells, update_cells,
            special_cells, budget_cells,
        )  # fmt: skip
        made = [attack for name, attack in attacks().items() if name in self.config.attacks()]
        return {
            "cells": [cell for part in parts for cell in part(self.config, measured)],
            "observers": dict(OBSERVERS),
            "rows": {row: row_words(self.config, ROWS[row]) for row in self.config.rows()},
            "noised_rows": noised_rows(self.config.rows()),
            "attacks": {attack.name: attack.to_record() for attack in made},
        }  # fmt: skip
