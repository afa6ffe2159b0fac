"""The commands about seeds: ``inspect`` and ``extract``, whose flags are the kinds' options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fedseed.cli.console import make_console
from fedseed.cli.flags import flag_of, flags_of_choices, given, with_flags
from fedseed.errors import ConfigError, OutputError
from fedseed.seeds.description import SeedKind
from fedseed.seeds.registry import find_kind, seed_kinds


def _extracted_kinds() -> list[SeedKind]:
    return [kind for kind in seed_kinds().values() if kind.is_extracted]


_KINDS = "; ".join(f"{kind.name}: {kind.summary}" for kind in _extracted_kinds())


def register(app: typer.Typer) -> None:
    """Add the commands to a command line."""
    app.command("inspect")(_inspect)
    models = {kind.name: kind.options for kind in _extracted_kinds()}
    flags = flags_of_choices("--kind", models, shown=list(models))
    app.command("extract")(with_flags(flags)(_extract))


def _inspect(
    seed: Annotated[str, typer.Argument(help="A .fseed file.")],
    weights: Annotated[
        str | None,
        typer.Option(help="Compare with these weights: a folder, an id, or a .safetensors file."),
    ] = None,
) -> None:
    """Print what a seed says, its bytes by part, and its reconstruction errors."""
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.base import check_weights
    from fedseed.seeds.codec import read_seed

    decoded = read_seed(Path(seed))
    state = None
    if weights is not None:
        from fedseed.models.registry import find_model
        from fedseed.seeds.weights import open_weights

        model = decoded.model if weights.endswith(".safetensors") else None
        shapes = find_model(decoded.model, decoded.labels).shapes()
        state = check_weights(open_weights(weights, model)[2], shapes)
    make_console().print(seed_tables(decoded, state), highlight=False)


def _extract(
    source: Annotated[
        str, typer.Argument(help="minilm, a Hugging Face folder or id, or a .safetensors file.")
    ],
    out: Annotated[str, typer.Option(help="The .fseed file to write.")],
    options: Mapping[str, Any],
    kind: Annotated[str, typer.Option(help=f"What is kept of the weights. {_KINDS}.")] = "pca",
    model: Annotated[
        str | None, typer.Option(help="Architecture of a .safetensors file, such as bert-tiny.")
    ] = None,
    key: Annotated[int, typer.Option(help="Key of everything drawn.", min=0)] = 0,
) -> None:
    """Extract a seed from weights, write it, and print what it keeps."""
    from fedseed.models.registry import find_model
    from fedseed.models.taking import drawn_parts
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.codec import write_seed
    from fedseed.seeds.make import make_seed
    from fedseed.seeds.weights import open_weights

    options = given(options)
    _refuse_other_kinds(kind, options)
    if key >= 2**64:
        raise ConfigError(f"the key {key} is not in 0 to 2**64 - 1")
    if Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    find_kind(kind).options.parse(options)  # says what is wrong before weights are looked for
    name, labels, weights = open_weights(source, model, key)
    seed = make_seed(kind, name, labels, key, weights, options)
    write_seed(Path(out), seed)
    make_console().print(seed_tables(seed, weights), highlight=False)
    drawn = () if source.endswith(".safetensors") else drawn_parts(find_model(name, labels))
    if drawn:
        print(f"drawn from --key, as {source} lacks them: {', '.join(drawn)}")


def _refuse_other_kinds(name: str, options: Mapping[str, Any]) -> None:
    """Refuse kinds that are not extracted, and options of other kinds than the one asked for."""
    kind = find_kind(name)
    if not kind.is_extracted:
        known = ", ".join(kind.name for kind in _extracted_kinds())
        raise ConfigError(f"a seed of kind '{name}' holds nothing of weights: choose from {known}")
    for option in options:
        if option not in kind.options.model_fields:
            others = [k.name for k in _extracted_kinds() if option in k.options.model_fields]
            known = " or ".join(others)
            raise ConfigError(f"{flag_of(option)}: for --kind {known} only: leave it out")
