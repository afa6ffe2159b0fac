"""Options of the data: which texts, how they are tested, how they are split among clients.

Light to import, so that a command line is read without numpy.
"""

import os
from pathlib import PurePath
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from fedseed.data.tables.cells import Wanted
from fedseed.options import Options, refuse_no_path

DEFAULT_LENGTH = 128
"""Tokens kept of each text without ``--max-length``."""
PARTITIONS = ("iid", "dirichlet", "shards", "quantity")
"""Partitions that are drawn."""
NATURAL = "natural"
"""The partition by a column; ``--partition`` takes it as well."""
_PACKED = (".gz", ".zip", ".xz", ".zst", ".bz2")


def task_name(data: str) -> str:
    """What the task of a data set is called, in records, tables and figures.

    Args:
        data: what ``--data`` names.

    Returns:
        ``imdb`` for ``bundled`` and ``hub``, ``sentences`` for ``bundled:sentences``; the last part
        of a name on the hub, with its configuration; else the name of the file or folder, without
        a file's endings.
    """
    if data in ("bundled", "hub"):
        return "imdb"
    if data.partition(":")[0] == "sites":
        return "sites"
    where, _, name = data.partition(":")
    if where == "bundled":
        return name
    if where == "hub":
        return name.rpartition("/")[2].replace(":", "-")
    place = os.path.abspath(os.path.expanduser(data))
    path = PurePath(place)
    if os.path.isdir(place):
        return path.name
    if path.suffix.lower() in _PACKED:
        path = path.with_suffix("")
    return path.stem


class DataOptions(Options):
    """Model and data. Field descriptions are the command line's help texts."""

    subject: ClassVar[str] = "Model and data"

    model: str = Field(
        "bert-tiny", description="bert-tiny, bert-mini, bert-small (random start), minilm "
        "(pre-trained), or a Hugging Face id or folder of a sequence classifier."
    )  # fmt: skip
    data: str = Field(
        "bundled", description="bundled (IMDB), bundled:sentences, hub, hub:NAME[:CONFIG], a "
        "path (CSV, TSV, JSON, JSON Lines, Parquet, lines with __label__, also packed, a folder), "
        "or sites:FOLDER, where each client has its own table, named by a .toml file in it."
    )  # fmt: skip
    text_column: str | None = Field(
        None, description="The text column: its name, its number from 1, or several joined by +."
    )
    label_column: str | None = Field(
        None, description="The label column: its name, or its number from 1."
    )
    encoding: str | None = Field(
        None, description="Encoding of a text file; without it UTF-8, or what is found and said."
    )
    separator: str | None = Field(
        None, description="Character between cells, or tab; without it what is found and said."
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="Whether the first line of separated values holds column names: yes, "
        "no, or auto."
    )  # fmt: skip
    drop_rare: int = Field(
        0, ge=0, le=1_000_000, description="Leave out classes of fewer examples than this."
    )
    max_length: int | None = Field(
        None, ge=4, le=65_535, description="Tokens kept of each text; without it the given "
        "recipe's max_length, 128."
    )  # fmt: skip
    test_examples: int | None = Field(
        None, ge=2, description="Test on a fixed, stratified subset of this size."
    )
    run_seed: int = Field(0, ge=0, lt=2**63, description="Seed of every random choice.")

    @property
    def length(self) -> int:
        """Tokens kept of each text."""
        return self.max_length or DEFAULT_LENGTH

    @property
    def wanted(self) -> Wanted:
        """How the table is to be read."""
        return Wanted(
            self.text_column, self.label_column, self.group_column, self.encoding, self.separator,
            self.header,
        )  # fmt: skip

    @property
    def group_column(self) -> str | None:
        """The column that says whose a row is; None when nobody asks."""
        return None

    @field_validator("data", "model")
    @classmethod
    def _is_a_name_or_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)


class ShardOptions(DataOptions):
    """How the data are split among clients."""

    subject: ClassVar[str] = "Clients and their texts"

    clients: int = Field(10, ge=1, le=1_000_000, description="Clients that take part.")
    newcomers: int = Field(
        2, ge=0, le=10_000, description="Further clients that take part in no round and make "
        "their model from the final seed and recipe."
    )  # fmt: skip
    partition: str = Field(
        "iid", description="How examples are partitioned among clients: iid, dirichlet, shards, "
        "quantity, or natural: one client for each value of the column --by."
    )  # fmt: skip
    by: str | None = Field(
        None, description="The column, by name or number, that says whose an example is; for "
        "--partition natural."
    )  # fmt: skip
    alpha: float = Field(
        0.5, gt=0, le=1e6, description="Concentration of dirichlet and quantity; small is uneven."
    )
    shards_per_client: int = Field(
        2, ge=1, le=1000, description="Label-sorted pieces for each client under shards."
    )
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="Share of a client's examples it validates recipes on."
    )
    participants_test_examples: int = Field(
        1000, ge=2, description="Test examples for the participating clients' models."
    )
    poisoned_clients: int = Field(
        0, ge=0, description="Clients, from partition 0 on, whose labels are flipped (class c "
        "becomes c + 1): poisoned data, for tests of robustness."
    )  # fmt: skip

    @model_validator(mode="after")
    def _can_be_split(self) -> Self:
        if self.partition not in (*PARTITIONS, NATURAL):
            raise ValueError(
                f"unknown partition '{self.partition}': choose from {', '.join(PARTITIONS)}, "
                f"{NATURAL}"
            )
        if (self.partition == NATURAL) != (self.by is not None):
            raise ValueError("--partition natural and --by COLUMN are given together or not at all")
        if self.poisoned_clients > self.clients:
            raise ValueError("--poisoned-clients is larger than --clients: lower it")
        return self

    @property
    def group_column(self) -> str | None:
        """The column that says whose a row is."""
        return self.by

    @property
    def public_texts(self) -> str | None:
        """Which unlabelled texts server and clients share; None when they need none.

        ``sentences``, ``sentences:N``, ``reviews:N`` or a file: see
        :func:`fedseed.data.public_texts.open_public`.
        """
        return None
