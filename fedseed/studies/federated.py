"""The federated run: rounds, then newcomers and participants tested on the common test split."""

import time
from pathlib import Path
from typing import Any

from fedseed.errors import OutputError, RunError
from fedseed.federation.engines import Grid, count_workers, run_local, run_ray
from fedseed.federation.rounds import RoundResult, Wire, discover, run_rounds
from fedseed.files import write_text
from fedseed.results.display import Display
from fedseed.results.figure import write_figure
from fedseed.results.folder import RECORD, STATE, TRANSCRIPT
from fedseed.results.provenance import PeakMemory, code, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.seeds.codec import describe, write_seed
from fedseed.studies.original import describe_dataset
from fedseed.studies.plan import Plan
from fedseed.studies.scores import judge
from fedseed.transcript import EVALUATE, Transcript, ledger


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
        config = plan.config
        self.record = RunRecord(
            kind="federated",
            config=config.for_record() | {"given_recipe": plan.given.model_dump()},
            provenance={
                **code(), "packages": packages(), "dataset": describe_dataset(plan.site.dataset),
                "machine": machine(engine, count_workers(config)),
                "seed": describe(plan.seed), "label_counts": plan.site.label_counts(),
                "started": self._before.get("provenance", {}).get(
                    "started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                ),
            },
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
        nodes = discover(grid, config.clients + config.newcomers)
        server = self.plan.server()
        wire = Wire(grid, nodes, self.transcript, self.display, server.glance)
        if self.engine != "local":  # the local engine measures each client itself
            wire.timeout = config.client_timeout
            wire.parallel = count_workers(config) if self.engine == "ray" else len(nodes)
        run_rounds(wire, server, config, self._after_round)
        products = server.products()
        self.display.phase("testing the given and the aggregated recipe")
        requests = {(name, pid): data for name, data in products.items() for pid in nodes}
        exchanges = wire.ask(EVALUATE, requests, frozenset())
        summaries = {name: server.summary(name) for name in products}
        self.record.results = judge(self.plan, exchanges, summaries, self.display)
        write_text(self.out / "recipe.toml", server.aggregated().to_toml())
        # A run is complete when all of it is there: a record says so last.
        write_figure(self.record.to_dict(), self.out / "figure.png")
        self.record.status = "completed"

    def _after_round(self, result: RoundResult) -> None:
        done = result.to_record()
        for earlier in self._before.get("rounds", []):
            if earlier["round"] == done["round"]:  # taken up again: it took its time then
                done["seconds"] = round(done["seconds"] + earlier["seconds"], 3)
        self.record.rounds.append(done)
        self._save()

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


def _previous(out: Path) -> dict[str, Any]:
    """The record of the run that is taken up; empty for a fresh one."""
    try:
        return read_record(out / RECORD)
    except OutputError:
        return {}
