"""The commands about seeds: ``inspect`` and ``extract``, whose flags are the kinds' options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from fedseed.cli.console import make_console
from fedseed.cli.deferred import Entry, command_of, group_of
from fedseed.cli.flags import flag_of, flags_of_choices, given, make_flag, with_flags
from fedseed.data.options import DataOptions
from fedseed.errors import ConfigError, OutputError
from fedseed.seeds.description import SeedKind
from fedseed.seeds.registry import find_kind, seed_kinds

_READING = (
    "text_column", "label_column", "encoding", "separator", "header", "drop_rare", "max_length",
)  # fmt: skip
"""Options of how labelled texts are read, and how much of each counts."""
_Made = tuple[Any, Any, tuple[str, ...]]
"""A seed, the weights that it was made of, and what of them was drawn."""
_WHOLE = 512
"""Tokens of a text that count without ``--max-length``: all that the models take."""


def _extracted_kinds() -> list[SeedKind]:
    return [kind for kind in seed_kinds().values() if kind.made_from in ("weights", "texts")]


_KINDS = "; ".join(f"{kind.name}: {kind.summary}" for kind in _extracted_kinds())


def make_seeds(_words: list[str]) -> click.Command:
    """``fedseed seed``: the commands about seeds."""
    entries = {
        "extract": Entry(make_extract, "Extract a seed from weights or labelled texts."),
        "inspect": Entry(make_inspect, "Print what a seed says, and its bytes by part."),
        "grow": Entry(make_seed_grow, "Assemble a seed's model and save it, without any training."),
    }
    return group_of("seed", "Seeds: files of a few bytes from which a model is assembled.", entries)


def make_inspect(_words: list[str]) -> click.Command:
    """``fedseed seed inspect``."""
    return command_of(_inspect, "inspect", ("fedseed seed inspect reviews.fseed",))


def make_extract(_words: list[str]) -> click.Command:
    """``fedseed seed extract``."""
    models = {kind.name: kind.options for kind in _extracted_kinds()}
    flags = flags_of_choices("--kind", models, shown=list(models))
    panel = "Labelled texts (--kind lexicon)"
    flags += [make_flag(name, DataOptions.model_fields[name], panel) for name in _READING]
    return command_of(
        with_flags(flags)(_extract), "extract",
        (
            "fedseed seed extract reviews.csv --kind lexicon --max-bytes 600 --out reviews.fseed",
            "fedseed seed extract minilm --k 16 --out minilm.fseed",
        ),
    )  # fmt: skip


def make_seed_grow(_words: list[str]) -> click.Command:
    """``fedseed seed grow``."""
    example = "fedseed seed grow reviews.fseed --classes negative,positive --out model"
    return command_of(_grow, "grow", (example,))


def _grow(
    seed: Annotated[str, typer.Argument(help="A .fseed file, or a package.")],
    out: Annotated[str, typer.Option(help="Folder for the model, new or empty.")],
    classes: Annotated[
        str | None,
        typer.Option(help="Names of the classes, by number, joined by commas; a package has them."),
    ] = None,
) -> None:
    """Assemble a seed's model and save it as transformers loads it, without any training."""
    from fedseed.runs.model_folder import assemble_to

    print(assemble_to(Path(seed), classes, Path(out)))


def _inspect(
    seed: Annotated[str, typer.Argument(help="A .fseed file.")],
    weights: Annotated[
        str | None,
        typer.Option(help="Compare with these weights: a folder, an id, or a .safetensors file."),
    ] = None,
    hide_words: Annotated[
        bool, typer.Option("--hide-words", help="Leave out the words of a lexicon.")
    ] = False,
) -> None:
    """Print what a seed says, its bytes by part, and its reconstruction errors."""
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.base import check_weights
    from fedseed.seeds.codec import read_seed
    from fedseed.seeds.package import is_package, read_package

    decoded = read_seed(Path(seed))
    if is_package(Path(seed)):
        card = read_package(Path(seed)).card
        print(f"package {card.name}: classes {', '.join(card.classes)}; its seed:")
    state = None
    if weights is not None:
        from fedseed.models.registry import find_model
        from fedseed.seeds.weights import open_weights

        model = decoded.model if weights.endswith(".safetensors") else None
        shapes = find_model(decoded.model, decoded.labels).shapes()
        state = check_weights(open_weights(weights, model)[2], shapes)
    make_console().print(seed_tables(decoded, state, not hide_words), highlight=False)


def _extract(
    source: Annotated[
        str,
        typer.Argument(
            help="minilm, a Hugging Face folder or id, or a .safetensors file; for a lexicon "
            "labelled texts (bundled, bundled:sentences, a table or folder), or a trained "
            "model's .safetensors file."
        ),
    ],
    out: Annotated[str, typer.Option(help="The .fseed file to write.")],
    options: Mapping[str, Any],
    kind: Annotated[str, typer.Option(help=f"What is kept. {_KINDS}.")] = "pca",
    model: Annotated[
        str | None,
        typer.Option(
            help="Architecture of a .safetensors file, or for which a lexicon is (bert-tiny)."
        ),
    ] = None,
    key: Annotated[int, typer.Option(help="Key of everything drawn.", min=0)] = 0,
    hide_words: Annotated[
        bool, typer.Option("--hide-words", help="Leave out the words of a lexicon.")
    ] = False,
) -> None:
    """Extract a seed from weights or labelled texts, write it, and print what it keeps."""
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.codec import write_seed

    options = given(options)
    reading = {name: options.pop(name) for name in _READING if name in options}
    _refuse_other_kinds(kind, options)
    if key >= 2**64:
        raise ConfigError(f"the key {key} is not in 0 to 2**64 - 1")
    if Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    find_kind(kind).options.parse(options)  # says what is wrong before anything is looked for
    if kind == "lexicon" and source.endswith(".safetensors"):
        made: _Made = (_read_off(source, model, key, options, reading), None, ())
    elif kind == "lexicon":
        values = {"max_length": _WHOLE, "data": source, "model": model or "bert-tiny"} | reading
        made = _of_texts(values, key, options), None, ()
    elif reading:
        flag = flag_of(next(iter(reading)))
        raise ConfigError(f"{flag}: for --kind lexicon only: leave it out")
    else:
        made = _of_weights(source, model, kind, key, options)
    seed, weights, drawn = made
    write_seed(Path(out), seed)
    make_console().print(seed_tables(seed, weights, not hide_words), highlight=False)
    if drawn:
        print(f"drawn from --key, as {source} lacks them: {', '.join(drawn)}")


def _of_texts(values: Mapping[str, Any], key: int, options: Mapping[str, Any]) -> Any:
    """A seed of labelled texts."""
    from fedseed.runs.extraction import extract_from_texts

    return extract_from_texts(DataOptions.parse(values), key, options)


def _read_off(
    source: str, model: str | None, key: int, options: Mapping[str, Any],
    reading: Mapping[str, Any],
) -> Any:  # fmt: skip
    """A seed of what a trained model says of every word."""
    from fedseed.runs.reading_off import seed_of_model

    for option in (*reading, *options):
        if option != "max_bytes":
            raise ConfigError(f"{flag_of(option)}: of labelled texts, not of a model: leave it out")
    from fedseed.seeds.weights import open_weights

    name, labels, weights = open_weights(source, model, key)
    return seed_of_model(name, labels, weights, key, options)


def _of_weights(
    source: str, model: str | None, kind: str, key: int, options: Mapping[str, Any]
) -> _Made:
    """A seed of weights, those weights, and what of them was drawn."""
    from fedseed.models.registry import find_model
    from fedseed.models.taking import drawn_parts
    from fedseed.seeds.make import make_seed
    from fedseed.seeds.weights import open_weights

    name, labels, weights = open_weights(source, model, key)
    seed = make_seed(kind, name, labels, key, weights, options)
    whole = source.endswith(".safetensors")
    return seed, weights, () if whole else tuple(drawn_parts(find_model(name, labels)))


def _refuse_other_kinds(name: str, options: Mapping[str, Any]) -> None:
    """Refuse kinds that are not extracted, and options of other kinds than the one asked for."""
    kind = find_kind(name)
    if kind not in _extracted_kinds():
        known = ", ".join(kind.name for kind in _extracted_kinds())
        raise ConfigError(f"a seed of kind '{name}' holds nothing of weights: choose from {known}")
    for option in options:
        if option not in kind.options.model_fields:
            others = [k.name for k in _extracted_kinds() if option in k.options.model_fields]
            known = " or ".join(others)
            raise ConfigError(f"{flag_of(option)}: for --kind {known} only: leave it out")
