"""The command ``fedseed``: its parts, none of which is imported before it is called."""

import sys

from typer.main import get_install_completion_arguments

from fedseed.cli.deferred import Entry, group_of, placed
from fedseed.cli.exit_status import run_app
from fedseed.federation.workers import asks_for_workers, start_early

_RUN, _MODELS, _LOOK = "Run", "Seeds and models", "Look"
COMMANDS = {
    "run": Entry(
        placed("fedseed.cli.federated:make_run"),
        "A federated run: many private shards, one model.",
        _RUN,
    ),
    "study": Entry(
        placed("fedseed.cli.study:make_studies"),
        "A study that ends in one table: comparison, privacy, ...",
        _RUN,
    ),
    "doctor": Entry(
        placed("fedseed.cli.doctor:make_doctor"),
        "What this machine has, and what would make it faster.",
        _RUN,
    ),
    "package": Entry(
        placed("fedseed.cli.models:make_package"),
        "Put what a run ends with into one file of kilobytes.",
        _MODELS,
    ),
    "grow": Entry(
        placed("fedseed.cli.models:make_grow"),
        "Make, test and save a model of a package and your own table.",
        _MODELS,
    ),
    "predict": Entry(
        placed("fedseed.cli.models:make_predict"), "Label the texts of a table.", _MODELS
    ),
    "seed": Entry(
        placed("fedseed.cli.seeds:make_seeds"),
        "Extract seeds, look into them, assemble their models.",
        _MODELS,
    ),
    "show": Entry(placed("fedseed.cli.records:make_show"), "Print the tables of a record.", _LOOK),
    "report": Entry(
        placed("fedseed.cli.records:make_report"),
        "Write the report of a record as one HTML page.",
        _LOOK,
    ),
    "bytes": Entry(
        placed("fedseed.cli.records:make_bytes"),
        "Draw accuracy against bytes, from several records.",
        _LOOK,
    ),
    "protocols": Entry(
        placed("fedseed.cli.records:make_protocols"),
        "List the protocols, or one protocol's options.",
        _LOOK,
    ),
    "inspect": Entry(
        placed("fedseed.cli.seeds:make_inspect"), "The same as seed inspect.", hidden=True
    ),
    "extract": Entry(
        placed("fedseed.cli.seeds:make_extract"), "The same as seed extract.", hidden=True
    ),
}

app = group_of(
    "fedseed",
    "Train one text classifier from texts that stay where they are: a few bytes travel, what they "
    "cost and what they give away is measured.",
    COMMANDS,
    (
        "fedseed run --clients 10",
        "fedseed run --data reviews.csv --protocol lexicon --estimate counts --rounds 1",
        "fedseed package results/scratch/RUN --out sentiment.fseed",
        "fedseed grow sentiment.fseed --data my.csv --out my-model",
    ),
)
app.params += get_install_completion_arguments()


def main() -> int:
    """Run the command line of this process; see :func:`fedseed.cli.exit_status.run_app`."""
    words = sys.argv[1:]
    if words[:1] == ["run"] and asks_for_workers(words[1:]):
        start_early()
    return run_app(app)
