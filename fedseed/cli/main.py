"""The commands of ``python -m fedseed``: look at records, seeds and protocols, extract seeds."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from fedseed.errors import OutputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def show(
    record: Annotated[
        str, typer.Argument(help="record.json of a completed federated run or study.")
    ],
) -> None:
    """Print the tables of a record."""
    from fedseed.results.record import read_record
    from fedseed.results.table import summary
    from fedseed.studies.tables import STUDY_TABLES

    found = read_record(Path(record))
    kind = found.get("kind")
    if kind not in ("federated", *STUDY_TABLES) or found.get("status") != "completed":
        raise OutputError(f"{record} is not the record of a completed federated run or study")
    try:
        tables = summary(found) if kind == "federated" else Markdown(STUDY_TABLES[kind](found))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise OutputError(
            f"{record} lacks what its tables are made of ({type(error).__name__}: {error}): "
            "it was changed by hand or by another program"
        ) from error
    Console().print(tables, highlight=False, soft_wrap=kind == "federated")


@app.command()
def protocols(
    name: Annotated[
        str | None, typer.Argument(help="Show this protocol's options; without it all protocols.")
    ] = None,
) -> None:
    """List the protocols that are installed, or one protocol's options."""
    from fedseed.cli.tables import option_table, protocol_table

    Console().print(Markdown(protocol_table() if name is None else option_table(name)))


@app.command()
def inspect(
    seed: Annotated[str, typer.Argument(help="A .fseed file.")],
    weights: Annotated[
        str | None,
        typer.Option(help="Compare with these weights: a folder, an id, or a .safetensors file."),
    ] = None,
) -> None:
    """Print what a seed says, its bytes by part, and its reconstruction errors."""
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.codec import read_seed
    from fedseed.seeds.extraction import check_weights

    found = read_seed(Path(seed))
    state = None
    if weights is not None:
        from fedseed.models.registry import find_model
        from fedseed.seeds.sources import open_weights

        own = found.model if weights.endswith(".safetensors") else None
        shapes = find_model(found.model, found.labels).shapes()
        state = check_weights(open_weights(weights, own)[2], shapes)
    Console().print(seed_tables(found, state), highlight=False)


@app.command()
def extract(
    source: Annotated[
        str, typer.Argument(help="minilm, a Hugging Face folder or id, or a .safetensors file.")
    ],
    out: Annotated[str, typer.Option(help="The .fseed file to write.")],
    kind: Annotated[str, typer.Option(help="minimal, stats or pca.")] = "pca",
    model: Annotated[
        str | None, typer.Option(help="Architecture of a .safetensors file, such as bert-tiny.")
    ] = None,
    key: Annotated[int, typer.Option(help="Key of everything drawn.", min=0)] = 0,
    k: Annotated[
        int | None, typer.Option(help="pca: components of each matrix; without it 10.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="pca: quantiser's step, as a share of a tensor's norm.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="pca: raise the step until the payload fits.", min=1)
    ] = None,
    budget: Annotated[
        str, typer.Option(help="pca: components by name, such as *word_embeddings*=2,*=16.")
    ] = "",
    fill: Annotated[
        bool, typer.Option("--fill", help="pca: fill what is left out with noise.")
    ] = False,
) -> None:
    """Extract a seed from weights, write it, and print what it keeps."""
    from fedseed.errors import ConfigError
    from fedseed.results.seed_table import seed_tables
    from fedseed.seeds.codec import write_seed
    from fedseed.seeds.pca import PcaOptions
    from fedseed.seeds.rows import EXTRACTED, budgets, make_seed
    from fedseed.seeds.sources import open_weights

    if kind not in EXTRACTED:
        raise ConfigError(f"unknown kind '{kind}': choose from {', '.join(EXTRACTED)}")
    if key >= 2**64:
        raise ConfigError(f"the key {key} is not in 0 to 2**64 - 1")
    if Path(out).exists():
        raise OutputError(f"{out} is there already: choose another --out")
    own = {"k": k, "step": step, "max-bytes": max_bytes, "budget": budget, "fill": fill}
    surplus = [
        f"--{option}" for option, value in own.items()
        if value is not None and value is not False and value != ""
    ]  # fmt: skip
    if kind != "pca" and surplus:
        raise ConfigError(f"{', '.join(surplus)}: for --kind pca only: leave it out")
    name, labels, weights = open_weights(source, model, key)
    size = PcaOptions.step if step is None else step
    options = PcaOptions(10 if k is None else k, size, max_bytes, budgets(budget), fill)
    seed = make_seed(kind, name, labels, key, weights, options)
    write_seed(Path(out), seed)
    Console().print(seed_tables(seed, weights), highlight=False)
