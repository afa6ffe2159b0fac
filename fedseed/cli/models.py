"""The commands that hand models on: ``package``, ``grow`` and ``predict``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import command_of
from fedseed.cli.flags import given, make_flag, with_flags
from fedseed.data.options import DataOptions
from fedseed.errors import ConfigError, OutputError

_READING = ("text_column", "label_column", "encoding", "separator", "header")
"""Options of how a table is read."""
_PANEL = "How the table is read"


def make_package(_words: list[str]) -> click.Command:
    """``fedseed package``."""
    return command_of(
        _package, "package", ("fedseed package results/scratch/RUN --out sentiment.fseed",)
    )


def make_grow(_words: list[str]) -> click.Command:
    """``fedseed grow``."""
    flags = [make_flag(name, DataOptions.model_fields[name], _PANEL) for name in _READING]
    return command_of(
        with_flags(flags)(_grow), "grow",
        (
            "fedseed grow sentiment.fseed --data my.csv --out my-model",
            "fedseed grow sentiment.fseed --data my.csv --labels bad=negative,good=positive "
            "--out my-model",
        ),
    )  # fmt: skip


def make_predict(_words: list[str]) -> click.Command:
    """``fedseed predict``."""
    names = [name for name in _READING if name != "label_column"]
    flags = [make_flag(name, DataOptions.model_fields[name], _PANEL) for name in names]
    return command_of(
        with_flags(flags)(_predict), "predict",
        (
            "fedseed predict my-model/model new.csv --out labelled.csv",
            "fedseed predict sentiment.fseed new.csv --out labelled.csv",
        ),
    )  # fmt: skip


def _package(
    run: Annotated[str, typer.Argument(help="Folder of a completed federated run.")],
    out: Annotated[str, typer.Option(help="The file to write.")],
    name: Annotated[
        str | None, typer.Option(help="What the package is called; the folder's name without it.")
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(help="Bytes of the words that are read off a run's weights.", min=100),
    ] = None,
) -> None:
    """Put what a run ends with into one file of kilobytes: seed, recipe, classes, card.

    Whoever has the file and labelled texts makes a model of them: fedseed grow. Of a run that
    ends with weights, what its model says of each word is packed.
    """
    if Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    from fedseed.runs.packaging import package_of_run
    from fedseed.seeds.package import write_package

    package = package_of_run(Path(run), name, max_bytes)
    size, card = write_package(Path(out), package), package.card
    lines = [
        f"{out}: {size:,} bytes, of which the seed has {len(package.seed):,}",
        f"classes: {', '.join(card.classes)}; made of {card.made_of or 'unnamed data'}",
        *([f"protected by {card.privacy}"] if card.privacy else []),
        *card.notes,
        f"next: fedseed grow {out} --data YOUR.csv --out my-model",
    ]
    _say(lines)


def _grow(
    package: Annotated[str, typer.Argument(help="A file of fedseed package.")],
    data: Annotated[str, typer.Option(help="Your table of labelled texts: CSV, JSON, ...")],
    out: Annotated[str, typer.Option(help="Folder for the model, new or empty.")],
    options: Mapping[str, Any],
    labels: Annotated[
        str | None,
        typer.Option(
            help="What your labels are called in the package: bad=negative,good=positive; "
            'or {"bad, or so": "negative"}'
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the record as one JSON object and nothing else.")
    ] = False,
) -> None:
    """Make a model of a package and your own labelled texts, test it, and save it.

    A fifth of your texts is set aside and tested on. The rest trains the model, which is kept
    as it came where training does not help.
    """
    from fedseed.data.sites.site import Site
    from fedseed.files import refuse_unwritable
    from fedseed.results.grown import verdict
    from fedseed.results.live import make_display
    from fedseed.runs.growing import grow_package
    from fedseed.runs.model_folder import refuse_filled
    from fedseed.seeds.package import read_package

    refuse_filled(Path(out))
    refuse_unwritable(Path(out))
    values = {name.replace("_", "-"): value for name, value in given(options).items()}
    values |= {"data": data, "tell-labels": True, **({"labels": labels} if labels else {})}
    site = Site.of(values, "the command line")
    console = make_console()
    display = make_display(json_, console)
    try:
        record = grow_package(read_package(Path(package)), site, Path(out), display)
    finally:
        display.stop()
    if json_:
        print(json.dumps(record))
        return
    _say(["", *verdict(record), f"the model: {Path(out) / 'model'}"])
    _say([f"next: fedseed predict {Path(out) / 'model'} NEW.csv --out labelled.csv"])


def _predict(
    model: Annotated[
        str, typer.Argument(help="A model's folder, a .fseed file, a package, or an id on the hub.")
    ],
    table: Annotated[str, typer.Argument(help="A table of texts: CSV, JSON, Parquet, ...")],
    out: Annotated[str, typer.Option(help="The CSV file to write.")],
    options: Mapping[str, Any],
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="Whether the texts are written as well.")
    ] = True,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the counts as one JSON object and nothing else.")
    ] = False,
) -> None:
    """Label the texts of a table: a row for each, with the probability of every class."""
    from fedseed.data.tables.cells import Wanted
    from fedseed.files import refuse_unwritable
    from fedseed.results.live import make_display
    from fedseed.runs.labelling import label_table, open_classifier

    path = Path(table)
    if not path.is_file():
        raise ConfigError(f"there is no file {table}: give a table of texts")
    if Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    refuse_unwritable(Path(out))
    reading = given(options)
    wanted = Wanted(
        text=reading.pop("text_column", None), labelled=False,
        **DataOptions.parse(reading).model_dump(include=set(reading)),
    )  # fmt: skip
    console = make_console()
    display = make_display(json_, console)
    classifier = open_classifier(model)
    for note in classifier.notes:
        display.phase(f"note: {note}")
    try:
        counts = label_table(classifier, path, wanted, Path(out), texts, display)
    finally:
        display.stop()
    named = dict(zip(classifier.classes, counts, strict=True))
    if json_:
        print(json.dumps({"out": out, "texts": sum(counts), "labels": named}))
        return
    _say([f"{sum(counts):,} texts: {', '.join(f'{n:,} {name}' for name, n in named.items())}", out])


def _say(lines: list[str]) -> None:
    for line in lines:
        make_console().print(line, highlight=False, markup=False, soft_wrap=True)
