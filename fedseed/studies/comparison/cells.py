"""The cells of the comparison: one row, on one partition, under one condition, once."""

import copy
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from fedseed.data.federated_dataset import FederatedDataset, open_federated_dataset
from fedseed.data.splits import Rows
from fedseed.evaluation.metrics import ClassCounts
from fedseed.federation.client_app import decode_counts
from fedseed.federation.engines import Grid, run_local
from fedseed.federation.history import History
from fedseed.federation.rounds import RoundResult
from fedseed.federation.session import Session
from fedseed.randomness import generator
from fedseed.recipe import Recipe
from fedseed.runs.plan import Plan, make_plan
from fedseed.runs.scores import test_run
from fedseed.seeds.assemble import grow
from fedseed.studies.comparison.options import ComparisonOptions
from fedseed.studies.measuring import measure_baseline_cell
from fedseed.studies.recipes import CENTRAL_EPOCHS
from fedseed.studies.rows import ROWS, run_config
from fedseed.training import FitJob, Trainer
from fedseed.transcript import TRAIN, Transcript, byte_sums, ledger


def measure(config_json: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one cell."""
    config = ComparisonOptions.model_validate_json(config_json)
    if arguments["what"] == "baselines":
        return measure_baseline_cell(config)
    row = ROWS[arguments["row"]]
    run, recipe = run_config(
        config, row, arguments["partition"], arguments["condition"], arguments["repeat"]
    )
    plan = make_plan(run, given=recipe)
    if arguments["row"] == "local":
        return _local(plan, recipe.replace(steps=config.cut(row.steps or config.steps)))
    if arguments["row"] == "central":
        return _central(plan, recipe, config)
    personal = config.personalize if row.personal and not arguments["condition"] else None
    return FederatedRun(plan, personal and config.cut(personal)).run()


def _train(plan: Plan, rows: Rows, recipe: Recipe, rng: np.random.Generator) -> nn.Module:
    model = grow(plan.encoded_seed)
    table = plan.federated.dataset.table
    Trainer(plan.compute).fit(FitJob(model, table, rows, recipe, rng))
    return model


def _local(plan: Plan, recipe: Recipe) -> dict[str, Any]:
    """Every client trains alone; its model is what it would have without any protocol."""
    clock, federated, seed = time.monotonic(), plan.federated, plan.config.run_seed
    models = [
        _train(plan, federated.shard(pid).whole(), recipe, generator(seed, "evaluate", 0, pid))
        for pid in range(plan.config.clients + 1)
    ]
    seconds = (time.monotonic() - clock) / len(models)
    participants = [test_run(plan, model, federated.test_rows(0)) for model in models[:-1]]
    newcomer = test_run(plan, models[-1], federated.test_rows())
    return {
        "participants": [one.to_record() for one in participants],
        "newcomers": [newcomer.to_record()],
        "rounds": [], "client_steps": recipe.steps, "client_seconds": seconds,
    }  # fmt: skip


def _central(plan: Plan, recipe: Recipe, config: ComparisonOptions) -> dict[str, Any]:
    """All participants' texts together, as if they could be."""
    clock = time.monotonic()
    rows = np.sort(np.concatenate(plan.federated.parts[: plan.config.clients]))
    steps = config.cut(-(-CENTRAL_EPOCHS * len(rows) // recipe.batch_size))
    rng = generator(plan.config.run_seed, "central")
    model = _train(plan, rows, recipe.replace(steps=steps), rng)
    seconds = time.monotonic() - clock
    found = test_run(plan, model, plan.federated.test_rows()).to_record()
    return {
        "final": found, "participants": [], "newcomers": [found], "rounds": [],
        "client_steps": steps, "client_seconds": seconds,
    }  # fmt: skip


class FederatedRun:
    """A federated run in this process, tested after every round."""

    def __init__(self, plan: Plan, personal_steps: int | None) -> None:
        self.plan = plan
        self.personal_steps = personal_steps
        self.personal: list[dict[str, Any]] = []
        self.transcript = Transcript()
        self.tests: list[dict[str, Any] | None] = []
        self.sizes: list[int] = []
        """Bytes that anybody downloads to have the result of a round."""
        self.results: list[RoundResult] = []
        self.newcomers: list[ClassCounts] = []
        self.participants: list[ClassCounts] = []
        self.making = 0.0
        """Seconds that a newcomer needs to make its model of the result."""

    def run(self) -> dict[str, Any]:
        """Run it, and say what came out."""
        run_local(self.plan.config, self._serve, None)
        config = self.plan.config
        rounds = []
        for result, test, size in zip(self.results, self.tests, self.sizes, strict=True):
            sent = list(self.transcript.of(TRAIN, str(result.round)).values())
            rounds.append({
                "round": result.round, "test": test, "result_bytes": size, **byte_sums(sent),
                "client_payload_bytes": {
                    way: max(e.payload_bytes[way] for e in sent) for way in ("down", "up")
                },
                "steps": sum(map(steps_of, result.clients)) / config.cohort_size,
                "client_seconds": result.waiting_seconds / config.cohort_size,
                "usable_replies": sum(c["status"] == "ok" for c in result.clients),
            })  # fmt: skip
        book = ledger(self.transcript, self.plan.fp32_model_bytes())
        return {
            "final": self.tests[-1],
            "newcomers": [one.to_record() for one in self.newcomers],
            "participants": [one.to_record() for one in self.participants],
            "rounds": rounds, "making_seconds": self.making, "personal": self.personal,
            "client_steps": sum(r["steps"] for r in rounds),
            "client_seconds": sum(r["client_seconds"] for r in rounds),
            "payload_bytes": book["payload_bytes"], "message_bytes": book["message_bytes"],
        }  # fmt: skip

    def _serve(self, grid: Grid, _run_config: object = None) -> None:
        config = self.plan.config
        session = Session(grid, config.clients + config.newcomers, History(self.transcript))
        server = self.plan.server()

        def after(result: RoundResult) -> None:
            self.results.append(result)
            clock = time.monotonic()
            model = server.model()
            self.making = time.monotonic() - clock
            rows = self.plan.federated.test_rows()
            found = None if model is None else test_run(self.plan, model, rows).to_record()
            self.tests.append(found)
            self.sizes.append(len(server.products()["aggregated"]))

        session.train(server, config, after)
        model = server.model()
        if model is not None:
            self._personalize(model)
            return
        # Without a model of the server's own, everybody makes one of what was aggregated.
        product = server.products()["aggregated"]
        everybody = range(config.clients + config.newcomers)
        clock = time.monotonic()
        exchanges = session.evaluate({"aggregated": product}, everybody)
        self.making = (time.monotonic() - clock) / len(everybody)
        federated = self.plan.federated
        for exchange in exchanges:
            counts = decode_counts(exchange.up, federated.test_counts(exchange.partition_id))
            newcomer = exchange.partition_id >= config.clients
            (self.newcomers if newcomer else self.participants).append(counts)

    def _personalize(self, model: nn.Module) -> None:
        """Every client goes on training the final model on its own texts, and keeps the result."""
        plan, federated = self.plan, self.plan.federated
        steps = self.personal_steps
        if steps is None:
            return
        recipe = plan.given.replace(steps=steps, learning_rate=plan.given.learning_rate / 4)
        before, labels = test_run(plan, model, federated.test_rows(0)), federated.label_counts()
        for pid in range(plan.config.clients):
            own, shard = copy.deepcopy(model), federated.shard(pid)
            rng = generator(plan.config.run_seed, "personalize", 0, pid)
            Trainer(plan.compute).fit(FitJob(own, shard.table, shard.whole(), recipe, rng))
            after = test_run(plan, own, federated.test_rows(0))
            self.personal.append({
                "partition_id": pid, "labels": labels[pid], "before": before.to_record(),
                "after": after.to_record(),
            })  # fmt: skip


def steps_of(client: Mapping[str, Any]) -> int:
    """Training steps that a client reported for a round."""
    metrics = client["metrics"]
    if "recipes" in metrics:
        return sum(int(trial["steps"]) for trial in metrics["recipes"])
    return int(metrics.get("steps", 0))


def federated_of(config: ComparisonOptions, repeat: int, partition: str) -> FederatedDataset:
    """The shards of a repeat, for the record."""
    return open_federated_dataset(run_config(config, ROWS["local"], partition, "", repeat)[0])
