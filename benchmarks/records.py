"""Which official records are stale, and how each is made again.

``python -m benchmarks.records`` lists them; ``--quick`` runs the command of one record of every
kind in a small version, and checks that it ends with a record of that kind and today's schema.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedseed.config import RunConfig
from fedseed.results.pages.repeat import asked_options, command_line
from fedseed.results.record import SCHEMA, read_as_written, read_record
from fedseed.studies import find_studies

ROOT = Path(__file__).parents[1]
OFFICIAL = ROOT / "results" / "official"
DECIDING = (
    "attacks", "coding", "config.py", "data", "evaluation", "federation", "given_recipe.py",
    "linear", "models", "privacy", "protocols", "recipe.py", "recipe_search", "runs", "seeds",
    "training",
)  # fmt: skip
"""Rooms of the package that decide what a record says; a study's own folder beside them."""
_OTHERS = {
    "benchmark": "python benchmarks/simulation.py",
    "grow": "fedseed grow results/official/federated-seed0/film-reviews.fseed --data "
    "bundled:sentences --out results/official/grown-sentences",
}
"""Commands of records that are of no run and no study."""
LIMIT = 900
"""Seconds for one small run."""


@dataclass(frozen=True)
class Official:
    """One record, and what has happened since it was made."""

    name: str
    kind: str
    schema: int
    commit: str
    changes: int | None
    """Commits since that touched what decides its figures; None where its commit is unknown."""
    table: str
    """Whether today's code makes its table of the record: yes, no, or - without a table."""
    command: str
    """How it is made again; empty where it cannot be told."""

    @property
    def stale(self) -> str:
        """Why it should be made again, in a word or two; empty where nothing says so."""
        reasons = [f"schema {self.schema}"] if self.schema < SCHEMA else []
        reasons += ["table"] if self.table == "no" else []
        if self.changes is None:
            reasons.append("commit unknown")
        elif self.changes:
            reasons.append(f"{self.changes} commit(s)")
        return ", ".join(reasons)


def records() -> Iterator[Official]:
    """All official records, by name."""
    for path in sorted(OFFICIAL.glob("*/record.json")):
        record, schema = read_record(path), read_as_written(path)["schema"]
        kind, commit = record["kind"], record["provenance"].get("commit") or ""
        yield Official(
            path.parent.name, kind, schema, commit[:9], changes_since(commit, kind),
            table_agrees(path, record), command_of(path.parent.name, record),
        )  # fmt: skip


def changes_since(commit: str, kind: str) -> int | None:
    """Commits after one that touched what decides the figures of a kind of record."""
    folders = [f"fedseed/{room}" for room in DECIDING]
    folders += [f"fedseed/studies/{kind}"] if kind in find_studies() else []
    words = ["git", "-C", str(ROOT), "rev-list", "--count", f"{commit}..HEAD", "--", *folders]
    done = subprocess.run(words, capture_output=True, text=True)
    return int(done.stdout) if commit and done.returncode == 0 else None


def table_agrees(path: Path, record: Mapping[str, Any]) -> str:
    """Whether the table beside a record is what today's code makes of it."""
    table, study = path.parent / "table.md", find_studies().get(record["kind"])
    if study is None or not table.is_file():
        return "-"
    return "yes" if study.make_table(record) == table.read_text(encoding="utf-8") else "no"


def command_of(name: str, record: Mapping[str, Any]) -> str:
    """The command that makes a record again; empty where today's options do not fit it."""
    kind, out = record["kind"], f" --out results/official/{name}"
    study = find_studies().get(kind)
    if kind == "federated":
        options: Any = RunConfig
    elif study is not None:
        options = study.options_class
    else:
        return _OTHERS.get(kind, "")
    classes = record["provenance"].get("dataset", {}).get("classes")
    asked = asked_options(options, record["config"], None if classes is None else len(classes))
    script = "fed" if kind == "federated" else kind
    if asked is None:
        return ""
    return command_line(f"python simulations/run_{script}.py", asked) + out


def listed(found: list[Official], console: Console) -> None:
    """Print all records, the stale ones with their reasons, and the commands of those."""
    table = Table(title=f"{len(found)} official records", title_justify="left")
    for head in ("record", "kind", "commit", "table", "stale by"):
        table.add_column(head, no_wrap=head != "stale by")
    for one in found:
        table.add_row(one.name, one.kind, one.commit or "-", one.table, one.stale or "-")
    console.print(table)
    for one in found:
        if one.stale:
            line = one.command or f"{one.name}: its options are not today's, see its record"
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(f"{sum(bool(one.stale) for one in found)} of {len(found)} are stale")


def tried(found: list[Official]) -> int:
    """Run a small version of one record of every kind; returns how many failed."""
    failed = 0
    firsts = {one.kind: one for one in reversed(found) if one.command.startswith("python sim")}
    for kind, one in sorted(firsts.items()):
        began = time.monotonic()
        problem = _try(one)
        failed += bool(problem)
        print(f"{kind}: {problem or 'ok'} ({time.monotonic() - began:.0f} s)", flush=True)
    return failed


def _try(one: Official) -> str:
    """What is wrong with the small version of a record; empty when nothing is."""
    with tempfile.TemporaryDirectory(prefix="fedseed-") as temporary:
        out = Path(temporary) / "out"
        words = shlex.split(one.command.partition(" --out ")[0])
        words = [sys.executable, words[1], "--quick", "--out", str(out)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=LIMIT)
        if done.returncode:
            return f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
        record = json.loads((out / "record.json").read_text(encoding="utf-8"))
        if (record["schema"], record["kind"], record["status"]) != (SCHEMA, one.kind, "completed"):
            return f"its record is {record['kind']}, schema {record['schema']}, {record['status']}"
        return "" if (out / "report.html").is_file() else "it wrote no report.html"


def main() -> int:
    """List the records, or try their commands; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run a small version of each kind")
    found = list(records())
    if parser.parse_args().quick:
        return 1 if tried(found) else 0
    listed(found, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
