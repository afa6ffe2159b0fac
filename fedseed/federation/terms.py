"""Terms: what a server and its nodes agree on before the first round of a deployment."""

import hashlib
import importlib.metadata
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedseed.config import RunConfig
from fedseed.errors import WireError
from fedseed.models.published import tokenizer_file
from fedseed.validation import first_problem

TERMS = "terms"
"""Where a client's memory has them."""
_LONGEST = 1 << 20


class Terms(BaseModel):
    """What both sides must have alike. Their sizes are bounded before they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    study: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Drawn when the study began; the same when its server is started again."""
    fedseed: str
    """Version."""
    classes: tuple[str, ...] = Field(max_length=255, strict=False)
    model: str
    tokenizer: str
    """sha256 of its file."""
    max_length: int
    rounds: int
    clients: int

    @classmethod
    def of(cls, config: RunConfig, classes: tuple[str, ...], study: str) -> Self:
        """The terms of a run.

        Args:
            config: its resolved options.
            classes: their names, by number.
            study: its name.
        """
        digest = hashlib.sha256(tokenizer_file(config.model).read_bytes()).hexdigest()
        return cls(
            study=study, fedseed=version(), classes=classes, model=config.model, tokenizer=digest,
            max_length=config.length, rounds=config.rounds, clients=config.clients,
        )  # fmt: skip

    def encode(self) -> bytes:
        """As bytes of JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read terms.

        Raises:
            WireError: they are too long, malformed or incomplete.
        """
        if len(data) > _LONGEST:
            raise WireError(f"terms of {len(data):,} bytes are too long")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise WireError(f"terms: {first_problem(error)}"[:200]) from error

    def of_classes(self, config: RunConfig) -> RunConfig:
        """A run's options with the classes that were agreed."""
        return config.replace(classes=",".join(self.classes))

    def refuse_other(self, config: RunConfig) -> None:
        """Refuse terms that are not those of a node's own files and versions.

        Raises:
            WireError: with what differs.
        """
        own = type(self).of(config, self.classes, self.study)
        for name in ("fedseed", "model", "tokenizer", "max_length", "rounds", "clients"):
            theirs, ours = getattr(self, name), getattr(own, name)
            if theirs != ours:
                words = name.replace("_", " ")
                raise WireError(f"{words} {theirs!s:.40} there, {ours!s:.40} here: use the same")


def version() -> str:
    """The installed version of fedseed."""
    try:
        return importlib.metadata.version("fedseed")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
