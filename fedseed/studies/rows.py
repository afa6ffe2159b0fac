"""The rows that studies run: a protocol with its options and recipe, each under a name.

Protocols bring their rows in their descriptions; the bounds and the conditions stand here.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from fedseed.config import RunConfig
from fedseed.data.options import DataOptions
from fedseed.models.architecture import FROM_PRNG
from fedseed.options import Options
from fedseed.protocols import all_protocols, find_protocol
from fedseed.protocols.rows import ALONE, BODY_ALONE, OF_BODY, Row
from fedseed.recipe import Recipe
from fedseed.studies.options import RowOptions
from fedseed.studies.recipes import CENTRAL


@dataclasses.dataclass(frozen=True)
class StudyRow(Row):
    """One way to a model, and the protocol by which it is made."""

    protocol: str | None = None
    """What travels, by the protocol's name; None of the bounds, for which nothing does."""

    def on(self, model: str) -> "StudyRow | None":
        """The row with a model; None where it is not run with one that starts from a body."""
        if model in FROM_PRNG:
            return self
        return None if self.body is None else _of_study(self.body, self.protocol)


def _of_study(row: Row, protocol: str | None) -> StudyRow:
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(Row)}
    return StudyRow(**values, protocol=protocol)


BOUNDS: Mapping[str, StudyRow] = {
    "local": StudyRow(
        "each client alone", ALONE, steps=120, skewed=True,
        body=Row("each client alone", BODY_ALONE, steps=150, skewed=True),
    ),
    "central": StudyRow(
        "all clients' texts together, two epochs", CENTRAL,
        body=Row("all clients' texts together, two epochs", OF_BODY),
    ),
}  # fmt: skip
"""What everything lies between: each client with its own texts, and one model of all of them."""


def _all_rows() -> dict[str, StudyRow]:
    """The bounds, then every protocol's rows; one without any has a row named after itself."""
    rows = dict(BOUNDS)
    for protocol in all_protocols():
        for name, row in (protocol.rows or {protocol.name: Row(protocol.summary)}).items():
            rows.setdefault(name, _of_study(row, protocol.name))
    return rows


ROWS: Mapping[str, StudyRow] = _all_rows()
"""All rows, from the fewest bytes to the most, after the bounds."""
CONDITIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dropout": ("30 % of the replies lost", {"drop_rate": 0.3}),
    "poison": ("one client with flipped labels", {"poisoned_clients": 1}),
}
"""What robustness is measured under, on the first partition."""
_DATA = DataOptions.model_fields.keys() - Options.model_fields.keys()
"""Options that say which texts and how they are read: a run's are the study's."""
_PUBLIC = "sentences"
_ARE_PUBLIC = f"bundled:{_PUBLIC}"
"""The data set whose texts are the public ones, of which some are then set aside."""
_SET_ASIDE = 3000
_FEW = 500
"""Public sentences under ``--quick``."""


def partition_options(name: str) -> dict[str, Any]:
    """Options of a federated run for a partition such as ``iid`` or ``dirichlet-0.1``."""
    scheme, _, alpha = name.partition("-")
    try:
        if scheme in ("iid", "shards") and not alpha:
            return {"partition": scheme}
        if scheme in ("dirichlet", "quantity") and 0 < float(alpha) <= 1e6:
            return {"partition": scheme, "alpha": float(alpha)}
    except ValueError:
        pass
    raise ValueError(f"unknown '{name}': write iid, shards, dirichlet-ALPHA or quantity-ALPHA")


def run_config(
    config: RowOptions, row: StudyRow, partition: str, condition: str, repeat: int
) -> tuple[RunConfig, Recipe]:
    """The federated run of a cell, and its recipe; of a bound a run that has its shards.

    Args:
        config: the study's options.
        row: what is run.
        partition: such as ``iid`` or ``dirichlet-0.1``.
        condition: one of :data:`CONDITIONS`, or empty.
        repeat: shifts the run seed.
    """
    steps = config.cut(row.steps or config.steps)
    rounds = row.rounds or config.rounds_of(config.model)
    options: dict[str, Any] = {
        "clients": config.clients, "newcomers": 1, "rounds": rounds,
        "workers": "1", **{name: getattr(config, name) for name in _DATA},
        "max_length": config.length, "start": "random",
        "run_seed": config.run_seed + repeat, "precision": config.precision, "device": "cpu",
        **({} if row.protocol is None else {"protocol": row.protocol}),
        **partition_options(partition), **_row_options(config, row), "steps": steps,
        **(CONDITIONS[condition][1] if condition else {}),
    }  # fmt: skip
    for name in options:
        if name.endswith("_steps"):  # the protocol's own
            options[name] = config.cut(options[name])
    recipe = row.recipe.replace(steps=config.cut(row.recipe.steps), max_length=config.length)
    return RunConfig.parse(options), recipe


def _row_options(config: RowOptions, row: StudyRow) -> dict[str, Any]:
    """A row's options; texts that the task is made of cannot be public ones."""
    options = dict(row.options)
    if options.get("public") == _PUBLIC:
        if config.data == _ARE_PUBLIC:
            options["public"] = f"reviews:{_SET_ASIDE}"
        elif config.quick:
            options["public"] = f"{_PUBLIC}:{_FEW}"
    return options


def row_words(config: RowOptions, row: StudyRow) -> str:
    """What a row is, on the study's data."""
    if config.data == _ARE_PUBLIC and row.options.get("public") == _PUBLIC:
        return row.words.replace("public sentences", f"{_SET_ASIDE:,} sentences set aside")
    return row.words if config.data == "bundled" else row.words.replace("reviews", "texts")


def noised_rows(rows: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows that run under differential privacy: its unit and epsilon, by the row's name."""
    options = {name: ROWS[name].options for name in rows if name in ROWS}
    return {
        name: {"unit": its["privacy"], "epsilon": float(its["epsilon"])}
        for name, its in options.items()
        if its.get("privacy") and its.get("epsilon")
    }


def described_protocols(rows: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Descriptions of the protocols that some rows run, by name, for a record."""
    names = dict.fromkeys(ROWS[row].protocol for row in rows)
    return {name: find_protocol(name).to_record() for name in names if name is not None}
