"""The data of a run: source, classes, who held what, and what is to be known of them."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from fedseed.results.class_counts import class_balance, plan_table
from fedseed.results.fitting import FittingTable
from fedseed.results.report.blocks import Block, Bullets, Section, Table
from fedseed.results.run_report.outcome import Accuracy, outcome, whole

_WIDTH = 100
"""Letters that the table of clients and classes may take before it is summarised."""
_MOST_SITES = 500


def data_section(record: Mapping[str, Any]) -> Section:
    """Source, sizes, class balance, and the clients' shares."""
    provenance, config = record["provenance"], record["config"]
    data = provenance["dataset"]
    rows = [["source", data["source"]], ["classes", _classes(data["classes"])]]
    rows += [
        [words, f"{data[name]:,}"]
        for name, words in (
            ("train", "training texts"), ("test", "test texts"),
            ("duplicates_dropped", "duplicates left out"),
            ("conflicts", "duplicates with another label"), ("empty_dropped", "empty texts"),
        ) if name in data
    ]  # fmt: skip
    tested = outcome(record["results"]).accuracy
    rows += [
        ["tested on", class_balance(tested["class_counts"], data["classes"])],
        ["tokens kept of each text", str(config.get("max_length") or "as the recipe says")],
        ["partition", _partition(config)],
    ]
    blocks: list[Block] = [Table("table-data", "The data", ["what", "value"], rows)]
    notes = _notes(record)
    return Section("data", "The data", [
        *blocks, *([Bullets(notes)] if notes else []), *_shares(record),
    ])  # fmt: skip


def _classes(classes: list[str]) -> str:
    most = 40
    more = f" and {len(classes) - most:,} more" if len(classes) > most else ""
    return f"{len(classes):,}: {', '.join(classes[:most])}{more}"


def _partition(config: Mapping[str, Any]) -> str:
    name = config.get("partition", "iid")
    if name in ("dirichlet", "quantity"):
        return f"{name}, alpha {config['alpha']:g}"
    if name == "shards":
        return f"shards, {config['shards_per_client']:,} of each client"
    return f"natural, by {config['by']}" if name == "natural" else str(name)


def _notes(record: Mapping[str, Any]) -> list[str]:
    """What whoever reads the figures has to know of data and model."""
    provenance, config = record["provenance"], record["config"]
    notes = [f"Warning: {line}" for line in provenance.get("warnings", [])]
    notes += [f"Data: {note}" for note in provenance["dataset"].get("notes", [])]
    notes += [f"Model: {note}" for note in provenance.get("model_notes", [])]
    if topped := provenance.get("topped_up_clients"):
        notes.append(
            f"{topped:,} client(s) were left without an example by the partition, and were given "
            "one of the largest client's."
        )
    if public := provenance.get("public_texts"):
        notes.append(f"Server and clients share {public['texts']:,} texts: {public['name']}.")
    if poisoned := config.get("poisoned_clients"):
        notes.append(f"The labels of {poisoned:,} client(s) were flipped, as the options ask.")
    if rate := config.get("drop_rate"):
        notes.append(f"Replies were lost on purpose, each with probability {rate:g}.")
    return notes


def _shares(record: Mapping[str, Any]) -> list[Block]:
    """Examples by client; of very many clients their sizes."""
    provenance, config = record["provenance"], record["config"]
    if counts := provenance.get("label_counts"):
        classes = provenance["dataset"]["classes"]
        return [_of_rich(plan_table(counts, classes, config["clients"], _WIDTH), "table-shares")]
    if sizes := provenance.get("shard_sizes"):
        rows = [[name, f"{sizes[name]:,}"] for name in ("min", "median", "max")]
        return [Table("table-shares", "Examples of a client", ["of all clients", "examples"], rows)]
    return []


def _of_rich(table: FittingTable, anchor: str) -> Table:
    """A table of the screen as one of the page."""
    columns = [[Text.from_markup(str(cell)).plain for cell in c.cells] for c in table.columns]
    head = [Text.from_markup(str(column.header)).plain for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    note = "" if table.caption is None else str(table.caption)
    return Table(anchor, str(table.title), head, rows, note, sorts=True)


def sites_section(record: Mapping[str, Any]) -> list[Section]:
    """Results by site, where the record has them."""
    sites = record["results"].get("by_site")
    if not sites:
        return []
    names = [name for name in ("given", "aggregated", "alone") if any(name in s for s in sites)]
    words = {"alone": "alone, a bag of its own words"}
    rows = [[str(s["name"]), *(_told(s.get(name)) for name in names)] for s in sites[:_MOST_SITES]]
    more = len(sites) - len(rows)
    note = (
        "Each site tests on texts of its own that it holds out; nothing stands where it does not "
        "tell, or holds out texts of one class."
    )
    table = Table(
        "table-sites", "Accuracy by site, with the majority baseline of its texts",
        ["site", *(words.get(name, name) for name in names)], rows,
        f"{note} {more:,} more sites are in record.json." if more > 0 else note, sorts=True,
    )  # fmt: skip
    return [Section("sites", "Results by site", [table])]


def _told(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    return f"{whole(accuracy)}, majority {100 * accuracy['majority_baseline']:.1f} %"
