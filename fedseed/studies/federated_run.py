"""A federated run as a cell of a study: in this process, tested after every round."""

import copy
import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from fedseed.evaluation.metrics import ClassCounts
from fedseed.federation.counted_tests import decode_counts
from fedseed.federation.engines import Grid, run_local
from fedseed.federation.history import History
from fedseed.federation.round_record import RoundResult
from fedseed.federation.session import Session
from fedseed.ledger import by_client, byte_sums, ledger
from fedseed.randomness import generator
from fedseed.runs.evaluate import correct_on
from fedseed.runs.plan import Plan
from fedseed.training import FitJob, Trainer
from fedseed.transcript import Transcript


class FederatedRun:
    """A federated run in this process, tested after every round."""

    def __init__(self, plan: Plan, personal_steps: int | None = None) -> None:
        """Prepare a run.

        Args:
            plan: what to run.
            personal_steps: steps for which every client then adapts the final model to its own
                texts; None for no adaptation.
        """
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
        """Run it; returns test runs, rounds, bytes, steps and seconds, as JSON."""
        run_local(self.plan.config, self._serve, None, self.plan.federated)
        config = self.plan.config
        rounds = []
        for result, test, size in zip(self.results, self.tests, self.sizes, strict=True):
            group = str(result.round)
            sent = [e for e in self.transcript if e.trains and e.group == group]
            each = [byte_sums(own) for own in by_client(sent).values()]
            rounds.append({
                "round": result.round, "test": test, "result_bytes": size, **byte_sums(sent),
                "client_payload_bytes": {
                    way: max(one["payload_bytes"][way] for one in each) for way in ("down", "up")
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
            test = None if model is None else correct_on(self.plan, model, rows).to_record()
            self.tests.append(test)
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
            counts = decode_counts(
                exchange.up, federated.dataset.labels, federated.test_counts(exchange.partition_id)
            )
            newcomer = exchange.partition_id >= config.clients
            (self.newcomers if newcomer else self.participants).append(counts)

    def _personalize(self, model: nn.Module) -> None:
        """Every client goes on training the final model on its own texts, and keeps the result."""
        plan, federated = self.plan, self.plan.federated
        steps = self.personal_steps
        if steps is None:
            return
        recipe = plan.given.replace(steps=steps, learning_rate=plan.given.learning_rate / 4)
        before, labels = correct_on(plan, model, federated.test_rows(0)), federated.label_counts()
        for pid in range(plan.config.clients):
            adapted, shard = copy.deepcopy(model), federated.shard(pid)
            rng = generator(plan.config.run_seed, "personalize", 0, pid)
            Trainer(plan.compute).fit(FitJob(adapted, shard.table, shard.whole(), recipe, rng))
            after = correct_on(plan, adapted, federated.test_rows(0))
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
