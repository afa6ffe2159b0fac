"""Where a record's figures come from: code, versions, machine, time, options."""

from collections.abc import Mapping
from typing import Any

from fedseed.results.report.blocks import Table

QUICK = "This was a --quick run: its numbers mean little."


def commit_words(where: Mapping[str, Any]) -> str:
    """The commit of the code that ran, from a record's provenance."""
    commit = where.get("commit")
    if commit is None:
        return "not known"
    return f"{commit}, with changes that were not committed" if where.get("dirty") else str(commit)


def origin_table(record: Mapping[str, Any]) -> Table:
    """Code, data, machine, time and memory."""
    where = record["provenance"]
    rows = [
        ["begun", str(where.get("started", "not in the record"))], ["commit", commit_words(where)],
        *_data(where.get("dataset", {})),
        *[[name.replace("_", " "), str(value)] for name, value in where.get("machine", {}).items()],
    ]  # fmt: skip
    if "wall_seconds" in where:
        rows.append(["seconds, in all", f"{where['wall_seconds']:,.1f}"])
    if "peak_memory_bytes" in where:
        rows.append(["peak memory", f"{where['peak_memory_bytes'] / 1e6:,.0f} MB"])
    rows.append(["schema of the record", str(record.get("schema", "not in the record"))])
    return Table("table-origin", "Code, data and machine", ["what", "value"], rows)


def _data(data: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    if "source" in data:
        rows.append(["data", str(data["source"])])
    if "sha256" in data:
        rows.append(["checksum of the data (SHA-256)", str(data["sha256"])])
    if data.get("classes"):
        rows.append(["classes", ", ".join(str(name) for name in data["classes"])])
    if "train" in data and "test" in data:
        rows.append(["training and test texts", f"{data['train']:,} and {data['test']:,}"])
    return rows


def versions_table(record: Mapping[str, Any]) -> Table:
    """Versions of the packages that decide results."""
    versions = record["provenance"].get("packages", {})
    rows = [[name, str(version)] for name, version in versions.items()]
    return Table("table-versions", "Versions", ["package", "version"], rows)


def options_table(record: Mapping[str, Any], sorts: bool = True) -> Table:
    """Every option that has a value."""
    rows = [
        [f"--{name.replace('_', '-')}", str(value)]
        for name, value in record["config"].items() if value is not None and name != "given_recipe"
    ]  # fmt: skip
    return Table("table-options", "Options of the run", ["option", "value"], rows, sorts=sorts)
