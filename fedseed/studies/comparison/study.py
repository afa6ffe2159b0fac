"""The comparison: every protocol on the same shards, with the bytes that really travelled."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.data.options import task_name
from fedseed.evaluation.frontier import client_bytes, pareto, points, series_of
from fedseed.evaluation.linear_curve import at_most
from fedseed.evaluation.metrics import ClassCounts, reweighted
from fedseed.evaluation.repeats import mean_interval, over_repeats
from fedseed.models.architecture import FROM_PRNG
from fedseed.models.registry import find_model
from fedseed.protocols import find_protocol
from fedseed.recipe import Recipe
from fedseed.results.display import Display
from fedseed.runs.plan import make_plan
from fedseed.studies.base import Study, dataset_of, tested_rows
from fedseed.studies.cells import Cell, Work
from fedseed.studies.comparison import STUDY
from fedseed.studies.comparison.cells import Place, federated_of, measure, row_of
from fedseed.studies.comparison.options import ComparisonOptions
from fedseed.studies.description import StudyDescription
from fedseed.studies.measuring import LINEAR, TEST_COST, baseline_cell, linear_cell
from fedseed.studies.recipes import CENTRAL_EPOCHS
from fedseed.studies.rows import ROWS, StudyRow, described_protocols, row_words, run_config


class Comparison(Study):
    """What to send."""

    about: ClassVar[StudyDescription] = STUDY
    config: ComparisonOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and a plan of every row, which says what is wrong."""
        for model in self.config.all_models:
            open_dataset(self.config.of(model), display.tokenising)
        for place in self._places():
            run, recipe = self._run_config(place)
            make_plan(run, given=recipe)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        config = self.config
        recipes = {
            place.series(config.all_models[0]): row_of(place).recipe.model_dump()
            for place in self._places()
        }
        return super().provenance() | {"recipes": recipes}

    def protocols(self) -> dict[str, dict[str, Any]]:
        """See :class:`Study`."""
        return described_protocols(place.row for place in self._places())

    def _run_config(self, place: Place, repeat: int = 0) -> tuple[RunConfig, Recipe]:
        config = self.config.of(place.model)
        return run_config(config, row_of(place), place.partition, place.condition, repeat)

    def _places(self) -> list[Place]:
        """Every cell, repeats apart, model by model."""
        return [
            Place(model, *rest)
            for model in self.config.all_models
            for rest in self._places_of_rows()
            if ROWS[rest[0]].on(model) is not None
        ]

    def _places_of_rows(self) -> list[tuple[str, str, str]]:
        """Row, partition and condition of every cell of one model."""
        config = self.config
        main = config.protocols == "main"
        names = config.protocols.split(",")
        if main or config.protocols == "all":
            names = [name for name, row in ROWS.items() if row.main or not main]
        partitions = config.partitions.split(",")
        conditions = [] if config.conditions == "none" else config.conditions.split(",")
        undisturbed = [
            (name, partition, "")
            for place, partition in enumerate(partitions)
            for name in names
            if (place == 0 or not main or ROWS[name].skewed)
            and (name != "central" or place == 0)  # it knows no partition
        ]
        return undisturbed + [
            (name, partitions[0], condition)
            for condition in conditions
            for name in names
            if condition in ROWS[name].robustness
        ]

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        cells = [baseline_cell(), linear_cell()]
        for repeat in range(self.config.repeats):
            for place in self._places():
                arguments = {"what": "row", **dataclasses.asdict(place), "repeat": repeat}
                cells.append(Cell(self._label(place, repeat), self._cost(place), arguments))
        return cells

    def _label(self, place: Place, repeat: int) -> str:
        series = place.series(self.config.all_models[0])
        return ", ".join(filter(None, (series, place.partition, place.condition, str(repeat))))

    def _cost(self, place: Place) -> float:
        """About how long a cell takes, in training steps of federated averaging."""
        weight = find_model(place.model, 2).fp32_bytes() / find_model("bert-tiny", 2).fp32_bytes()
        return self._steps_of(place) * max(1.0, 4 * weight)  # words cost no product

    def _steps_of(self, place: Place) -> float:
        """Its training steps, and what testing costs in them."""
        config, row, name = self.config, row_of(place), place.row
        run, _ = self._run_config(place)
        test = TEST_COST * len(tested_rows(config, dataset_of(config)))
        few = TEST_COST * run.participants_test_examples * config.clients
        if name == "central":
            return config.cut(CENTRAL_EPOCHS * len(dataset_of(config).train) // 32) + test
        everybody_trains = (config.clients + 1) * run.steps + few + test
        if row.protocol is None:
            return everybody_trains
        steps = row.slowdown * config.clients * run.rounds * run.steps
        if find_protocol(row.protocol).ends_with == "recipe":
            return steps + everybody_trains
        return steps + self._public_cost(run) + run.rounds * test

    def _public_cost(self, run: RunConfig) -> float:
        """What predictions and training on public texts add, if there are any."""
        if run.public_texts is None:
            return 0.0
        options = run.options.model_dump()
        making = sum(int(options[name]) for name in options if name.endswith("_steps"))
        short = (
            0.2 if run.public_texts.startswith("sentences") else 1.0
        )  # they cost less than reviews
        clients = self.config.clients * (TEST_COST * 6000 + (run.rounds - 1) * making)
        return short * (clients + run.rounds * making)

    def results(self, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        config, cells = self.config, []
        for place in self._places():
            repeats = [measured[self._label(place, n)] for n in range(config.repeats)]
            cells.append(self._cell(place, repeats))
        linear = measured[LINEAR][LINEAR]
        for cell in cells:
            down, up = client_bytes(cell)
            cell["payload_bytes"]["per_client"] = {"down": down, "up": up}
            cell["linear_of_equal_bytes"] = at_most(linear, down + up)
        for partition in config.partitions.split(","):
            here = [c for c in cells if (c["partition"], c["condition"]) == (partition, None)]
            best = pareto(points(here))
            for cell in here:
                cell["pareto"] = series_of(cell) in best
        shards = {
            partition: federated_of(config, 0, partition).label_counts()
            for partition in config.partitions.split(",")
        }
        model = find_model(config.model, dataset_of(config).labels)
        return {
            "cells": cells, "baselines": measured["baselines"]["baselines"], LINEAR: linear,
            "shards_of_first_repeat": shards, "fp32_model_bytes": model.fp32_bytes(),
        }  # fmt: skip

    def _cell(self, place: Place, repeats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        row = row_of(place)
        run, _ = self._run_config(place)
        numbers = range(len(repeats[0]["rounds"]))
        rounds = [_round([one["rounds"][number] for one in repeats]) for number in numbers]
        final = [_final(one) for one in repeats]
        if rounds and rounds[-1]["accuracy"] is None:  # everybody made a model at the end
            rounds[-1]["accuracy"] = over_repeats(final)
        newcomers = [_mean(one["newcomers"] or [one["final"]]) for one in repeats]
        worst = [_worst(one) for one in repeats]
        return {
            "row": place.row, "series": place.series(self.config.all_models[0]),
            "description": row_words(self.config, row), "body_bytes": _body_bytes(place.model),
            "protocol": row.protocol,
            "options": _options(run, row), "start": run.resolved_start,
            "task": task_name(self.config.data), "model": run.model, "max_length": run.length,
            "partition": place.partition, "condition": place.condition or None,
            "repeats": len(repeats), "accuracy": over_repeats(final),
            "newcomers": over_repeats(newcomers), "worst_client": over_repeats(worst),
            "rounds": rounds,
            **{name: _bytes(repeats, name) for name in ("payload_bytes", "message_bytes")},
            "client_steps": _median(repeats, "client_steps"),
            "client_seconds": _median(repeats, "client_seconds"),
            "making_seconds": _median(repeats, "making_seconds"),
            "wall_seconds": _median(repeats, "seconds"), "pareto": False,
            "personalization": _personal([one.get("personal") for one in repeats]),
        }  # fmt: skip


def _body_bytes(model: str) -> int:
    """What a client downloads that does not have a published body: its weights in fp32."""
    return 0 if model in FROM_PRNG else find_model(model, 2).fp32_bytes()


def _options(run: RunConfig, row: StudyRow) -> dict[str, Any]:
    """What distinguishes a row: its protocol's options, rounds, steps and start."""
    if row.protocol is None:
        return {"steps": run.steps, "scheme": run.scheme}
    options = run.options.model_dump()
    if options.get("codec") != "topk":
        options.pop("keep", None)
    return options | {"rounds": run.rounds, "steps": run.steps, "scheme": run.scheme}


def _mean(models: Sequence[Mapping[str, Any]]) -> ClassCounts:
    """The mean test run of several models on the same examples, in whole examples."""
    mean = np.mean([model["correct"] for model in models], axis=0)
    return ClassCounts(tuple(round(x) for x in mean), tuple(models[0]["examples"]))


def _final(one: Mapping[str, Any]) -> ClassCounts:
    """The server's model, or the mean of the participants' own."""
    return _mean([one["final"]] if one.get("final") else one["participants"])


def _worst(one: Mapping[str, Any]) -> ClassCounts:
    """The participant whose model is right least often; of a shared model that model."""
    models = [ClassCounts.from_record(counts) for counts in one["participants"]]
    return min(models, key=lambda counts: counts.accuracy) if models else _final(one)


def _personal(repeats: Sequence[Any]) -> dict[str, Any] | None:
    """What adapting the final model to each client's texts gained, on the client's class mix."""
    clients = [
        dict(client, repeat=r)
        for r, some in enumerate(repeats)
        for client in some or ()
        if any(map(min, client["labels"], client["before"]["examples"]))  # has a tested class
    ]
    if not clients:
        return None
    for client in clients:
        shares = [count / sum(client["labels"]) for count in client["labels"]]
        for name in ("before", "after"):
            client[name] = reweighted(ClassCounts.from_record(client[name]), shares).to_record()
        client["gain"] = client["after"]["value"] - client["before"]["value"]
    gains = [
        float(np.mean([c["gain"] for c in clients if c["repeat"] == repeat]))
        for repeat in sorted({c["repeat"] for c in clients})
    ]
    return {
        "clients": clients,
        "mean_gain": {"value": float(np.mean(gains)), "ci95": mean_interval(gains)},
        "clients_that_gain": sum(c["gain"] > 0 for c in clients) / len(clients),
    }  # fmt: skip


def _round(repeats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One round over all repeats."""
    tests = [one["test"] for one in repeats]
    counts = [ClassCounts.from_record(test) for test in tests if test]
    sizes = ("client_payload_bytes", "payload_bytes", "message_bytes")
    return {
        "round": repeats[0]["round"],
        "accuracy": over_repeats(counts) if all(tests) else None,
        **{name: _both_ways([one[name] for one in repeats]) for name in sizes},
        "result_bytes": float(np.mean([one["result_bytes"] for one in repeats])),
        **{name: _median(repeats, name) for name in ("steps", "client_seconds", "usable_replies")},
    }


def _bytes(repeats: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Totals of all rounds and clients, and the most of one client and round; mean of repeats."""
    if name not in repeats[0]:
        return {"down": 0, "up": 0, "per_client_round_max": {"down": 0, "up": 0}}
    most = _both_ways([one[name]["per_client_round_max"] for one in repeats])
    return {**_both_ways([one[name] for one in repeats]), "per_client_round_max": most}


def _both_ways(sizes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean bytes down and up."""
    return {way: float(np.mean([size[way] for size in sizes])) for way in ("down", "up")}


def _median(repeats: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(np.median([one.get(name, 0.0) for one in repeats]))
