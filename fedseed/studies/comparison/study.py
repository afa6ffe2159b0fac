"""The comparison: every protocol on the same shards, with the bytes that really travelled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fedseed.config import RunConfig
from fedseed.data.federated_dataset import open_dataset
from fedseed.evaluation.frontier import pareto, points
from fedseed.evaluation.metrics import ClassCounts, reweighted
from fedseed.evaluation.repeats import mean_interval, over_repeats
from fedseed.models.registry import find_model
from fedseed.results.display import Display
from fedseed.results.record import Kind
from fedseed.runs.plan import make_plan
from fedseed.studies.base import Study, StudyOptions, dataset_of, tested_rows
from fedseed.studies.cells import Cell, Work
from fedseed.studies.comparison.cells import (
    CENTRAL_EPOCHS,
    ComparisonOptions,
    federated_of,
    measure,
    run_config,
)
from fedseed.studies.comparison.figure import comparison_figure
from fedseed.studies.comparison.rows import BOUNDS, ROWS, Row
from fedseed.studies.comparison.table import comparison_table
from fedseed.studies.measuring import FLOOR_COST, TEST_COST

_SLOW = {"adapters": 1.3, "mask": 1.3, "scalars": 0.8}
"""Training steps that a step of these protocols costs."""


class Comparison(Study):
    """What to send: every protocol on the same shards, with the bytes that really travelled.

    Federated averaging, low-rank factors, labels, recipes, scalars and masks, between the bounds of
    clients alone and all texts together; on iid and on skewed shards, with lost and with poisoned
    clients.
    """

    kind: ClassVar[Kind] = "comparison"
    options: ClassVar[type[StudyOptions]] = ComparisonOptions

    @property
    def work(self) -> Work:
        """See :class:`Study`."""
        return measure

    def prepare(self, display: Display) -> None:
        """See :class:`Study`: tokens, and a plan of every row, which says what is wrong."""
        open_dataset(self.config, display.tokenising)
        for name, partition, condition in self._places():
            run, recipe = run_config(self.config, ROWS[name], partition, condition, 0)
            make_plan(run, given=recipe)

    def provenance(self) -> dict[str, Any]:
        """See :class:`Study`."""
        recipes = {name: ROWS[name].recipe.model_dump() for name, _, _ in self._places()}
        return super().provenance() | {"recipes": recipes}

    def _places(self) -> list[tuple[str, str, str]]:
        """Row, partition and condition of every cell, repeats apart."""
        config = self.config
        main = config.protocols == "main"
        names = config.protocols.split(",")
        if main or config.protocols == "all":
            names = [name for name, row in ROWS.items() if row.main or not main]
        partitions = config.partitions.split(",")
        conditions = [] if config.conditions == "none" else config.conditions.split(",")
        found = [
            (name, partition, "")
            for place, partition in enumerate(partitions)
            for name in names
            if (place == 0 or not main or ROWS[name].skewed)
            and (name != "central" or place == 0)  # it knows no partition
        ]
        return found + [
            (name, partitions[0], condition)
            for condition in conditions
            for name in names
            if condition in ROWS[name].robustness
        ]

    def cells(self) -> list[Cell]:
        """See :class:`Study`."""
        cells = [Cell("floors", FLOOR_COST, {"what": "floors"})]
        for repeat in range(self.config.repeats):
            for name, partition, condition in self._places():
                own = {
                    "what": "row", "row": name, "partition": partition, "condition": condition,
                    "repeat": repeat,
                }  # fmt: skip
                label = _label(name, partition, condition, repeat)
                cells.append(Cell(label, self._cost(ROWS[name], partition, condition), own))
        return cells

    def _cost(self, row: Row, partition: str, condition: str) -> float:
        config: ComparisonOptions = self.config
        run, _ = run_config(config, row, partition, condition, 0)
        test = TEST_COST * len(tested_rows(config, dataset_of(config)))
        few = TEST_COST * run.participants_test_examples * config.clients
        if row.protocol == "central":
            return config.cut(CENTRAL_EPOCHS * len(dataset_of(config).train) // 32) + test
        if row.protocol == "local":
            return (config.clients + 1) * run.steps + few + test
        steps = _SLOW.get(row.protocol, 1.0) * config.clients * run.rounds * run.steps
        if row.protocol == "recipe":
            return steps + (config.clients + 1) * run.steps + few + test
        if row.protocol != "labels":
            return steps + run.rounds * test
        distil_steps = int(run.values()["distil_steps"])
        short = 0.2 if run.public_texts == "sentences" else 1.0  # they cost less than reviews
        clients = config.clients * (TEST_COST * 6000 + (run.rounds - 1) * distil_steps)
        return steps + short * (clients + run.rounds * distil_steps) + run.rounds * test

    def results(self, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """See :class:`Study`."""
        config, cells = self.config, []
        for name, partition, condition in self._places():
            own = [
                found[_label(name, partition, condition, repeat)]
                for repeat in range(config.repeats)
            ]
            cells.append(self._cell(name, partition, condition, own))
        for partition in config.partitions.split(","):
            here = [c for c in cells if (c["partition"], c["condition"]) == (partition, None)]
            best = pareto(points(here))
            for cell in here:
                cell["pareto"] = cell["protocol"] in best
        shards = {
            partition: federated_of(config, 0, partition).label_counts()
            for partition in config.partitions.split(",")
        }
        model = find_model(config.model, dataset_of(config).labels)
        return {
            "cells": cells, "floors": found["floors"]["floors"], "shards_of_first_repeat": shards,
            "fp32_model_bytes": model.fp32_bytes(),
        }  # fmt: skip

    def _cell(
        self, name: str, partition: str, condition: str, own: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        row = ROWS[name]
        run, _ = run_config(self.config, row, partition, condition, 0)
        numbers = range(len(own[0]["rounds"]))
        rounds = [_round([one["rounds"][number] for one in own]) for number in numbers]
        final = [_final(one) for one in own]
        if rounds and rounds[-1]["accuracy"] is None:  # everybody made a model at the end
            rounds[-1]["accuracy"] = over_repeats(final)
        newcomers = [_mean(one["newcomers"] or [one["final"]]) for one in own]
        worst = [_worst(one) for one in own]
        return {
            "protocol": name, "words": row.words, "kind": row.protocol,
            "options": _options(run, row), "partition": partition, "condition": condition or None,
            "repeats": len(own), "accuracy": over_repeats(final),
            "newcomers": over_repeats(newcomers), "worst_client": over_repeats(worst),
            "rounds": rounds,
            **{kind: _bytes(own, kind) for kind in ("payload_bytes", "message_bytes")},
            "client_steps": _median(own, "client_steps"),
            "client_seconds": _median(own, "client_seconds"),
            "making_seconds": _median(own, "making_seconds"),
            "wall_seconds": _median(own, "seconds"), "pareto": False,
            "personalization": _personal([one.get("personal") for one in own]),
        }  # fmt: skip

    def table(self, record: Mapping[str, Any]) -> str:
        """See :class:`Study`."""
        return comparison_table(record)

    def figure(self, record: Mapping[str, Any], path: Path) -> None:
        """See :class:`Study`."""
        comparison_figure(record, path)


def _label(name: str, partition: str, condition: str, repeat: int) -> str:
    return ", ".join(filter(None, (name, partition, condition, str(repeat))))


def _options(run: RunConfig, row: Row) -> dict[str, Any]:
    """What distinguishes a row: its protocol's options, rounds, steps and start."""
    own = {} if row.protocol in BOUNDS else run.options.model_dump()
    own = {name: value for name, value in own.items() if name != "keep" or own["codec"] == "topk"}
    rounds = {} if row.protocol in BOUNDS else {"rounds": run.rounds}
    return own | rounds | {"steps": run.steps, "scheme": run.scheme}


def _mean(models: Sequence[Mapping[str, Any]]) -> ClassCounts:
    """The mean test run of several models on the same examples, in whole examples."""
    mean = np.mean([model["correct"] for model in models], axis=0)
    return ClassCounts(tuple(round(x) for x in mean), tuple(models[0]["examples"]))


def _final(one: Mapping[str, Any]) -> ClassCounts:
    """The server's model, or the mean of the participants' own."""
    return _mean([one["final"]] if one.get("final") else one["participants"])


def _worst(one: Mapping[str, Any]) -> ClassCounts:
    """The participant whose model is right least often; of a shared model that model."""
    models = [ClassCounts.from_record(found) for found in one["participants"]]
    return min(models, key=lambda found: found.accuracy) if models else _final(one)


def _personal(repeats: Sequence[Any]) -> dict[str, Any] | None:
    """What adapting the final model to each client's texts gained, on the client's class mix."""
    clients = [dict(client, repeat=r) for r, own in enumerate(repeats) for client in own or ()]
    if not clients:
        return None
    for client in clients:
        shares = [count / sum(client["labels"]) for count in client["labels"]]
        for name in ("before", "after"):
            client[name] = reweighted(ClassCounts.from_record(client[name]), shares).to_record()
        client["gain"] = client["after"]["value"] - client["before"]["value"]
    gains = [
        float(np.mean([c["gain"] for c in clients if c["repeat"] == repeat]))
        for repeat in range(len(repeats))
    ]
    return {
        "clients": clients,
        "mean_gain": {"value": float(np.mean(gains)), "ci95": mean_interval(gains)},
        "clients_that_gain": sum(c["gain"] > 0 for c in clients) / len(clients),
    }  # fmt: skip


def _round(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One round over all repeats."""
    tests = [one["test"] for one in own]
    counts = [ClassCounts.from_record(test) for test in tests if test]
    return {
        "round": own[0]["round"],
        "accuracy": over_repeats(counts) if all(tests) else None,
        "client_payload_bytes": {
            way: float(np.mean([one["client_payload_bytes"][way] for one in own]))
            for way in ("down", "up")
        },
        **{
            kind: {way: float(np.mean([one[kind][way] for one in own])) for way in ("down", "up")}
            for kind in ("payload_bytes", "message_bytes")
        },
        "result_bytes": float(np.mean([one["result_bytes"] for one in own])),
        **{name: _median(own, name) for name in ("steps", "client_seconds", "usable_replies")},
    }  # fmt: skip


def _bytes(own: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """Totals of all rounds and clients, and the most of one client and round; mean of repeats."""
    if kind not in own[0]:
        return {"down": 0, "up": 0, "per_client_round_max": {"down": 0, "up": 0}}
    most = [one[kind]["per_client_round_max"] for one in own]
    return {
        **{way: float(np.mean([one[kind][way] for one in own])) for way in ("down", "up")},
        "per_client_round_max": {
            way: float(np.mean([one[way] for one in most])) for way in ("down", "up")
        },
    }


def _median(own: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(np.median([one.get(name, 0.0) for one in own]))
