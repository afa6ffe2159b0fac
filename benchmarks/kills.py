"""Whether a killed run loses anything: 60 kills at random moments, each followed by a resume.

Every run is started by one and the same command, ``run_fed.py --resume FOLDER`` with its options.
All its processes are killed at a moment drawn uniformly over the time that the undisturbed run
takes, and the command is given again, until a run ends. Its record (all but times, memory and
machine), the payloads of its transcript and the other files that it leaves must then be those of
the undisturbed run. Prints a table; the exit status is 1 on any difference.

The moments are drawn from named generators: the same in every series, in seconds.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fedseed.cli.exit_status import run_main
from fedseed.errors import RunError
from fedseed.randomness import generator
from fedseed.results.folder import OPTIONS, RECORD, REPORT, TRANSCRIPT
from fedseed.runs.model_folder import FOLDER

KILLS, QUICK_KILLS = 60, 6
_FLEETING = {"seconds", "started", "wall_seconds", "peak_memory_bytes", "machine"}
_SCRIPT = Path(__file__).resolve().parents[1] / "simulations" / "run_fed.py"
_GOOD, _BAD = ("wonderful", "great", "loved", "superb"), ("awful", "boring", "hated", "terrible")
_NEUTRAL = ("film", "actor", "scene", "plot", "music", "camera", "story", "very")
_TEXTS = 300
_SMALL: Mapping[str, Any] = {
    "clients": 3, "newcomers": 1, "rounds": 4, "steps": 30, "drop_rate": 0.2,
    "participants_test_examples": 20,
}  # fmt: skip
PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    "recipe": {"protocol": "recipe", "start": "random"},
    "words, then recipe": {"protocol": "recipe", "start": "lexicon", "words": 40},
    "weights int8": {"protocol": "weights", "codec": "int8", "test_every": 1},
    "labels": {
        "protocol": "labels", "public": "reviews:80", "distil_steps": 4, "test_every": 2,
    },
}  # fmt: skip
PHASES = ("no folder yet", "nothing saved yet", "training", "tests", "after the tests", "complete")


def write_inputs(folder: Path) -> dict[str, Any]:
    """Write a data set of short reviews and a recipe; returns the options of a run with them."""
    rng = generator(0, "kills/texts")
    texts: dict[str, str] = {}
    while len(texts) < _TEXTS:
        label = ("positive", "negative")[len(texts) % 2]
        telling = rng.choice(_GOOD if label == "positive" else _BAD, 2)
        words = rng.permutation([*rng.choice(_NEUTRAL, 6), *telling])
        texts.setdefault(" ".join(map(str, words)), label)
    lines = [f"{text},{label}" for text, label in texts.items()]
    (folder / "reviews.csv").write_text("\n".join(["review,sentiment", *lines]) + "\n")
    (folder / "recipe.toml").write_text("steps = 3\nbatch_size = 8\nmax_length = 16\n")
    return {**_SMALL, "data": folder / "reviews.csv", "recipe": folder / "recipe.toml"}


@dataclass(frozen=True)
class Outcome:
    """What a run leaves, without what differs from run to run."""

    record: Any
    payloads: dict[str, Any]
    """Every exchange by phase, group and partition."""
    files: dict[str, str]
    """sha256 of every other file by name; those with times in them are only named."""

    @classmethod
    def of(cls, folder: Path) -> "Outcome":
        """Read a finished run."""
        record = json.loads((folder / RECORD).read_text())
        lines = (folder / TRANSCRIPT).read_text().splitlines()
        exchanges = [json.loads(line) for line in lines]
        names = ("phase", "group", "partition_id")
        payloads = {"/".join(str(e[name]) for name in names): e for e in exchanges}
        if len(payloads) < len(exchanges):
            payloads["twice"] = len(exchanges)
        named_only = (RECORD, TRANSCRIPT, REPORT)  # what they hold has times in it
        files = {
            str(path.relative_to(folder)): ""
            if path.is_dir() or path.name in named_only
            else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted([*folder.iterdir(), *(folder / FOLDER).glob("*")])
        }
        return cls(_lasting(record), payloads, files)

    def differences(self, other: "Outcome") -> list[str]:
        """Where two outcomes differ, as paths."""
        return [
            *_differences(self.record, other.record, "record"),
            *_differences(self.payloads, other.payloads, "transcript"),
            *_differences(self.files, other.files, "files"),
        ]


def _lasting(record: Any) -> Any:
    """A record without times, memory and machine."""
    if isinstance(record, dict):
        return {name: _lasting(value) for name, value in record.items() if name not in _FLEETING}
    return [_lasting(value) for value in record] if isinstance(record, list) else record


def _differences(one: Any, other: Any, where: str) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(one.keys() | other.keys())
        parts = [_differences(one.get(n), other.get(n), f"{where}/{n}") for n in names]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        parts = [_differences(a, b, f"{where}/{place}") for place, (a, b) in pairs]
    else:
        return [] if one == other else [where]
    return [difference for part in parts for difference in part]


def phase_of(folder: Path) -> str:
    """How far a run is, by what it has saved."""
    if not (folder / OPTIONS).exists() and not (folder / RECORD).exists():
        return PHASES[0]
    if not (folder / RECORD).exists():
        return PHASES[1]
    record = json.loads((folder / RECORD).read_text())
    if record["status"] == "completed":
        return PHASES[5]
    transcript = folder / TRANSCRIPT
    text = transcript.read_text() if transcript.exists() else ""
    if text.count('"phase": "train"') < record["config"]["rounds"] * record["config"]["clients"]:
        return PHASES[2]
    tests = 2 * (record["config"]["clients"] + record["config"]["newcomers"])
    return PHASES[3] if text.count('"phase": "evaluate"') < tests else PHASES[4]


@dataclass
class Series:
    """Runs of one protocol with one number of workers, killed and resumed."""

    name: str
    workers: int
    words: list[str]
    seconds: float
    """What the undisturbed run takes."""
    expected: Outcome
    kills: int = 0
    runs: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def run(self, folder: Path, kills: int) -> None:
        """Kill and resume one run in a folder until it ends, with so many kills at most."""
        self.runs += 1
        rng = generator(self.runs, f"kills/{self.name}/{self.workers}")
        while True:
            moment = rng.uniform(0, self.seconds) if kills else None
            if run_for(self.words, folder, moment):
                break
            kills -= 1
            self.kills += 1
            phase = phase_of(folder)
            self.phases[phase] += 1
            if phase == PHASES[5]:
                break
        outcome = Outcome.of(folder)
        self.differences += [
            f"{folder.name}: {difference}" for difference in self.expected.differences(outcome)
        ]


def run_for(words: list[str], folder: Path, moment: float | None = None) -> bool:
    """Start or resume a run, and kill all its processes at a moment, in seconds from its start.

    Returns:
        Whether it ended by itself.

    Raises:
        RunError: it ended with an error.
    """
    with tempfile.TemporaryFile() as output, subprocess.Popen(
        [*words, "--resume", str(folder)], stdout=output, stderr=output, start_new_session=True
    ) as process:  # fmt: skip
        try:
            status = process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False
        output.seek(0)
        if status != 0:
            says = output.read().decode(errors="replace")
            raise RunError(f"{folder.name} ended with status {status}: {says[-2000:]}")
    return True


def kill_runs(kills: int, folder: Path, console: Console) -> list[Series]:
    """Kill and resume runs of every protocol, with 1 and 2 workers.

    Args:
        kills: how many in all; split evenly between the protocols and numbers of workers.
        folder: an empty folder, for inputs and runs.
        console: gets a line for every run.
    """
    inputs = write_inputs(folder)
    combinations = [
        (name, 1 + (place + turn) % 2) for turn in (0, 1) for place, name in enumerate(PROTOCOLS)
    ][:kills]
    undisturbed: dict[str, tuple[float, Outcome]] = {}
    series = []
    for place, (name, workers) in enumerate(combinations):
        options = {**inputs, **PROTOCOLS[name], "workers": workers}
        flags = [w for n, v in options.items() for w in (f"--{n.replace('_', '-')}", str(v))]
        words = [sys.executable, str(_SCRIPT), "--quiet", *flags]
        stem = f"{name.replace(' ', '-')}-{workers}"
        if name not in undisturbed:
            started, path = time.monotonic(), folder / f"{stem}-undisturbed"
            run_for(words, path)
            undisturbed[name] = time.monotonic() - started, Outcome.of(path)
        one = Series(name, workers, words, *undisturbed[name])
        quota = kills // len(combinations) + (place < kills % len(combinations))
        while one.kills < quota:
            one.run(folder / f"{stem}-{one.runs + 1}", quota - one.kills)
            console.print(f"{stem}: run {one.runs} ended, {one.kills} of {quota} kills")
        series.append(one)
    return series


def show(series: list[Series], console: Console) -> None:
    """Print what was killed when, and what differed."""
    table = Table(title="Kills by what the run was at, and runs that ended otherwise")
    for heading in ("protocol", "workers", "runs", "kills", *PHASES, "differences"):
        table.add_column(heading, justify="left" if heading == "protocol" else "right")
    for one in series:
        counts = [str(one.phases[phase]) for phase in PHASES]
        table.add_row(
            one.name, str(one.workers), str(one.runs), str(one.kills), *counts,
            str(len(one.differences)),
        )  # fmt: skip
    console.print(table)
    for difference in [line for one in series for line in one.differences]:
        console.print(difference, markup=False)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="6 kills instead of 60.")] = False,
    kills: Annotated[int | None, typer.Option(min=1, help="Kills in all.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Folder in which the runs stay, for a look at them.")
    ] = None,
) -> None:
    """Kill runs at random moments, resume them, and compare how they end."""
    console = Console(width=140)
    count = kills or (QUICK_KILLS if quick else KILLS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["FEDSEED_CACHE"] = str(folder / "cache")
        series = kill_runs(count, folder, console)
        show(series, console)
    if any(one.differences for one in series):
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(run_main(main))
