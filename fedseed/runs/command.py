"""The federated run as a command: folder, display, study, tables, figure."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from fedseed.config import RunConfig
from fedseed.data.partition import label_counts
from fedseed.data.tokens import Dataset
from fedseed.errors import OutputError
from fedseed.evaluation.alone import ALONE
from fedseed.federation.engines import count_workers
from fedseed.results.class_counts import class_balance, plan_table
from fedseed.results.display import Display, Workload
from fedseed.results.folder import REPORT, STATE, default_folder, is_begun
from fedseed.results.live import make_display
from fedseed.results.table import summary
from fedseed.results.tensorboard import ForTensorBoard
from fedseed.runs.by_clients import can_be_alone
from fedseed.runs.model_folder import FOLDER
from fedseed.runs.plan import Plan, make_plan
from fedseed.runs.plan_object import plan_object
from fedseed.runs.resume import Begun, find_run, goes_on, run_folder
from fedseed.runs.unchanged import refuse_changes

KIND = "federated"
_EXAMPLES_PER_STEP = 96
"""Test examples that cost about as much as one training step of 32."""


def run_command(
    options: Mapping[str, Any],
    out: str | None,
    resume: str | None,
    dry_run: bool,
    quiet: bool,
    console: Console,
    as_json: bool = False,
    tensorboard: str | None = None,
) -> None:
    """Run, resume or only plan a federated run.

    Args:
        options: values for RunConfig, by option name.
        out: the output folder; a new one below results/scratch when None.
        resume: the folder of an interrupted run, in which a run with these options begins when
            there is none; None to begin a run in any case.
        dry_run: print the plan and stop.
        quiet: print only the final table.
        console: where to print.
        as_json: print the plan as one JSON object.
        tensorboard: a folder for files that TensorBoard reads.

    Raises:
        FedseedError: see there.
    """
    display = make_display(quiet or as_json, console)
    if tensorboard is not None and not dry_run:
        display = ForTensorBoard(display, Path(tensorboard))
    folder = Path(resume or out or default_folder(KIND))
    try:
        if dry_run:
            begun = Begun(dict(options))
            if resume is not None and goes_on(folder, options, RunConfig):
                begun = find_run(folder, KIND, options, RunConfig)
            plan = _planned(begun, folder, display)
            if as_json:
                print(json.dumps(plan_object(plan)))
            else:
                _print_plan(plan, console)
            return
        record = _run_in_folder(folder, options, resume is not None, display)
    finally:
        display.stop()
    console.print(summary(record, brief=True), highlight=False, soft_wrap=True)
    for line in _what_next(folder):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _what_next(folder: Path) -> list[str]:
    """Where everything is, and three things to try."""
    has_model = (folder / FOLDER).is_dir()
    knows = has_model or (folder / "lexicon.fseed").is_file()
    pack = f"  fedseed package {folder} --out NAME.fseed      # one file, for others to grow from"
    return [
        f"all rows: fedseed show {folder}", f"report: {folder / REPORT}",
        *([f"model: {folder / FOLDER}"] if has_model else []),
        "next:", *([pack] if knows else []),
        "  fedseed run --data YOUR.csv --dry-run        # what is understood of your own texts",
        "  fedseed run --protocol weights --codec int8  # another protocol; fedseed protocols",
    ]  # fmt: skip


def _run_in_folder(
    folder: Path, options: Mapping[str, Any], resume: bool, display: Display
) -> dict[str, Any]:
    try:
        with run_folder(folder, KIND, options, RunConfig, resume) as begun:
            plan = _planned(begun, folder, display)
            compute, workers = plan.compute, count_workers(plan.config)
            display.phase(
                f"{compute.precision} on {compute.device}, {workers} worker(s), writing to {folder}"
            )
            return run_plan(plan, folder, display)
    except KeyboardInterrupt:
        if is_begun(folder):
            print(f"interrupted: go on with --resume {folder}", file=sys.stderr)
        raise


def run_plan(plan: Plan, folder: Path, display: Display) -> dict[str, Any]:
    """Run a plan, or what is left of it, in a folder that is locked for it; returns the record.

    Raises:
        RunError: too few clients replied.
        OutputError: the folder cannot be written, or what it holds is damaged.
    """
    from fedseed.runs.federated import RecordedRun

    run = RecordedRun(plan, folder, display, plan.config.engine)
    workload = make_workload(plan)
    workload.resume(list(run.history.transcript))
    display.start(workload)
    return run.run().to_dict()


def make_workload(plan: Plan) -> Workload:
    """How much work a plan is, for the time left."""
    config, federated = plan.config, plan.federated
    people = config.cohort_size + config.newcomers
    if config.tested_by_clients:
        examples = sum(len(federated.test_rows(pid)) for pid in range(people))
    else:
        examples = config.cohort_size * len(federated.test_rows(0)) + config.newcomers * len(
            federated.test_rows()
        )
    test = examples / people / _EXAMPLES_PER_STEP
    work = {"given": plan.given.steps + test, "aggregated": config.steps + test}
    if config.tested_by_clients:
        every = config.test_every or config.rounds + 1
        rounds = [f"round {number}" for number in range(every, config.rounds + 1, every)]
        work |= dict.fromkeys([*rounds, *([ALONE] if can_be_alone(config) else [])], test)
        if config.secure_aggregation:  # which has them tested together
            work["products"] = sum(work.pop(name) for name in ("given", "aggregated"))
    return Workload(config.steps, config.rounds, config.cohort_size, people, work)


def _planned(begun: Begun, folder: Path, display: Display) -> Plan:
    """The plan of a run; of one that has saved something only if all is as it was."""
    config, record = RunConfig.parse(begun.options), begun.record
    if record is None:
        return make_plan(config, display.tokenising)
    engines = {config.engine, record["provenance"]["machine"]["engine"]}
    if engines != {"local"}:
        raise OutputError(
            "--resume works for runs of the local engine: others keep their clients' state "
            "elsewhere; start the run again"
        )
    plan = make_plan(config, display.tokenising)
    refuse_changes(plan, record)
    if list((folder / STATE).glob("*.bin")):
        raise OutputError("--resume: an older version of fedseed began the run: start it again")
    return plan


def _about_server_test(own: Dataset) -> list[str]:
    [counts] = label_counts(own.table.labels, [own.test], own.labels)
    balance = class_balance(counts, own.classes)
    said = f"the server's own, to test on: {balance}"
    return [f"data: {line}" for line in (said, *own.notes)]


def _print_plan(plan: Plan, console: Console) -> None:
    config, dataset, own = plan.config, plan.federated.dataset, plan.server_test
    counts = plan.federated.label_counts()
    console.print(plan_table(counts, dataset.classes, config.clients, console.width))
    estimate = plan.server().payload_estimate()
    cohort = config.cohort_size
    down = cohort * (estimate["down_first"] + (config.rounds - 1) * estimate["down_later"])
    up = cohort * config.rounds * estimate["up"]
    steps = cohort * config.rounds * config.steps
    tests = (cohort + config.newcomers) * (plan.given.steps + config.steps)
    tested = sum(map(len, plan.federated.tests or [plan.federated.test_rows()]))
    for line in (
        f"data: {dataset.source}, {len(dataset.train):,} training and {tested:,} test examples, "
        f"{dataset.duplicates_dropped} duplicates dropped, {dataset.empty_dropped} empty",
        *(f"data: {note}" for note in dataset.notes),
        *([] if own is None else _about_server_test(own)),
        f"model: {plan.seed.model}, seed of kind {plan.seed.kind}, {len(plan.encoded_seed)} bytes",
        *plan.model_notes,
        f"rounds: {config.rounds} of {cohort} clients, {config.steps} steps each: "
        f"{steps:,} steps, and {tests:,} for testing",
        f"estimated payload: {down:,} bytes down, {up:,} up in all; a client gets "
        f"{estimate['down_first']} in round 1, {estimate['down_later']} later, sends "
        f"{estimate['up']}",
        f"weights in fp32 would be {plan.fp32_model_bytes():,} bytes each way",
        *(f"warning: {warning}" for warning in plan.warnings),
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for name, value in config.for_record().items():
        line = f"  {name.replace('_', '-')} = {value}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
