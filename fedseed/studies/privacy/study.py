"""The privacy study: what each protocol gives away, measured by attacks that read only the wire."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fedseed.attacks.observer import OBSERVERS
from fedseed.attacks.roc import over_targets
from fedseed.data.federated_dataset import open_dataset
from fedseed.errors import ConfigError
from fedseed.evaluation.metrics import ClassCounts
from fedseed.evaluation.repeats import over_repeats
from fedseed.randomness import generator
from fedseed.results.display import Display
from fedseed.studies.base import Study, dataset_of, tested_rows
from fedseed.studies.cells import Cell, Work
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import TEST_COST
from fedseed.studies.privacy import STUDY
from fedseed.studies.privacy.cells import (
    DEFENDED,
    MEMORISED,
    measure,
    plan_of,
    world_of,
)
from fedseed.studies.privacy.options import PrivacyOptions
from fedseed.studies.privacy.outcomes import (
    alive_cells,
    audit_cell,
    canary_cells,
    membership_cells,
    mix_cell,
    word_cell,
)
from fedseed.studies.rows import ROWS, described_protocols

_WATCHED = ("membership", "tokens", "canaries")
"""Attacks that start from the watched runs."""
_STEPS = (
    *((batch, steps, "adamw", 64) for steps in (1, 4) for batch in (1, 4, 16, 32)),
    *((batch, 1, "sgd", 64) for batch in (1, 4, 16, 32)),
    *((batch, 1, "sgd", 16) for batch in (1, 4)),
)
"""Texts in a batch, local steps, optimiser and tokens of a text, for recovery from an update."""
_TRIALS = 5
_AUDITS = 3
_CURVE_REPEATS = 3
_DP_STEP = 4.0
"""Training steps that a step of DP-SGD costs."""


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
        if need > len(dataset.train):
            raise ConfigError(
                f"--clients {config.clients} with --shard {config.shard} need {need:,} training "
                f"texts, there are {len(dataset.train):,}: lower them"
            )
        if dataset.labels != 2:
            raise ConfigError("the planted secrets have one of two classes: give --data with two")

    def protocols(self) -> dict[str, dict[str, Any]]:
        """See :class:`Study`."""
        return described_protocols(self.config.rows())

    def _rows(self, attacks: Sequence[str]) -> list[str]:
        """Rows that any of some attacks look at."""
        pairs = [pair for attack in attacks for pair in self.config.pairs(attack)]
        return [row for row in self.config.rows() if any(row == own for _, own in pairs)]

    def _budgets(self) -> list[float | None]:
        return [None, *self.config.budgets()]

    def _curves(self) -> list[str]:
        rows = self.config.rows() if self.config.defences else []
        return [row for row in DEFENDED if row in rows and self.config.attack == "all"]

    def _updates(self) -> list[dict[str, Any]]:
        """Updates of a few texts, as arguments of cells."""
        chosen = [one for one in _STEPS if not self.config.quick or one[0] < 16]
        trials = 2 if self.config.quick else _TRIALS
        names = ("batch", "steps", "optimiser", "length")
        return [dict(zip(names, one, strict=True)) | {"trials": trials} for one in chosen]

    def _memorising(self) -> int:
        """Runs of the memorising model: cheap, so that there are many shadows."""
        return 2 * self.config.repeats

    def _alive(self) -> bool:
        return "weights" in self._rows(["membership"])

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        config = self.config
        cells = []
        for repeat in range(config.repeats):
            for row in self._rows(_WATCHED):
                cells.append(self._cell("run", self._cost(row), row=row, repeat=repeat))
            for row in self._rows(["label-distribution"]):
                cells.append(self._cell("mix", self._cost(row) / 2, row=row, repeat=repeat))
            if self._rows(["crafted"]):
                cells.append(self._cell("crafted", 30, repeat=repeat))
        for repeat in range(self._memorising() if self._alive() else 0):
            cells.append(self._cell("memorise", config.cut(300) + 20, repeat=repeat))
        if "weights" in self._rows(["tokens"]):
            for own in self._updates():
                cells.append(self._cell("step", 20 + own["steps"] * own["batch"] / 8, **own))
        if self._rows(["audit"]):
            for epsilon in self._budgets():
                for repeat in range(min(_AUDITS, config.repeats)):
                    cost = config.cut(150) * (1 if epsilon is None else _DP_STEP)
                    cells.append(self._cell("audit", cost, epsilon=epsilon, repeat=repeat))
        for row in self._curves():
            for epsilon in self._budgets():
                for repeat in range(min(_CURVE_REPEATS, config.repeats)):
                    own = {"row": row, "epsilon": epsilon, "repeat": repeat}
                    cells.append(self._cell("accuracy", self._curve_cost(row, epsilon), **own))
        return cells

    def _cell(self, what: str, cost: float, **own: Any) -> Cell:
        return Cell(_label(what, **own), cost, {"what": what, **own})

    def _cost(self, name: str) -> float:
        config = self.config
        run = plan_of(config.model_dump_json(), name).config
        texts = 2 * config.clients * config.shard + config.population
        models = 1 if name == "recipe" else 2 * config.clients + 2
        steps = config.clients * run.rounds * run.steps
        distil = 0.4 * (models + config.clients) * (run.distil_steps or 0)
        return steps + distil + models * texts * TEST_COST

    def _curve_cost(self, row: str, epsilon: float | None) -> float:
        config = self.config
        run = plan_of(config.model_dump_json(), row).config
        slow = _DP_STEP if row == "weights" and epsilon is not None else 1.0
        test = TEST_COST * len(tested_rows(config, dataset_of(config)))
        return slow * config.clients * run.rounds * run.steps + 2 * test

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        config, cells = self.config, []
        world = world_of(config.model_dump_json(), config.clients, config.shard)
        repeats = range(config.repeats)
        owners = [world.owners(repeat, config.run_seed) for repeat in repeats]
        for observer in config.scenarios():
            for row in config.rows():
                place: dict[str, Any] = _place(observer, row, None)
                asked = [a for a in config.attacks() if (observer, row) in config.pairs(a)]
                if not asked or observer == "malicious-server":
                    continue
                own: list[dict[str, Any]] = []
                runs = [found.get(_label("run", row=row, repeat=r), {}) for r in repeats]
                if runs[0]:
                    place["bytes_read"] = float(
                        np.mean([run["payload_bytes"][observer] for run in runs])
                    )
                if "membership" in asked:
                    own += membership_cells(runs, owners, observer)
                if "tokens" in asked:
                    few = 1 if observer == "eavesdropper" else None
                    own.append(word_cell([one for run in runs for one in run["words"][:few]]))
                if "canaries" in asked:
                    own += canary_cells(runs, observer, world)
                if "label-distribution" in asked:
                    mixes = [found[_label("mix", row=row, repeat=r)] for r in repeats]
                    own.append(mix_cell(mixes, observer == "eavesdropper"))
                cells += [place | one for one in own]
        cells += self._checks(found) + self._audits(found) + self._crafted(found)
        return {
            "cells": cells, "defences": self._defences(found), "observers": dict(OBSERVERS),
            "rows": {row: ROWS[row].words for row in config.rows()},
        }  # fmt: skip

    def _checks(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """What shows that the attacks are alive: a memorising model, unseen texts, one text."""
        config, cells = self.config, []
        if self._alive():
            small = world_of(config.model_dump_json(), 1, min(MEMORISED, config.shard))
            numbers = range(self._memorising())
            draws = [generator(config.run_seed, "privacy/coins", r) for r in numbers]
            coins = [rng.integers(2, size=config.population).astype(np.bool_) for rng in draws]
            cells += alive_cells(
                [found[_label("memorise", repeat=r)] for r in numbers],
                [small.owners(r, config.run_seed) for r in numbers], coins,
            )  # fmt: skip
        if "weights" in self._rows(["tokens"]):
            for own in self._updates():
                one = found[_label("step", **own)]
                setting = (
                    f"{own['batch']} text(s) of {own['length']} tokens, {own['steps']} step(s) of "
                    f"{own['optimiser']}"
                )
                place = _place("server", "weights", setting)
                cells.append(place | word_cell(one["words"]) | _texts_of_update(one))
        return cells

    def _audits(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = []
        if not self._rows(["audit"]):
            return cells
        for epsilon in self._budgets():
            runs = [
                found[_label("audit", epsilon=epsilon, repeat=r)]
                for r in range(min(_AUDITS, self.config.repeats))
            ]
            setting = "no differential privacy" if epsilon is None else f"epsilon {epsilon:g}"
            cells.append(_place("server", "weights", setting) | audit_cell(runs))
        return cells

    def _crafted(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        if not self._rows(["crafted"]):
            return []
        numbers = range(self.config.repeats)
        asked = [
            one for r in numbers for one in found[_label("crafted", repeat=r)]["words"]
        ]  # fmt: skip
        place = _place("malicious-server", "recipe", "crafted seeds")
        exact = [one["exact"] for one in asked]
        return [
            place | word_cell(asked) | {"attack": "crafted seed", "counts_exact": float(
                np.mean(exact)
            ), "bytes_read": found[_label("crafted", repeat=0)]["payload_bytes"]}
        ]  # fmt: skip

    def _defences(self, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        curves = []
        for row in self._curves():
            for epsilon in self._budgets():
                own = [
                    found[_label("accuracy", row=row, epsilon=epsilon, repeat=r)]
                    for r in range(min(_CURVE_REPEATS, self.config.repeats))
                ]
                counts = [ClassCounts.from_record(one["counts"]) for one in own]
                curves.append({
                    "row": row, "protocol": ROWS[row].protocol, "protects": DEFENDED[row][0],
                    "epsilon": epsilon, "epsilon_spent": own[0]["spent"],
                    "delta": self.config.delta, "accuracy": over_repeats(counts),
                })  # fmt: skip
        return curves


def _label(what: str, **own: Any) -> str:
    words = [f"{name} {value}" for name, value in own.items() if name != "trials"]
    return ", ".join([what, *words])


def _place(observer: str, row: str, setting: str | None) -> dict[str, Any]:
    """What begins every cell; the setting is None for the watched runs as they are."""
    protocol = ROWS[row].protocol
    return {"observer": observer, "row": row, "protocol": protocol, "setting": setting}


def _texts_of_update(one: Mapping[str, Any]) -> dict[str, Any]:
    """Shares of tokens at their place and of whole texts, of updates of a single step."""
    if not one["texts"]:
        return {}
    shares = (("token_share", "tokens"), ("text_share", "sentences"))
    return {
        "gradient_inversion": {
            key: over_targets([text[name] for text in one["texts"]]) for key, name in shares
        }
    }
