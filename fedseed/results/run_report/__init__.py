"""The report of a federated run for whoever runs it, as one HTML page."""

from collections.abc import Mapping
from typing import Any

from fedseed.config import RunConfig
from fedseed.results.pages.origin import QUICK, options_table, origin_table, versions_table
from fedseed.results.pages.repeat import RUN, repeat_blocks
from fedseed.results.report.blocks import Page, Paragraph, Section, Table
from fedseed.results.report.page import render
from fedseed.results.run_report.bytes_by_round import bytes_section, rounds_section
from fedseed.results.run_report.data import data_section, sites_section
from fedseed.results.run_report.in_short import accuracy_section, in_short
from fedseed.results.run_report.lost import lost_section
from fedseed.results.run_report.outcome import is_quick
from fedseed.results.run_report.travelled import travelled_section

"""What runs it again."""


def run_report(record: Mapping[str, Any]) -> str:
    """report.html of a federated run, from its record alone: the same for the same record.

    Args:
        record: of a completed federated run, schema 2.

    Raises:
        LookupError: the record lacks what every one has.
    """
    config, data = record["config"], record["provenance"]["dataset"]
    title = f"Federated run: {config['model']}, protocol {config['protocol']}"
    begun = record["provenance"].get("started", "at an unknown time")
    lead = [
        f"{config['clients']:,} clients, {len(record['rounds']):,} round(s), {data['source']}. "
        f"Begun {begun}. No private text is in this page.",
        *([QUICK] if is_quick(record) else []),
    ]
    sections = [
        in_short(record), accuracy_section(record), travelled_section(record),
        bytes_section(record), rounds_section(record), lost_section(record),
        *sites_section(record), data_section(record), *_origin(record), _files(record),
    ]  # fmt: skip
    return render(
        Page(title, lead, sections, f"Made by fedseed from the record of a run begun {begun}.")
    )


def _origin(record: Mapping[str, Any]) -> list[Section]:
    tables = [origin_table(record), versions_table(record), options_table(record)]
    return [
        Section("repeat", "How to repeat it", repeat_blocks(record, RunConfig, RUN)),
        Section("origin", "Where the figures come from", [
            Paragraph("Everything in this page is computed from one file, record.json."), *tables,
        ]),
    ]  # fmt: skip


_FILES = {
    "record.json": "everything that was asked for and came out; this page is made of it",
    "report.html": "this page", "figure.png": "the figure above",
    "transcript.jsonl": "every message of the run, as it travelled",
    "seed.fseed": "the seed that the run began with",
}  # fmt: skip
_PRODUCTS = {
    "recipe": {"recipe.toml": "the aggregated recipe, for --recipe"},
    "seed": {
        "recipe.toml": "the recipe by which clients trained",
        "model": "a folder: the model that the seed makes, as transformers loads it",
    },
    "model": {
        "recipe.toml": "the recipe by which clients trained",
        "model": "a folder: the shared model, as transformers loads it",
    },
}  # fmt: skip


def _files(record: Mapping[str, Any]) -> Section:
    """What lies beside the record, by what the run ended with."""
    files = _FILES | _PRODUCTS[record["protocol"]["ends_with"]]
    if seed := record["results"].get("aggregated_seed"):
        kind = seed.get("kind", "lexicon")
        files |= {f"{kind}.fseed": "the seed that the rounds made, for --seed-file"}
    rows = [[name, words] for name, words in files.items()]
    table = Table("table-files", "Files beside the record", ["file", "what it is"], rows,
                  "Keep the transcript from those who may not read the messages: what they give "
                  "away is told above.")  # fmt: skip
    return Section("files", "Files of the run", [table])
