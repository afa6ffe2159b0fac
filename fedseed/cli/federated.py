"""The command of a federated run: its flags, and those of the protocol that it names."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import command_of
from fedseed.cli.exit_status import run_app
from fedseed.cli.flags import (
    flags_of,
    flags_of_choices,
    given,
    refuse_two_folders,
    with_flags,
)
from fedseed.config import RunConfig
from fedseed.errors import ConfigError
from fedseed.federation.workers import heavy_imports, start_early
from fedseed.protocols import all_protocols
from fedseed.protocols.start import LEXICON, begins_with_lexicon
from fedseed.results.folder import is_begun


def run_federated(arguments: list[str] | None = None) -> int:
    """Run the command line of a federated run; see :func:`fedseed.cli.exit_status.run_app`.

    Args:
        arguments: the words of the command line; the process's own when None.
    """
    return run_app(make_run(sys.argv[1:] if arguments is None else arguments), arguments)


def make_run(words: list[str]) -> click.Command:
    """``fedseed run``; its help shows the options of the protocol that the words name."""
    flags = [*flags_of(RunConfig), *_protocol_flags(_named_protocol(words))]
    return command_of(with_flags(flags)(_command), "run", _EXAMPLES)


_EXAMPLES = (
    "fedseed run --clients 10",
    "fedseed run --data reviews.csv --dry-run",
    "fedseed run --protocol weights --codec int8 --test-every 1",
    "fedseed run --protocol lexicon --estimate counts --rounds 1 --secure-aggregation "
    "--privacy example --epsilon 4",
    "fedseed run --model minilm --protocol coordinates --max-length 256",
)


def _named_protocol(words: Sequence[str]) -> str:
    """The protocol that a command line names, which decides on the flags that ``--help`` shows."""
    named: str = RunConfig.model_fields["protocol"].default
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--protocol":
            named = following
        elif word.startswith("--protocol="):
            named = word.partition("=")[2]
    return named


def _protocol_flags(name: str) -> list[inspect.Parameter]:
    """Flags of all protocols' options; only those of one protocol are shown by ``--help``."""
    protocols = sorted(all_protocols(), key=lambda protocol: protocol.name != name)
    models = {protocol.name: protocol.options for protocol in protocols}
    shown = [name, LEXICON] if begins_with_lexicon({"protocol": name}) else [name]
    return flags_of_choices("--protocol", models, shown=shown)


_TensorBoard = Annotated[
    str | None,
    typer.Option(
        help="Also write losses, accuracies and bytes by round for TensorBoard, to this folder."
    ),
]


def _command(
    options: Mapping[str, Any],
    config: Annotated[
        str | None,
        typer.Option(help="A TOML file with the same options; the command line wins over it."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder for everything the run writes \\[default: results/scratch/...]."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with the interrupted run in this folder, with its options; it ends with "
            "the same bits as an undisturbed one. Where none began yet, begin it there."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved plan and stop.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the final table.")] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="With --dry-run: print the plan as one JSON object.")
    ] = False,
    tensorboard: _TensorBoard = None,
) -> None:
    """Federated task distillation: one seed, one recipe, many private shards.

    In a first round clients send weighted words, of which the server makes a seed. It
    broadcasts seed and recipes; clients assemble the model, fine-tune it on their own texts
    and send back metrics. The server aggregates recipes, never weights; for comparison,
    --protocol weights is federated averaging.
    """
    values = given(options)
    refuse_two_folders(resume, out)
    read, of_command = _read_toml(config) if config else ({}, {})
    values = read | values
    out = out or of_command.get("out")
    quiet, dry_run = of_command.get("quiet") or quiet, of_command.get("dry_run") or dry_run
    if json_ and not dry_run:
        raise ConfigError("--json prints the plan: give --dry-run as well")
    if resume is None or not is_begun(Path(resume)):  # else the rest of them are in its folder
        RunConfig.parse(values).refuse_without_effect()
    if not dry_run and (resume is not None or _has_workers(values)):
        start_early()
    with heavy_imports():
        from fedseed.runs.command import run_command

    run_command(values, out, resume, dry_run, quiet, make_console(), json_, tensorboard)


def _read_toml(config: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a run from a TOML file, and those of the command itself."""
    kinds = {"out": str, "quiet": bool, "dry_run": bool}
    values = RunConfig.from_toml(Path(config), also=kinds)
    of_command = {name: values.pop(name) for name in kinds if name in values}
    for name, value in of_command.items():
        if not isinstance(value, kinds[name]):
            wanted = "true or false" if kinds[name] is bool else "a folder, in quotes"
            raise ConfigError(f"--config {config}: {name.replace('_', '-')}: write {wanted}")
    return values, of_command


def _has_workers(options: Mapping[str, Any]) -> bool:
    local = options.get("engine", "local") == "local"
    on_cpu = not str(options.get("device", "")).startswith("cuda")
    return local and on_cpu and str(options.get("workers")) != "1"
