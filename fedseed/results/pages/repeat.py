"""How to repeat what a record is of: its command line, with what is not at its default alone."""

import shlex
from collections.abc import Mapping
from typing import Any

from fedseed.config import RunConfig
from fedseed.data.site_options import is_of_sites
from fedseed.errors import ConfigError
from fedseed.options import Options
from fedseed.privacy.budget import DELTA
from fedseed.results.report.blocks import Block, Command, Paragraph

_GIVEN = "given_recipe"
"""In the options of a run's record, and no option."""
_DEPLOYMENT = "deployment"
RUN = "fedseed run"
"""The command of a federated run."""


def asked_options(
    options: type[Options], config: Mapping[str, Any], classes: int | None = None
) -> dict[str, Any] | None:
    """The fewest options that come down to those of a record.

    Args:
        options: which options there are.
        config: those of the record, by name.
        classes: of the data, on which some defaults of a run depend.

    Returns:
        Option values by name, in the order of the record; None where this version of fedseed does
        not take the record's, or lacks the package that brought its protocol.
    """
    known = options.option_names()
    asked = {n: v for n, v in config.items() if n in known and v is not None}
    wanted = _resolved(options, asked, config, classes)
    if wanted is None or any(config[name] is not None for name in config.keys() - known - {_GIVEN}):
        return None
    # How many sites there are by default depends on the folder, and a page on its record alone.
    on_disk = {"clients"} if is_of_sites(str(config.get("data"))) else set()
    for name in [name for name in asked if name not in on_disk]:
        fewer = {n: v for n, v in asked.items() if n != name}
        if _resolved(options, fewer, config, classes) == wanted:
            asked = fewer
    return asked


def _resolved(
    options: type[Options], values: Mapping[str, Any], config: Mapping[str, Any],
    classes: int | None,
) -> dict[str, Any] | None:  # fmt: skip
    """What a run with some options would record of them; None where they do not fit together."""
    try:
        made = options.parse(values).with_quick()
        if isinstance(made, RunConfig):
            made = _as_planned(made, config, classes)
    except ConfigError:
        return None
    return made.for_record()


def _as_planned(run: RunConfig, config: Mapping[str, Any], classes: int | None) -> RunConfig:
    """A run's options as its plan resolves them, where the record tells how.

    See :func:`fedseed.runs.plan.make_plan`.
    """
    if classes is not None:
        run = run.for_classes(classes)
    length = run.length if run.recipe is None else config.get(_GIVEN, {}).get("max_length")
    changes: dict[str, Any] = {"max_length": run.max_length or length}
    if run.start == "auto":
        changes["start"] = run.resolved_start
    if run.privacy is not None and run.delta is None:
        changes["delta"] = DELTA
    if run.seed_file is not None:
        changes["model"] = config.get("model")
    return run.replace(**changes)


def command_line(script: str, asked: Mapping[str, Any]) -> str:
    """Words for a shell: a script and its options.

    Args:
        script: what is run.
        asked: see :func:`asked_options`.
    """
    words = script.split()
    for name, value in asked.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif str(value).startswith("-"):
            words.append(f"{flag}={value}")
        else:
            words += [flag, str(value)]
    return shlex.join(words)


def repeat_blocks(record: Mapping[str, Any], options: type[Options], script: str) -> list[Block]:
    """What a report says of how to do it again.

    Args:
        record: of a run or a study.
        options: which options its command has.
        script: the command.
    """
    config, provenance = record["config"], record["provenance"]
    classes = provenance.get("dataset", {}).get("classes")
    asked = asked_options(options, config, None if classes is None else len(classes))
    if asked is None:
        return [Paragraph(
            "This version of fedseed does not take the options of the record as they are: the "
            f"command was {script}, with the options listed below."
        )]  # fmt: skip
    engine = provenance.get("machine", {}).get("engine", "local")
    if engine == _DEPLOYMENT:
        return _deployment(asked)
    if engine != "local":
        asked["engine"] = engine
    lines = [
        "Options that are not named are at their defaults. The same command gives the same "
        "results, whatever the number of workers, with the versions and kernels of the record; "
        "with others the last digits may differ."
    ]
    if commit := provenance.get("commit"):
        lines.append(f"It was run at commit {commit}.")
    return [Command(command_line(script, asked)), Paragraph(" ".join(lines))]


def _deployment(asked: Mapping[str, Any]) -> list[Block]:
    """The same of a run of real nodes, whose options are Flower's run configuration."""
    words = " ".join(f"{name.replace('_', '-')}={_toml(value)}" for name, value in asked.items())
    return [
        Command(shlex.join(["flwr", "run", "APP", "CONNECTION", "--run-config", words])),
        Paragraph(
            "This was a deployment: each node opened a table of its own. APP is the app's folder, "
            "CONNECTION the name of a connection in Flower's config.toml; docs/deployment.md tells "
            "how nodes are started."
        ),
    ]


def _toml(value: Any) -> str:
    """A value as Flower reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
