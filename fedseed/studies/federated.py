"""The federated run: rounds, then newcomers and participants tested on the common test split."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fedseed.errors import RunError, WireError
from fedseed.evaluation.metrics import Accuracy, ClassCounts, accuracy
from fedseed.evaluation.retention import chance_corrected, plain
from fedseed.federation.client_app import decode_counts
from fedseed.federation.engines import Grid, count_workers, run_local, run_ray
from fedseed.federation.rounds import RoundResult, Wire, discover, run_rounds
from fedseed.files import write_text
from fedseed.results.display import Display
from fedseed.results.folder import RECORD, STATE, TRANSCRIPT
from fedseed.results.provenance import PeakMemory, code, machine, packages
from fedseed.results.record import RunRecord
from fedseed.seeds.codec import describe, write_seed
from fedseed.studies.original import describe_dataset, find_original
from fedseed.studies.plan import Plan
from fedseed.transcript import EVALUATE, Exchange, Transcript, ledger


class FederatedStudy:
    """One run of a plan in an output folder, fresh or taken up again."""

    def __init__(self, plan: Plan, out: Path, display: Display) -> None:
        """Prepare a run.

        Args:
            plan: what to run.
            out: an existing folder, locked for this run; a transcript in it is taken up.
            display: is told what happens.
        """
        self.plan = plan
        self.out = out
        self.display = display
        self.transcript = Transcript(out / TRANSCRIPT)
        self._clock = time.monotonic()
        self._memory = PeakMemory()
        config = plan.config
        self.record = RunRecord(
            kind="federated",
            config=config.for_record() | {"given_recipe": plan.given.model_dump()},
            provenance={
                **code(), "packages": packages(), "dataset": describe_dataset(plan.site.dataset),
                "machine": machine(config.engine, count_workers(config)),
                "seed": describe(plan.seed), "label_counts": plan.site.label_counts(),
                "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )  # fmt: skip

    def run(self) -> RunRecord:
        """Run on the configured engine and return the finished record.

        Raises:
            RunError: too few clients replied; the record's status is ``failed``.
            OutputError: the folder cannot be written.
        """
        config = self.plan.config
        self._save()
        write_seed(self.out / "seed.fseed", self.plan.seed)
        with self._memory:
            if config.engine == "ray":
                run_ray(config, self.serve)
            else:
                run_local(config, self.serve, self.out / STATE)
        return self.record

    def serve(self, grid: Grid, _run_config: object = None) -> None:
        """Do the server's whole work, given the way to its clients."""
        config = self.plan.config
        try:
            nodes = discover(grid, config.clients + config.newcomers)
            wire = Wire(grid, nodes, self.transcript, self.display, self._patience())
            server = self.plan.server()
            run_rounds(wire, server, config, self._after_round)
            products, targets = self.plan.products(server), self.plan.targets()
            self.display.phase("testing the seed, the given and the aggregated recipe")
            requests = {
                (name, pid): products[name] for name, pids in targets.items() for pid in pids
            }
            exchanges = wire.ask(EVALUATE, requests, frozenset())
            summaries = {name: server.summary(name) for name in server.products()}
            self.record.results = self._results(exchanges, summaries)
            write_text(self.out / "recipe.toml", server.aggregated().to_toml())
            self.record.status = "completed"
        except RunError as error:
            self.record.status, self.record.error = "failed", str(error)
            raise
        finally:
            self._save()

    def _patience(self) -> float | None:
        """Seconds to wait for one call; the local engine measures each client itself."""
        config = self.plan.config
        if config.client_timeout is None or config.engine == "local":
            return None
        return config.client_timeout * -(-config.clients // count_workers(config))

    def _after_round(self, result: RoundResult) -> None:
        self.record.rounds.append(result.to_record())
        self._save()

    def _save(self) -> None:
        self.record.ledger = ledger(self.transcript, self.plan.fp32_model_bytes())
        self._memory.sample()
        self.record.provenance |= {
            "wall_seconds": round(time.monotonic() - self._clock, 3),
            "peak_memory_bytes": self._memory.bytes,
        }
        self.record.write(self.out / RECORD)

    def _results(
        self, exchanges: list[Exchange], summaries: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        counts, failures = self._counts(exchanges)
        results: dict[str, Any] = {
            name: {**summary, **self._by_role(counts[name])} for name, summary in summaries.items()
        }
        if not counts["zero_shot"]:
            raise RunError(f"the untrained seed could not be tested: {failures[:1]}")
        zero_shot = accuracy(list(counts["zero_shot"].values()))
        results["zero_shot"] = zero_shot.to_record()
        dataset = self.plan.site.dataset
        found = find_original(
            dataset, self.plan.seed.model, self.plan.max_length, self.display.original
        )
        reference = found.accuracy(dataset, self.plan.site.test_rows())
        results["original"] = {"name": found.name, **reference.to_record()}
        trained = results["aggregated"]["newcomers"] or results["aggregated"]["participants_mean"]
        results["retention"] = _retention(
            {"zero_shot": zero_shot.value, "aggregated": trained["value"]}, reference
        )
        if failures:
            results["failures"] = failures
        return results

    def _counts(
        self, exchanges: list[Exchange]
    ) -> tuple[dict[str, dict[int, ClassCounts]], list[dict[str, Any]]]:
        """Believable test runs by product and partition, and why the others are missing."""
        dataset = self.plan.site.dataset
        counts: dict[str, dict[int, ClassCounts]] = {name: {} for name in self.plan.targets()}
        failures: list[dict[str, Any]] = []
        for exchange in exchanges:
            rows = self.plan.site.test_rows(exchange.partition_id)
            expected = np.bincount(dataset.table.labels[rows], minlength=dataset.labels)
            reason = exchange.reason or exchange.status
            if exchange.status == "ok":
                try:
                    found = decode_counts(exchange.up, expected.tolist())
                    counts[exchange.group][exchange.partition_id] = found
                    continue
                except WireError as error:
                    reason = str(error)
            failures.append(
                {"product": exchange.group, "partition_id": exchange.partition_id, "reason": reason}
            )
        return counts, failures

    def _by_role(self, counts: Mapping[int, ClassCounts]) -> dict[str, Any]:
        clients = self.plan.config.clients
        newcomers = [found for pid, found in counts.items() if pid >= clients]
        participants = [found for pid, found in counts.items() if pid < clients]
        if not participants or (self.plan.config.newcomers and not newcomers):
            raise RunError("no client's model could be tested: the reasons are in transcript.jsonl")
        worst = min(participants, key=lambda found: found.accuracy)
        best = max(participants, key=lambda found: found.accuracy)
        return {
            "newcomers": accuracy(newcomers).to_record() if newcomers else None,
            "participants_mean": accuracy(participants).to_record(),
            "participants_worst": accuracy([worst]).to_record(),
            "participants_best": accuracy([best]).to_record(),
        }


def _retention(values: Mapping[str, float], reference: Accuracy) -> dict[str, Any]:
    chance = reference.majority_baseline
    return {
        "plain": {name: plain(value, reference.value) for name, value in values.items()},
        "chance_corrected": {
            name: chance_corrected(value, reference.value, chance) for name, value in values.items()
        },
    }
