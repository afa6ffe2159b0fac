"""A site: which table is its own, how it is read, and what may be told of it.

A simulation reads sites from files, a deployed node from its ``--node-config``, which may name such
a file; the names are the same. The node's limits stand beside them (see
:mod:`fedseed.federation.limits`).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fedseed.data.tables.cells import Wanted
from fedseed.errors import ConfigError
from fedseed.files import read_toml
from fedseed.validation import first_problem

FILE = "site"
"""In a node's configuration: the path of a file with the rest of it."""
LIMITS = frozenset({
    "most-rounds", "most-steps", "most-batch", "most-tokens", "most-tests", "most-message-bytes",
    "most-model-bytes", "most-epsilon", "most-delta", "most-directions", "protocols", "models",
    "smallest-sum", "state",
})  # fmt: skip
"""What a node's operator lets a server ask for, see :mod:`fedseed.federation.limits`."""
FLOWERS = ("partition-id", "num-partitions")
"""What Flower's own simulation puts into a node's configuration."""
_LONGEST_NAME = 60


class Site(BaseModel):
    """What a site says of its own table. Names are written with ``-`` in files."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = ""
    """How the run's record calls it; at most 60 printable letters."""
    data: str = Field(min_length=1)
    """Path of the table, or of a folder; see ``--data``."""
    text_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    separator: str | None = None
    header: Literal["auto", "yes", "no"] = "auto"
    held_out: float = Field(0.2, ge=0, lt=1)
    """Share of each class that is never trained on but tested on; where the table is a folder
    with a test split, that is."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """What its labels are called in the run; labels that are not named keep their names."""
    other_labels: Literal["refuse", "leave-out"] = "refuse"
    """What happens to texts whose label is none of the run's classes."""
    tell_labels: bool = False
    """Whether a server may ask for the names of its classes."""
    tests: Literal["own", "summed", "none"] = "own"
    """What it tells of a test: its own counts, their sum with others' alone, or nothing."""

    @field_validator("name")
    @classmethod
    def _can_be_shown(cls, name: str) -> str:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"give at most {_LONGEST_NAME} printable letters")
        return name

    @field_validator("labels", mode="before")
    @classmethod
    def _are_pairs(cls, labels: object) -> object:
        """A node's configuration holds no tables: there, pairs stand in one string."""
        if not isinstance(labels, str):
            return labels
        if labels.lstrip().startswith("{"):
            return _object_of(labels)
        pairs = [pair.partition("=") for pair in labels.split(",")]
        if not all(equals and own.strip() and run.strip() for own, equals, run in pairs):
            raise ValueError(
                'write OWN=CLASS,OWN=CLASS, or {"OWN": "CLASS"} where names have commas'
            )
        mapped = {own.strip(): run.strip() for own, _, run in pairs}
        if len(mapped) < len(pairs):
            raise ValueError("a label stands there twice: name each once")
        return mapped

    @property
    def wanted(self) -> Wanted:
        """How its table is to be read."""
        return Wanted(
            self.text_column, self.label_column, None, self.encoding, self.separator, self.header
        )

    @property
    def key(self) -> str:
        """Changes with anything that decides what is read."""
        return self.model_dump_json()

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> Self:
        """Make a site of names and values.

        Args:
            values: those of the site; limits among them are passed over.
            where: names what they stand in, for the message.

        Raises:
            ConfigError: an unknown name, an impossible value, or no table.
        """
        own = {name: value for name, value in values.items() if name not in LIMITS}
        named = {name.replace("-", "_"): value for name, value in own.items()}
        if "data" not in named:
            raise ConfigError(f"{where} names no table: give data = PATH")
        try:
            return cls(**named)
        except ValidationError as error:
            raise ConfigError(f"{where}: {first_problem(error, dashes=True)}") from error


def read_site_file(path: Path) -> dict[str, Any]:
    """Everything that a site's file says; a relative path of its table begins at the file.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or names no table.
    """
    values = read_toml(path, "the site's file", ConfigError)
    data = values.get("data")
    if not isinstance(data, str) or not data:
        raise ConfigError(f"the site's file {path} names no table: give data = 'PATH'")
    place = os.path.expanduser(data)
    return {"name": path.stem} | values | {"data": os.path.join(path.parent.resolve(), place)}


def site_values(node_config: Mapping[str, Any]) -> dict[str, Any]:
    """A node's configuration with what the file that it names says; the former counts first.

    Returns:
        Everything but what Flower itself puts there.

    Raises:
        ConfigError: the file cannot be used, or a path is relative: where a node's process begins
            is not known.
    """
    own = {name: value for name, value in node_config.items() if name not in FLOWERS}
    file = own.pop(FILE, None)
    for name, path in (("site", file), ("data", own.get("data")), ("state", own.get("state"))):
        if path is not None and not os.path.isabs(os.path.expanduser(str(path))):
            raise ConfigError(f"--node-config {name}='{path}' is relative: give the whole path")
    if file is None:
        return own
    return read_site_file(Path(os.path.expanduser(str(file)))) | own


def _object_of(text: str) -> object:
    """Pairs as a JSON object, where names have commas or equals signs.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError('{"OWN": "CLASS"} is what it has to look like, and is not JSON') from error


def site_files(folder: str) -> list[Path]:
    """The files of the sites of a simulation, in order of their names: client 0, 1, 2 and so on.

    Raises:
        ConfigError: there is no such folder, or no file in it.
    """
    path = Path(os.path.expanduser(folder))
    files = sorted(path.glob("*.toml")) if folder and path.is_dir() else []
    if not files:
        raise ConfigError(
            f"--data sites:{folder}: there is no folder with a .toml file for each site"
        )
    return files
