"""The federated run: rounds, then newcomers and participants tested on the common test split."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedseed.data.federated_dataset import FederatedDataset
from fedseed.errors import OutputError, RunError, WireError
from fedseed.federation.engines import Grid, count_workers, run_local, run_ray
from fedseed.federation.rounds import RoundResult, draw_cohort
from fedseed.federation.session import Session
from fedseed.files import write_bytes
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ProtocolServer
from fedseed.results.display import Display
from fedseed.results.figure import write_figure
from fedseed.results.folder import CHECKPOINT, RECORD, STATE, TRANSCRIPT
from fedseed.results.provenance import PeakMemory, code, describe_seed, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.results.table import percent
from fedseed.runs.original import describe_dataset
from fedseed.runs.plan import Plan
from fedseed.runs.scores import judge, tested_model
from fedseed.seeds.codec import write_seed
from fedseed.transcript import Transcript, ledger

MOST_COUNTED = 1000
"""Clients whose examples a record counts by class."""


class FederatedStudy:
    """One run of a plan in an output folder, fresh or taken up again."""

    def __init__(self, plan: Plan, out: Path, display: Display, engine: str) -> None:
        """Prepare a run.

        Args:
            plan: what to run.
            out: an existing folder, locked for this run; a transcript in it is taken up.
            display: is told what happens.
            engine: ``local``, ``ray``, or ``deployment`` when Flower brings the grid.
        """
        self.plan = plan
        self.out = out
        self.display = display
        self.engine = engine
        self.transcript = Transcript(out / TRANSCRIPT)
        self.transcript.forget_last_failures()
        self._clock = time.monotonic()
        self._memory = PeakMemory()
        self._before = _previous(out)
        config, budget = plan.config, plan.budget
        asked = {} if budget is None else {"rounds": budget.rounds_asked}
        self.record = RunRecord(
            kind="federated",
            config=config.for_record() | asked | {"given_recipe": plan.given.model_dump()},
            provenance={
                **code(), "packages": packages(),
                "dataset": describe_dataset(plan.federated.dataset),
                "machine": machine(
                    engine, count_workers(config), plan.compute.device, plan.compute.precision
                ),
                "seed": describe_seed(plan.seed), **describe_shards(plan.federated),
                **describe_public(plan.federated),
                **({} if budget is None else {"privacy": budget.to_record()}),
                "started": self._before.get("provenance", {}).get(
                    "started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                ),
            },
            protocol=find_protocol(config.protocol).to_record(),
        )  # fmt: skip

    def run(self) -> RunRecord:
        """Run on a simulation engine and return the finished record.

        Raises:
            RunError: too few clients replied; the record's status is ``failed``.
            OutputError: the folder cannot be written.
        """
        config = self.plan.config
        if self.engine == "ray":
            run_ray(config, self.serve)
        else:
            run_local(config, self.serve, self.out / STATE)
        return self.record

    def serve(self, grid: Grid, _run_config: object = None) -> None:
        """Do the server's whole work, given the way to its clients."""
        self._save()
        write_seed(self.out / "seed.fseed", self.plan.seed)
        with self._memory:
            try:
                self._conduct(grid)
            except RunError as error:
                self.record.status, self.record.error = "failed", str(error)
                raise
            finally:
                self._save()

    def _conduct(self, grid: Grid) -> None:
        config = self.plan.config
        if self.plan.budget is not None:
            self.display.phase(str(self.plan.budget))
        session = Session(
            grid, config.clients + config.newcomers, self.transcript, self.display,
            config.client_timeout, count_workers(config) if self.engine == "ray" else None,
        )  # fmt: skip
        server = self.plan.server()
        session.train(server, config, self._after_round(server), self._restored(server))
        products = server.products()
        self.display.phase("testing what was given and what was aggregated")
        newcomers = range(config.clients, config.clients + config.newcomers)
        testers = [*draw_cohort(config, config.rounds), *newcomers]
        exchanges = session.evaluate(products, testers)
        summaries = {name: server.summary(name) for name in products}
        self.record.results = judge(self.plan, exchanges, summaries, self.display)
        for name, content in server.files().items():
            write_bytes(self.out / name, content)
        # A run is complete when all of it is there: a record says so last.
        write_figure(self.record.to_dict(), self.out / "figure.png")
        self.record.status = "completed"
        (self.out / CHECKPOINT).unlink(missing_ok=True)

    def _after_round(self, server: ProtocolServer) -> Callable[[RoundResult], None]:
        def after(result: RoundResult) -> None:
            done = result.to_record()
            for earlier in self._before.get("rounds", []):
                if earlier["round"] == done["round"]:  # taken up again: it took its time then
                    done["seconds"] = round(done["seconds"] + earlier["seconds"], 3)
            found = tested_model(self.plan, server, result.round)
            if found is not None:
                done["test"] = found.to_record()
                low, high = found.ci95
                self.display.phase(
                    f"round {result.round}: the average is right on {percent(found.value)} of "
                    f"{found.n:,} test texts ({100 * low:.1f} - {100 * high:.1f}, majority "
                    f"{percent(found.majority_baseline)})"
                )
            self.record.rounds.append(done)
            self._save()
            # Last, so that a record never lacks a round that a checkpoint has behind it.
            checkpoint = server.checkpoint()
            if checkpoint is not None:
                head = result.round.to_bytes(8, "little")
                write_bytes(self.out / CHECKPOINT, head + checkpoint)

        return after

    def _restored(self, server: ProtocolServer) -> int:
        """Rounds that need not be run again, from a checkpoint if there is one."""
        path, done = self.out / CHECKPOINT, 0
        if path.is_file():
            data = path.read_bytes()
            done = int.from_bytes(data[:8], "little")
            try:
                server.restore(data[8:])
            except WireError as error:
                raise OutputError(f"{path} is damaged: start the run again") from error
            self.record.rounds = self._before.get("rounds", [])[:done]
        self.transcript.forget_after(done)
        return done

    def _save(self) -> None:
        self.record.ledger = ledger(self.transcript, self.plan.fp32_model_bytes())
        self._memory.sample()
        before = self._before.get("provenance", {})
        seconds = time.monotonic() - self._clock + before.get("wall_seconds", 0.0)
        self.record.provenance |= {
            "wall_seconds": round(seconds, 3),
            "peak_memory_bytes": max(self._memory.bytes, before.get("peak_memory_bytes", 0)),
        }
        self.record.write(self.out / RECORD)


def describe_public(federated: FederatedDataset) -> dict[str, Any]:
    """Which texts server and clients share; nothing without any."""
    public = federated.public
    if public is None:
        return {}
    own = {"name": public.name, "texts": len(public.rows), "sha256": public.sha256}
    return {"public_texts": own}


def describe_shards(federated: FederatedDataset) -> dict[str, Any]:
    """Examples of each class by client; of many clients the sizes alone."""
    if len(federated.parts) <= MOST_COUNTED:
        return {"label_counts": federated.label_counts()}
    sizes = sorted(len(part) for part in federated.parts)
    return {"shard_sizes": {"min": sizes[0], "median": sizes[len(sizes) // 2], "max": sizes[-1]}}


def _previous(out: Path) -> dict[str, Any]:
    """The record of the run that is taken up; empty for a fresh one."""
    try:
        return read_record(out / RECORD)
    except OutputError:
        return {}
