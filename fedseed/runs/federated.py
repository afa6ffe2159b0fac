"""The federated run: rounds, then newcomers and participants tested on the common test split."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedseed.data.federated_dataset import FederatedDataset
from fedseed.data.site_options import SiteOptions
from fedseed.errors import OutputError, RunError
from fedseed.evaluation.metrics import Accuracy
from fedseed.federation.cohort import draw_cohort
from fedseed.federation.engines import Grid, count_workers, run_local, run_ray
from fedseed.federation.history import History
from fedseed.federation.round_record import RoundResult
from fedseed.federation.session import AfterRound, Session
from fedseed.federation.terms import Terms
from fedseed.files import write_bytes, write_text
from fedseed.ledger import ledger
from fedseed.protocols import find_protocol
from fedseed.protocols.base import ProtocolServer
from fedseed.results.display import Display
from fedseed.results.figure import write_figure
from fedseed.results.folder import CHECKPOINT, RECORD, REPORT, STATE, TRANSCRIPT
from fedseed.results.provenance import PeakMemory, code, describe_seed, machine, packages
from fedseed.results.record import RunRecord, read_record
from fedseed.results.run_report import run_report
from fedseed.results.table import percent
from fedseed.runs.by_clients import ClientTests, pooled
from fedseed.runs.evaluate import judge, tested_model
from fedseed.runs.model_folder import save_of_run
from fedseed.runs.original import describe_dataset
from fedseed.runs.plan import Plan
from fedseed.runs.server_test import tested_by_server
from fedseed.seeds.codec import write_seed
from fedseed.transcript import Transcript

MOST_COUNTED = 1000
"""Clients whose examples a record counts by class."""


@dataclass(frozen=True)
class Deployment:
    """What a server knows of its nodes before the run."""

    study: str
    """The name under which they remember it."""
    nodes: Mapping[int, int] | None = None
    """Their ids by partition, where they were asked."""


class RecordedRun:
    """One run of a plan in an output folder, fresh or taken up again.

    What it goes on from is its :class:`History` (transcript and checkpoint) alone; record.json
    is written from it and gives no more than the times of an earlier attempt.
    """

    def __init__(
        self, plan: Plan, out: Path, display: Display, engine: str,
        deployment: Deployment | None = None,
    ) -> None:  # fmt: skip
        """Prepare a run.

        Args:
            plan: what to run.
            out: an existing folder, locked for this run; a history in it is taken up.
            display: shows what happens.
            engine: ``local``, ``ray``, or ``deployment`` when Flower brings the grid.
            deployment: what is known of the nodes of one.

        Raises:
            OutputError: the history is damaged.
        """
        self.plan = plan
        self.out = out
        self.display = display
        self.engine = engine
        self._deployment = deployment
        self._names = {} if plan.sites is None else dict(enumerate(plan.sites))
        self.history = History(Transcript(out / TRANSCRIPT), out / CHECKPOINT)
        self._clock = time.monotonic()
        self._memory = PeakMemory()
        self._earlier = _earlier_provenance(out)
        config, budget = plan.config, plan.budget
        asked = {} if budget is None else {"rounds": budget.rounds_asked}
        self.record = RunRecord(
            kind="federated",
            config=config.for_record() | asked | {"given_recipe": plan.given.model_dump()},
            provenance=self._provenance(),
            rounds=list(self.history.rounds),
            protocol=find_protocol(config.protocol).to_record(),
        )

    def _provenance(self) -> dict[str, Any]:
        plan = self.plan
        return {
            **code(), "packages": packages(),
            "dataset": describe_data(plan),
            "machine": machine(
                self.engine, count_workers(plan.config), plan.compute.device,
                plan.compute.precision,
            ),
            "seed": describe_seed(plan.seed), **describe_start(plan),
            **describe_shards(plan.federated), **describe_public(plan.federated),
            **({} if plan.budget is None else {"privacy": plan.budget.to_record()}),
            **({"warnings": plan.warnings} if plan.warnings else {}),
            "started": self._earlier.get(
                "started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            ),
        }  # fmt: skip

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
        self.history.close()  # the record on disk has all of it

    def _conduct(self, grid: Grid) -> None:
        config = self.plan.config
        if self.plan.budget is not None:
            self.display.phase(str(self.plan.budget))
        for warning in self.plan.warnings:
            self.display.phase(f"warning: {warning}")
        session = Session(
            grid, config.clients + config.newcomers, self.history, self.display,
            config.client_timeout, count_workers(config) if self.engine == "ray" else None,
            None if self._deployment is None else self._deployment.nodes,
        )  # fmt: skip
        if self._deployment is not None:
            self._agree(session, self._deployment.study)
        server = self.plan.server()
        self._tests = ClientTests(self.plan, session, self._names)
        session.train(server, config, self._after_round(server))
        if config.tested_by_clients:
            self.display.phase("testing on texts that the clients hold out")
            self.record.results = self._tests.results(server) | tested_by_server(self.plan, server)
        else:
            self._evaluate(session, server)
        self._save_products(server)
        self._finish()

    def _finish(self) -> None:
        """Write figure and report of what is then the record to the last digit."""
        self._measure()
        finished = self.record.to_dict() | {"status": "completed"}
        write_figure(finished, self.out / "figure.png")
        write_text(self.out / REPORT, run_report(finished))
        # A run is complete when all of it is there: a record says so last.
        self.record.status = "completed"

    def _save_products(self, server: ProtocolServer) -> None:
        """Write what a user takes home: the protocol's files, and the model if there is one."""
        for name, content in server.files().items():
            write_bytes(self.out / name, content)
        model, plan = server.model(), self.plan
        if model is not None:
            save_of_run(self.out, model, plan.seed, plan.max_length, self.record.to_dict())

    def _agree(self, session: Session, study: str) -> None:
        """Have all nodes take part under the run's terms."""
        plan = self.plan
        terms = Terms.of(plan.config, plan.federated.dataset.classes, study)
        self._names = session.agreement.agree(terms)
        many = len(self._names)
        self.display.phase(f"{many} node(s) take part: {', '.join(self._names.values())}"[:300])
        if plan.config.of_sites:
            self.record.provenance["dataset"] = describe_data(plan, self._names)

    def _evaluate(self, session: Session, server: ProtocolServer) -> None:
        """Have the last round's clients and the newcomers test what came out."""
        config, products = self.plan.config, server.products()
        self.display.phase("testing what was given and what was aggregated")
        newcomers = range(config.clients, config.clients + config.newcomers)
        testers = [*draw_cohort(config, config.rounds), *newcomers]
        exchanges = session.evaluate(products, testers)
        summaries = {name: server.summary(name) for name in products}
        self.record.results = judge(self.plan, exchanges, summaries, self.display, server.seed())

    def _after_round(self, server: ProtocolServer) -> AfterRound:
        def test_and_save(result: RoundResult) -> None:
            tested = self._tested(server, result.round)
            if tested is not None:
                result.measured["test"] = tested.to_record()
                low, high = tested.ci95
                self.display.phase(
                    f"round {result.round}: the average is right on {percent(tested.value)} of "
                    f"{tested.n:,} test texts ({100 * low:.1f} - {100 * high:.1f}, majority "
                    f"{percent(tested.majority_baseline)})"
                )
            self.record.rounds = [*self.history.rounds, result.to_record()]
            self._save()

        return test_and_save

    def _tested(self, server: ProtocolServer, number: int) -> Accuracy | None:
        """How the server's model does after a round, if that is to be tested."""
        config = self.plan.config
        if not config.tested_by_clients:
            return tested_model(self.plan, server, number)
        if not config.test_every or number % config.test_every or server.model() is None:
            return None
        name, testers = f"round {number}", range(config.clients)
        tested = self._tests.test(name, {name: server.products()["aggregated"]}, testers)
        return pooled(tested[name])

    def _measure(self) -> None:
        """Bytes, time and memory until now."""
        self.record.ledger = ledger(self.history.transcript, self.plan.fp32_model_bytes())
        self._memory.sample()
        seconds = time.monotonic() - self._clock + self._earlier.get("wall_seconds", 0.0)
        self.record.provenance |= {
            "wall_seconds": round(seconds, 3),
            "peak_memory_bytes": max(self._memory.bytes, self._earlier.get("peak_memory_bytes", 0)),
        }

    def _save(self) -> None:
        if self.record.status != "completed":  # of which a report is there already
            self._measure()
        self.record.write(self.out / RECORD)


def describe_data(plan: Plan, names: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The data of a run; of sites no more than their names, whose order is that of partitions."""
    dataset = plan.federated.dataset
    if not plan.config.of_sites:
        return describe_dataset(dataset)
    told = list(plan.sites or ()) if names is None else [names[pid] for pid in sorted(names)]
    return {"source": dataset.source, "classes": list(dataset.classes), "sites": told}


def describe_start(plan: Plan) -> dict[str, Any]:
    """What is said of a published model; nothing of others."""
    return {"model_notes": list(plan.model_notes)} if plan.model_notes else {}


def describe_public(federated: FederatedDataset) -> dict[str, Any]:
    """Which texts server and clients share; nothing without any."""
    public = federated.public
    if public is None:
        return {}
    return {
        "public_texts": {
            "name": public.name, "texts": len(public.rows), "sha256": public.sha256
        }
    }  # fmt: skip


def describe_shards(federated: FederatedDataset) -> dict[str, Any]:
    """Clients that were topped up, and examples of each class by client; of many the sizes."""
    if isinstance(federated.config, SiteOptions) and federated.config.of_sites:
        return {}
    return {"topped_up_clients": federated.topped_up} | _describe_sizes(federated)


def _describe_sizes(federated: FederatedDataset) -> dict[str, Any]:
    if len(federated.parts) <= MOST_COUNTED:
        return {"label_counts": federated.label_counts()}
    sizes = sorted(len(part) for part in federated.parts)
    return {"shard_sizes": {"min": sizes[0], "median": sizes[len(sizes) // 2], "max": sizes[-1]}}


def _earlier_provenance(out: Path) -> Mapping[str, Any]:
    """Times and memory of the attempt that is taken up; empty for a fresh run."""
    try:
        provenance = read_record(out / RECORD).get("provenance", {})
    except OutputError:
        return {}
    return provenance if isinstance(provenance, dict) else {}
