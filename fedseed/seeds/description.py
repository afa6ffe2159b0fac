"""How a seed kind describes itself: all that the rest of fedseed knows of it by name.

Light to import: no torch, so that ``--help`` is quick.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fedseed.discovery import load
from fedseed.errors import ConfigError
from fedseed.validation import first_problem

MadeFrom = Literal["weights", "key", "name", "texts", "counts", "rounds"]
"""``weights``: extracted from them. ``key``: everything is drawn from it. ``name``: names published
weights. ``texts``: a linear model of labelled texts, extracted beforehand. ``counts``: how often
each token stands in a text. ``rounds``: what rounds of a protocol end with."""
OWN_CODES = range(1, 128)
"""Codes of fedseed's own kinds; packages outside take one in 128 to 255."""


class SeedOptions(BaseModel):
    """Options of making a seed of a kind; the flags of ``extract`` are made of the fields.

    A description is the flag's help text. Validators raise ValueError with one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make options of names and values.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigError(first_problem(error, dashes=True)) from error


@dataclass(frozen=True)
class SeedRow:
    """A seed that studies compare: a kind with some options."""

    words: str
    """What it is, for tables."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the kind, by name."""
    drawn: bool = True
    """Whether the assembled weights depend on the key, so that studies repeat it."""
    for_language_models: bool = True
    """Whether it can be made of a causal language model."""


@dataclass(frozen=True)
class SeedKind:
    """One way to describe a model in a few bytes, as the rest of fedseed sees it.

    It stands as ``SEED_KIND`` in a file or folder of :mod:`fedseed.seeds.kinds`, or in a package
    that names it by an entry point of the group ``fedseed.seeds``.
    """

    name: str
    code: int
    """The kind's byte in a .fseed file, 1 to 255: never reused, never changed."""
    summary: str
    """What the seed holds, in a few words."""
    made_from: MadeFrom
    format: str
    """``module:attribute`` of a :class:`fedseed.seeds.base.SeedFormat`."""
    options: type[SeedOptions] = SeedOptions
    file_version: int = 1
    """Of the .fseed file: 1 ends with 32 bytes of a checksum, 2 with 8."""
    rows: Mapping[str, SeedRow] = field(default_factory=dict)
    """Rows of the studies, by name."""

    @property
    def is_extracted(self) -> bool:
        """Whether a seed of this kind is made of a model's weights."""
        return self.made_from == "weights"

    def make_format(self) -> Any:
        """The object that writes and reads payloads; imports it."""
        return load(self.format)()
