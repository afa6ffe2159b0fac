"""Faults drawn at random in a deployment on one machine, and how each study ends.

``python examples/deployment/faults.py --faults 30`` brings up a SuperLink and three SuperNodes,
and then runs a small study for each fault. What is broken is put right again, and a study that
did not complete is submitted again with the same folder.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import texts
from cluster import Cell, Cluster
from processes import wait_until
from run import APP, say
from simulation import simulate_sites
from strikes import CLIENT, EARLY, KINDS, LATE, SERVER, Strikes
from verdicts import Attempt, Verdict, differences, ended_line, judge, progress

COMMON: dict[str, Cell] = {
    "data": "sites", "clients": 3, "newcomers": 0, "max-length": 32, "smallest-site": 20,
}  # fmt: skip
COUNTS: dict[str, Cell] = {
    "protocol": "lexicon", "estimate": "counts", "rounds": 1, "classes": "negative,positive",
}  # fmt: skip
SUMMED: dict[str, Cell] = {"secure-aggregation": True, "threshold": 3}
NOISED: dict[str, Cell] = {"privacy": "example", "epsilon": 4.0}
STUDIES: dict[str, dict[str, Cell]] = {
    "counts": COMMON | COUNTS,
    "weights": COMMON | {"protocol": "weights", "codec": "int8", "rounds": 2, "steps": 3},
    "counts noised": COMMON | COUNTS | NOISED,
    "counts summed": COMMON | COUNTS | SUMMED,
    "counts summed and noised": COMMON | COUNTS | SUMMED | NOISED,
}
STAGES = {
    "before the rounds": (1, 8.0), "in a round": (2, 10.0), "after a round": (3, 0.0),
    "in the tests": (4, 8.0),
}  # fmt: skip
"""How far a study is by then, and the most seconds from there to the fault."""
RESUMES = 3
TABLE_TEXTS = 60


@dataclass(frozen=True)
class Fault:
    """One fault, as it was drawn."""

    number: int
    study: str
    kind: str
    node: int
    stage: str
    wait: float
    """Seconds from the stage to the fault; of a node that is late, from the submission on."""

    @property
    def words(self) -> str:
        """Which fault it is, in a line."""
        where = "the server" if self.kind in SERVER else f"node {self.node}"
        return f"{self.number}: {self.study}; {self.kind}; {where}; {self.stage}"


def draw(count: int, seed: int, kinds: list[str], studies: list[str]) -> list[Fault]:
    """Draw faults; every kind comes up before one comes up again."""
    rng = random.Random(seed)
    faults: list[Fault] = []
    while len(faults) < count:
        for kind in rng.sample(kinds, len(kinds)):
            stage = EARLY if kind == LATE else rng.choice(list(STAGES))
            wait = rng.uniform(3.0, 40.0) if kind == LATE else rng.uniform(0.0, STAGES[stage][1])
            study, node = rng.choice(studies), rng.randrange(3)
            faults.append(Fault(len(faults) + 1, study, kind, node, stage, wait))
    return faults[:count]


class Drill:
    """A deployment in which one study after the other is disturbed."""

    def __init__(self, cluster: Cluster, folder: Path, tables: list[Path], limit: float) -> None:
        """Take a running cluster.

        Args:
            cluster: whose nodes keep their states below ``folder``.
            folder: gets a folder for each study.
            tables: the file of each node's texts.
            limit: seconds for one attempt at a study.
        """
        self.cluster, self.folder, self.limit = cluster, folder, limit
        self._strikes = Strikes(cluster, tables)
        self._references: dict[str, Path] = {}

    def reference(self, study: str) -> Path | None:
        """The record of a study that nothing disturbs; None where noise makes each another.

        Raises:
            RuntimeError: not even that completes, or it ends otherwise than in a simulation.
        """
        if "privacy" in STUDIES[study]:
            return None
        if study not in self._references:
            folder = self.folder / f"undisturbed-{study.replace(' ', '-')}"
            began = time.monotonic()
            attempt = self._finish(self._submit(study, folder), folder)
            if not attempt.completed:
                raise RuntimeError(f"'{study}' does not complete: {ended_line(attempt)}")
            seconds, record = time.monotonic() - began, folder / "record.json"
            simulated = self.folder / f"simulated-{study.replace(' ', '-')}"
            other = simulate_sites(STUDIES[study], self.folder / "sites", simulated)
            if unlike := differences(record, other):
                raise RuntimeError(f"'{study}' is not as in a simulation: {'; '.join(unlike)}")
            say(f"'{study}' without a fault takes {seconds:.0f} s, and ends as in a simulation")
            self._references[study] = record
        return self._references[study]

    def suffer(self, fault: Fault) -> Verdict:
        """Run a study with a fault, and go on with it until it completes or cannot."""
        options, folder = STUDIES[fault.study], self.folder / f"fault-{fault.number}"
        reference = self.reference(fault.study)
        if fault.kind == LATE:
            self.cluster.stop_node(fault.node)
        run_id = self._submit(fault.study, folder)
        reached = self._wait_for(fault, folder)
        struck = self._strikes.strike(fault.kind, fault.node)
        attempts = [self._finish(run_id, folder)]
        self._strikes.put_back()
        while not attempts[-1].final and len(attempts) <= RESUMES:
            attempts.append(self._finish(self._submit(fault.study, folder), folder))
            if not attempts[-1].completed and attempts[-1].reason == attempts[-2].reason:
                break
        verdict = judge(
            attempts, folder, self.folder / "states", reference, options, fault.kind in SERVER
        )
        return verdict if reached and struck else verdict.but("the fault came to nothing")

    def _wait_for(self, fault: Fault, folder: Path) -> bool:
        """Wait until the fault is due; False when the study is not so far in time."""
        far = True
        if fault.kind != LATE:
            least, rounds = STAGES[fault.stage][0], int(STUDIES[fault.study]["rounds"])
            states = self.folder / "states"
            try:
                wait_until(
                    lambda: progress(folder, states, rounds) >= least, self.limit, fault.stage
                )
            except TimeoutError:
                far = False
        if fault.kind != CLIENT:  # whose next process is the one to be killed
            time.sleep(fault.wait)
        return far

    def _submit(self, study: str, folder: Path) -> int:
        return self.cluster.submit(APP, STUDIES[study] | {"folder": str(folder)})

    def _finish(self, run_id: int, folder: Path) -> Attempt:
        """Wait until a run and its ServerApp have ended; stop it when it does not."""
        end = time.monotonic() + self.limit
        while time.monotonic() < end:
            if not self.cluster.processes.find("superlink", "flwr-serverapp"):
                run = self.cluster.look(run_id)
                if run.status.startswith("finished"):
                    return Attempt.of(run, folder)
            time.sleep(1.0)
        run = self.cluster.look(run_id)
        self.cluster.flwr("stop", str(run_id), "cluster")
        return Attempt.of(run, folder, hung=True)


def main() -> int:
    """Drill a deployment; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # The deployment has to end with this.
    arguments = _arguments()
    faults = draw(arguments.faults, arguments.seed, arguments.kinds, arguments.studies)
    faults = faults[arguments.after :]
    with tempfile.TemporaryDirectory(prefix="fedseed-") as temporary:
        folder = Path(arguments.out or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        configs, tables = _sites(folder)
        link = folder / "flower"
        link.mkdir()
        with Cluster(link, configs) as cluster:
            say(f"the deployment is up; {len(faults)} faults are drawn from seed {arguments.seed}")
            drill = Drill(cluster, folder, tables, arguments.limit)
            failed = _suffer_all(drill, faults, folder / "faults.md")
    print(f"{len(faults) - failed} of {len(faults)} faults completed or can go on", flush=True)
    return 1 if failed else 0


def _suffer_all(drill: Drill, faults: list[Fault], table: Path) -> int:
    """Go through the faults, write the table, and return how many failed."""
    failed = 0
    head = "| # | study | kind | node | stage | how it ended | s |\n|--:|---|---|--:|---|---|--:|\n"
    table.write_text(head, encoding="utf-8")
    for fault in faults:
        began = time.monotonic()
        try:
            verdict = drill.suffer(fault)
        except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
            verdict = Verdict(f"FAILED: {' '.join(str(error).split())[:300]}", failed=True)
        seconds = time.monotonic() - began
        failed += verdict.failed
        say(f"{fault.words}: {verdict.words} ({seconds:.0f} s)")
        cells = [fault.number, fault.study, fault.kind, fault.node, fault.stage, verdict.words]
        with table.open("a", encoding="utf-8") as file:
            shown = [str(cell).replace("|", "/") for cell in cells]
            file.write(f"| {' | '.join(shown)} | {seconds:.0f} |\n")
    return failed


def _sites(folder: Path) -> tuple[list[dict[str, Cell]], list[Path]]:
    """Three small sites, whose limits would not let them into every study: those are taken out."""
    texts.SIZES.update(dict.fromkeys(texts.SIZES, TABLE_TEXTS))
    files = texts.write_sites(folder / "sites")
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(("tests", "most-"))]
        file.write_text("".join(kept), encoding="utf-8")
    tables = [_table(file) for file in files]
    return texts.node_configs(files, folder / "states"), tables


def _table(site: Path) -> Path:
    """The file of a site's texts: all that lies beside its site's file."""
    return next(path for path in site.parent.iterdir() if path != site)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=30, help="how many")
    parser.add_argument("--after", type=int, default=0, help="go on after so many of them")
    parser.add_argument("--seed", type=int, default=0, help="they are drawn from it")
    parser.add_argument("--out", help="a new folder that stays; a temporary one without it")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for one attempt")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
