"""Options that every run shares, and how options are read: one place for all commands."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fedseed.errors import ConfigError
from fedseed.files import read_toml
from fedseed.validation import first_problem


class Options(BaseModel):
    """How a run is executed. Field descriptions are the command line's help texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    subject: ClassVar[str] = "How it is computed"
    """The heading under which ``--help`` shows a class's own options."""
    execution: ClassVar[frozenset[str]] = frozenset({"workers"})
    """Options that say how a run is executed and change no result."""
    small: ClassVar[Mapping[str, Any]] = {}
    """What ``--quick`` sets unless it was given."""

    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision of training and testing: auto takes bf16 where "
        "it is faster (CUDA, AMX, AVX-512 bf16 of an AMD processor), else fp32."
    )  # fmt: skip
    quick: bool = Field(
        False, description="A small run to see that everything works, with fewer and smaller "
        "parts unless they are given. Its numbers mean little."
    )  # fmt: skip
    workers: str = Field(
        "auto", pattern=r"^(auto|[1-9]\d{0,3})$", description="Worker processes, one thread each: "
        "a number, or auto for one a core."
    )  # fmt: skip

    @field_validator("workers", mode="before")
    @classmethod
    def _is_a_number_or_auto(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make a configuration of option names (with - or _) and values; None is left out.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        named = {name.replace("-", "_"): value for name, value in values.items()}
        try:
            return cls(**{name: value for name, value in named.items() if value is not None})
        except ValidationError as error:
            raise ConfigError(first_problem(error, dashes=True)) from error

    @classmethod
    def from_toml(cls, path: Path, also: Collection[str] = ()) -> dict[str, Any]:
        """Read option values from a TOML file, for :meth:`parse`.

        Args:
            path: the file.
            also: further names that the command line knows.

        Raises:
            ConfigError: the file cannot be read or is not TOML, or names an unknown option.
        """
        values = read_toml(path, "--config", ConfigError)
        named = {name.replace("-", "_"): value for name, value in values.items()}
        if len(named) < len(values):
            raise ConfigError(f"--config {path}: an option stands there twice, with - and _")
        known = {*cls.option_names(), *also}
        for name in named:
            if name not in known:
                raise ConfigError(f"--config {path}: unknown option '{name}': see --help")
        return named

    @classmethod
    def option_names(cls) -> Collection[str]:
        """Names of all options that there are."""
        return cls.model_fields

    @classmethod
    def names_for_help(cls) -> list[str]:
        """Names of all options: a class's before those of its base classes."""
        options = [base for base in cls.__mro__ if issubclass(base, Options)]
        names = [name for base in options for name in base.__annotations__]
        return list(dict.fromkeys(name for name in names if name in cls.model_fields))

    @classmethod
    def subject_of(cls, name: str) -> str:
        """The heading of an option: that of the class which it is first declared in."""
        owners = [base for base in cls.__mro__ if issubclass(base, Options)]
        return next(base.subject for base in owners[::-1] if name in base.__annotations__)

    def with_quick(self) -> Self:
        """The configuration that runs: ``--quick`` shrinks what was not given."""
        if not self.quick:
            return self
        small = self.small_values().items()
        return self.replace(**{n: v for n, v in small if n not in self.model_fields_set})

    def small_values(self) -> Mapping[str, Any]:
        """What ``--quick`` makes of options that were not given."""
        return self.small

    def values(self) -> dict[str, Any]:
        """All options by name, for :meth:`parse`."""
        return self.model_dump()

    def to_json(self) -> str:
        """All options as JSON, for another process; :meth:`from_json` reads it."""
        return json.dumps(self.values())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Options from :meth:`to_json`."""
        return cls.parse(json.loads(text))

    def replace(self, **changes: Any) -> Self:
        """The same options with some changes, checked again.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        return self.parse(self.values() | changes)

    def for_record(self) -> dict[str, Any]:
        """What decides the results: every option but those of execution."""
        return {name: value for name, value in self.values().items() if name not in self.execution}


def refuse_no_path(value: str | None) -> str | None:
    """A validator for names and paths: not empty, no null byte, and UTF-8, which clients get."""
    if value is None:
        return value
    if not value or "\0" in value:
        raise ValueError("no name or path")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("letters that are not UTF-8: rename it, or set PYTHONUTF8=1")
    return value


def is_whole(word: str) -> bool:
    """Whether a word is a whole number in the digits 0 to 9."""
    return word.isascii() and word.isdigit()
