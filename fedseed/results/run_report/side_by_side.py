"""Several federated runs on one page, with the differences between them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fedseed.config import RunConfig
from fedseed.errors import OutputError
from fedseed.evaluation.repeats import unpaired
from fedseed.results.class_counts import class_balance
from fedseed.results.markdown import interval_in_points, points
from fedseed.results.pages.origin import QUICK, commit_words
from fedseed.results.pages.repeat import RUN, repeat_blocks
from fedseed.results.report.blocks import (
    Block,
    Figure,
    Figures,
    Notice,
    Page,
    Paragraph,
    Section,
    Table,
)
from fedseed.results.report.chart import Item
from fedseed.results.report.page import render
from fedseed.results.run_report.charts import accuracy_chart
from fedseed.results.run_report.outcome import (
    ROLES,
    Accuracy,
    is_quick,
    outcomes,
    share,
    whole,
)
from fedseed.results.run_report.travelled import protection_label
from fedseed.results.table import percent

_TESTED = {
    "newcomers": "by clients that took part in no round, on the common test split",
    "pooled": "by every client on texts of its own that it holds out",
    "participants_mean": "by the clients, on the same part of the test split",
}  # fmt: skip

_SAME_TEXTS = (
    "All runs were tested on the same texts, by the data's digest and the number of texts of each "
    "class. Models tend to be right on the same texts, so that a comparison text by text would "
    "have narrower intervals. Records do not hold answers text by text: these are the unpaired "
    "intervals (Newcombe 1998), which are wider than they need be."
)
_OTHER_TEXTS = (
    "Clients hold out texts of their own, by chance others in every run: the intervals are those "
    "of tests on different texts (Newcombe 1998), wider than they need be where the texts are the "
    "same."
)
_LABEL = 26
"""Letters of a run's name in the chart."""


class Run(NamedTuple):
    """One of the runs."""

    name: str
    record: Mapping[str, Any]
    accuracy: Accuracy
    """Tested as those of all the others."""

    @property
    def linear(self) -> Accuracy | None:
        """The linear model of at most the bytes of the seed that the run made, if it made one."""
        linear: Accuracy | None = self.record["results"].get("linear_of_equal_bytes")
        return linear


def side_by_side(records: Mapping[str, Mapping[str, Any]]) -> str:
    """One page of several runs, the same for the same records.

    Runs are only compared where a difference of their accuracies means something: on the same data
    and classes, and on as many test texts of each class. Others are refused: beside a difference
    that says more of the texts than of the runs no warning would be read.

    Args:
        records: of completed federated runs, by the paths that they were read from; two at least.

    Raises:
        OutputError: a record is not of a run, or two cannot be compared.
    """
    paths, contents = list(records), list(records.values())
    for path, record in zip(paths[1:], contents[1:], strict=True):
        _refuse_other_data((paths[0], contents[0]), (path, record))
    role = _common_role(paths, contents)
    runs = [
        Run(name, record, record["results"]["aggregated"][role])
        for name, record in zip(_names(paths), contents, strict=True)
    ]
    sections = [_in_short(runs), _reading(runs, role), _options(runs), _repeat(runs), _origin(runs)]
    data = contents[0]["provenance"]["dataset"]
    balance = class_balance(runs[0].accuracy["class_counts"], data["classes"])
    majority = percent(runs[0].accuracy["majority_baseline"])
    lead = [
        f"{len(runs)} runs on {data['source']}, tested {_TESTED[role]}: {balance}. Always naming "
        f"the largest class is right on {majority}. No private text is in this page.",
        *([QUICK] if any(is_quick(run.record) for run in runs) else []),
    ]
    footer = f"Made by fedseed from {len(runs)} records."
    return render(Page("Federated runs side by side", lead, sections, footer))


def _refuse_other_data(
    first: tuple[str, Mapping[str, Any]], other: tuple[str, Mapping[str, Any]]
) -> None:
    """Refuse runs on other texts or classes: by the digest of the data, or else their source."""
    one, two = (record["provenance"]["dataset"] for _, record in (first, other))
    names = f"{first[0]} and {other[0]}"
    by = "sha256" if "sha256" in one and "sha256" in two else "source"
    if one[by] != two[by] or one.get("sites") != two.get("sites"):
        raise OutputError(
            f"{names} are runs on other data ({one['source']}; {two['source']}): a difference of "
            "their accuracies would say nothing of the runs"
        )
    if one["classes"] != two["classes"]:
        raise OutputError(f"{names} are runs with other classes: compare runs of the same task")


def _common_role(paths: Sequence[str], records: Sequence[Mapping[str, Any]]) -> str:
    """Whose test all runs have, on as many texts of each class.

    Raises:
        OutputError: there is none.
    """
    told = [dict(outcomes(record["results"])) for record in records]
    for role in ROLES:
        counts = [one[role]["class_counts"] for one in told if role in one]
        if len(counts) == len(records) and all(count == counts[0] for count in counts):
            return role
    sizes = "; ".join(
        f"{path}: n = {next(iter(one.values()))['n']:,}"
        for path, one in zip(paths, told, strict=True)
    )
    raise OutputError(
        f"the runs were not tested on the same number of texts of each class ({sizes}): give them "
        "the same --test-examples, --newcomers and --evaluate"
    )


def _names(paths: Sequence[str]) -> list[str]:
    """What runs are called: the shortest ends of their folders' paths that tell them apart."""
    folders = []
    for path in paths:
        place = Path(path)
        folders.append((place.parent if place.suffix == ".json" else place).resolve().parts)
    longest = max(map(len, folders))
    for length in range(1, longest + 1):
        names = ["/".join(parts[-length:]) for parts in folders]
        if len(set(names)) == len(set(folders)):
            break
    return [name if names.count(name) == 1 else f"{name} ({at + 1})"
            for at, name in enumerate(names)]  # fmt: skip


def _in_short(runs: Sequence[Run]) -> Section:
    quick: list[Block] = [Notice(QUICK)] if any(is_quick(run.record) for run in runs) else []
    head = ["run", "protocol", "model", "clients", "rounds", "bytes down", "bytes up", "accuracy",
            "linear, equal bytes", "privacy", "points beyond the first run"]  # fmt: skip
    table = Table(
        "table-runs", "The runs, with 95 % intervals", head, [_row(run, runs[0]) for run in runs],
        "Bytes: payloads of all clients in all rounds. Linear, equal bytes: weighted words of all "
        "clients' texts together, in at most the bytes of the seed that the rounds made; runs that "
        "made none have no such model in their records.", sorts=True,
    )  # fmt: skip
    items = [_item(run) for run in runs]
    chart = accuracy_chart(
        "Accuracy of the runs", items, runs[0].accuracy["majority_baseline"],
        "linear model of equal bytes",
    )  # fmt: skip
    figure = Figure("figure-runs", "How often is each right?", chart,
                    "What the first run has is what the others are compared with.")  # fmt: skip
    return Section("in-short", "In short", [*quick, table, Figures([figure])])


def _item(run: Run) -> Item:
    """A run in the chart, with its linear model as a mark."""
    low, high = run.accuracy["ci95"]
    mark = None if run.linear is None else run.linear["value"]
    label = run.name[-_LABEL:]
    return Item(label, share(run.accuracy), run.accuracy["value"], low, high, mark)


def _row(run: Run, first: Run) -> list[str]:
    config, sums = run.record["config"], run.record["ledger"]["payload_bytes"]
    return [
        run.name, run.record["protocol"]["name"], str(config["model"]), f"{config['clients']:,}",
        f"{len(run.record['rounds']):,}", f"{sums['down']:,}", f"{sums['up']:,}",
        whole(run.accuracy), "" if run.linear is None else whole(run.linear),
        protection_label(run.record), "" if run is first else _gap(run, first),
    ]  # fmt: skip


def _gap(run: Run, first: Run) -> str:
    gap = unpaired(run.accuracy, first.accuracy)
    return f"{points(gap['difference'])} ({interval_in_points(gap['ci95'])})"


def _reading(runs: Sequence[Run], role: str) -> Section:
    """What the intervals say, and what they do not."""
    differ = []
    for run in runs[1:]:
        low, high = unpaired(run.accuracy, runs[0].accuracy)["ci95"]
        if low <= 0 <= high:
            differ.append(f"{run.name} is not shown to differ from {runs[0].name}.")
        else:
            way = "better" if low > 0 else "worse"
            differ.append(f"{run.name} is {way} than {runs[0].name} on texts like these.")
    return Section("reading", "How to read the differences", [
        Paragraph(" ".join(differ)), Paragraph(_OTHER_TEXTS if role == "pooled" else _SAME_TEXTS),
        Paragraph(
            "An interval speaks of the test texts alone. Runs with another --run-seed differ too: "
            "what one run has beyond another may be chance until both were repeated. With many "
            "runs on one page some differences are chance as well; none is corrected for that."
        ),
    ])  # fmt: skip


def _options(runs: Sequence[Run]) -> Section:
    """The options in which the runs differ."""
    configs = [run.record["config"] for run in runs]
    names = [n for n in dict.fromkeys(n for one in configs for n in one) if n != "given_recipe"]
    rows = [
        [f"--{name.replace('_', '-')}", *(_value(one, name) for one in configs)]
        for name in names if len({_value(one, name) for one in configs}) > 1
    ]  # fmt: skip
    recipes = [str(one.get("given_recipe")) for one in configs]
    blocks: list[Block] = [
        Table("table-options", "Options in which the runs differ",
              ["option", *(run.name for run in runs)], rows,
              "Nothing stands where a run does not have the option, or has no value for it.")
    ] if rows else [Paragraph("The runs have the same options.")]  # fmt: skip
    if len(set(recipes)) > 1:
        blocks.append(Paragraph("Their given recipes differ: each stands in the run's own report."))
    return Section("options", "What differs", blocks)


def _value(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name)
    return "" if value is None else str(value)


def _repeat(runs: Sequence[Run]) -> Section:
    parts = [
        Section(f"repeat-{at}", run.name, repeat_blocks(run.record, RunConfig, RUN))
        for at, run in enumerate(runs, 1)
    ]
    return Section("repeat", "How to repeat them", [], parts)


def _origin(runs: Sequence[Run]) -> Section:
    """Code, machine and time of every run."""
    rows = []
    for run in runs:
        where = run.record["provenance"]
        machine = where.get("machine", {})
        rows.append([
            run.name, str(where.get("started", "")), commit_words(where),
            str(machine.get("precision", "")), str(machine.get("device", "")),
            f"{where['wall_seconds']:,.1f}" if "wall_seconds" in where else "",
        ])  # fmt: skip
    versions = [run.record["provenance"].get("packages") for run in runs]
    same = all(one == versions[0] for one in versions)
    words = "the same" if same else "not the same"
    return Section("origin", "Where the figures come from", [
        Table("table-origin", "Code, machine and time",
              ["run", "begun", "commit", "precision", "device", "seconds"], rows, sorts=True),
        Paragraph(
            f"The packages of all runs are {words}. Everything in this page is computed from the "
            "runs' record.json."
        ),
    ])  # fmt: skip
