"""RunConfig: every option of a federated run, validated when it is made, the protocol's among them.

The command line, a TOML file and Flower's flat ``run_config`` all map to it, and only here.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator

from fedseed.data.options import DEFAULT_LENGTH
from fedseed.data.site_options import SiteOptions, with_all_sites
from fedseed.errors import ConfigError
from fedseed.models.architecture import FROM_PRNG
from fedseed.options import refuse_no_path
from fedseed.privacy.options import DifferentialPrivacyOptions, SecureAggregationOptions
from fedseed.privacy.protection import DpSgd
from fedseed.privacy.rules import (
    refuse_impossible_privacy,
    refuse_impossible_threshold,
    usual_threshold,
)
from fedseed.protocols import (
    all_protocols,
    find_protocol,
    protocol_names,
    refuse_unknown_options,
)
from fedseed.protocols.description import Protocol, ProtocolOptions
from fedseed.protocols.start import (
    DEFAULT_PROTOCOL,
    LEXICON,
    LEXICON_LENGTH,
    begins_with_lexicon,
    refuse_impossible_start,
    with_start,
)
from fedseed.protocols.sums import refuse_what_does_not_add_up
from fedseed.validation import first_problem

Cell = bool | float | int | str
FOLDER = "folder"  # in Flower's run_config: where the server writes


class RunConfig(DifferentialPrivacyOptions, SecureAggregationOptions, SiteOptions):
    """A federated run. Field descriptions are the command line's help texts."""

    subject: ClassVar[str] = "The run"
    execution: ClassVar[frozenset[str]] = frozenset({"engine", "workers"})
    small: ClassVar[Mapping[str, Any]] = {
        "clients": 4, "newcomers": 1, "rounds": 2, "steps": 15, "test_examples": 500,
        "participants_test_examples": 200,
    }  # fmt: skip
    small_of_bodies: ClassVar[Mapping[str, Any]] = {
        "steps": 5, "test_examples": 100, "participants_test_examples": 50, "validation_share": 0.02
    }  # fmt: skip
    """Beside :attr:`small`, of a published model, whose steps take twenty times as long."""

    rounds: int = Field(3, ge=1, le=100_000, description="Rounds of training.")
    cohort: int | None = Field(
        None, ge=1, description="Clients drawn for each round; without it all of them."
    )
    protocol: str = Field(
        DEFAULT_PROTOCOL, description="What travels: "
        f"{', '.join(protocol_names()[:-1])} or {protocol_names()[-1]}. With --help: its options."
    )  # fmt: skip
    options: SerializeAsAny[ProtocolOptions]
    """The protocol's own options, an instance of its ``options``."""
    start: Literal["auto", "random", "lexicon"] = Field(
        "auto", description="What rounds begin from: lexicon (a seed that knows: the first round "
        "makes it of weighted words, under the options of protocol lexicon), random (the seed as "
        "it is), or auto: lexicon for recipes of a new seed, else random."
    )  # fmt: skip
    start_options: SerializeAsAny[ProtocolOptions] | None = None
    """Options of the lexicon round that the run begins with; None when it does not."""
    scheme: Literal["bert", "scaled"] = Field(
        "scaled", description="Initialisation scheme of a random seed: bert or scaled."
    )
    seed_file: str | None = Field(
        None, description="A .fseed file to broadcast instead of a new seed."
    )
    recipe: str | None = Field(
        None, description="How clients train, a TOML file; without it as in the protocol's row of "
        "the comparison, for protocol recipe as the seed documents do (Adam, 2e-5, 30 steps of 32)."
    )  # fmt: skip
    steps: int = Field(
        90, ge=1, le=1_000_000, description="Step budget of a client in one round, optimiser steps."
    )
    drop_rate: float = Field(0.0, ge=0, le=1, description="Probability that a reply is lost.")
    min_clients: int = Field(
        1, ge=1, description="Fewest believable replies a round may have before the run ends."
    )
    test_every: int | None = Field(
        None, ge=1, description="Test the server's model after every so many rounds, if it has one."
    )
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu, cuda or cuda:1; "
        "on a GPU clients train together as one stacked model."
    )  # fmt: skip
    compile: bool = Field(
        False, description="Pass models outside the BERT family through torch.compile: a start "
        "of half a minute, kept in its cache, for faster steps."
    )  # fmt: skip
    engine: Literal["local", "ray"] = Field(
        "local", description="local (in process or worker processes) or ray (Flower's simulation)."
    )
    client_timeout: float | None = Field(
        None, gt=0, description="Seconds a client may take in one round; then it is left out."
    )

    @field_validator("recipe", "seed_file")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        return refuse_no_path(value)

    @model_validator(mode="before")
    @classmethod
    def _take_protocol_options(cls, values: Any) -> Any:
        """Put options that are not the run's into the protocol's, and into those of the start."""
        if not isinstance(values, Mapping) or "options" in values:
            return values
        values = with_start(with_all_sites(values))
        try:
            protocol = find_protocol(str(values.get("protocol", DEFAULT_PROTOCOL)))
        except ConfigError as error:
            raise ValueError(str(error)) from error
        parts = {"options": protocol}
        if begins_with_lexicon(values):
            parts["start_options"] = find_protocol(LEXICON)
        left = {n: v for n, v in values.items() if n not in cls.model_fields}
        made: dict[str, ProtocolOptions] = {}
        for name, part in parts.items():
            taken = sorted(cls.model_fields.keys() & part.options.model_fields.keys())
            if taken:
                raise ValueError(
                    f"the option '{taken[0]}' of protocol {part.name} is one that every run has: "
                    "rename it in the package that brings the protocol"
                )
            known = {n: left.pop(n) for n in list(left) if n in part.options.model_fields}
            made[name] = _made(part, known)
        refuse_unknown_options(protocol, left)
        return {n: v for n, v in values.items() if n in cls.model_fields} | made

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        protocol = find_protocol(self.protocol)
        able: list[str] = []
        if self.privacy is not None and self.privacy not in protocol.privacy:
            able = [p.name for p in all_protocols()[::-1] if self.privacy in p.privacy]
        refuse_impossible_privacy(
            self, self.protocol, self.options, protocol.privacy, protocol.privacy_advice, able
        )
        if self.min_clients > self.cohort_size:
            raise ValueError("--min-clients is larger than --clients or --cohort: lower it")
        if self.cohort_size > self.clients:
            raise ValueError("--cohort is larger than --clients: lower it")
        if self.start_options is not None:
            refuse_impossible_start(self.model_dump())
        if self.secure_aggregation:
            refuse_what_does_not_add_up(self._stages())
            refuse_impossible_threshold(self.threshold, self.cohort_size)
        elif self.threshold is not None:
            raise ValueError("--threshold works with --secure-aggregation only: leave it out")
        self.options.check_steps(self.steps)
        self.refuse_impossible_sites(isinstance(protocol.privacy.get(self.privacy or ""), DpSgd))
        return self

    def _stages(self) -> list[tuple[Protocol, ProtocolOptions, int]]:
        """Protocol, options and rounds of every stage of the run, the last one first."""
        stages = [(find_protocol(self.protocol), self.options, self.rounds)]
        if self.start_options is not None:
            rounds = int(getattr(self.start_options, "start_rounds", 1))
            stages.append((find_protocol(LEXICON), self.start_options, rounds))
        return stages

    @property
    def resolved_threshold(self) -> int:
        """Fewest clients whose sum becomes known under secure aggregation."""
        return self.threshold or usual_threshold(self.cohort_size)

    def small_values(self) -> Mapping[str, Any]:
        """See :class:`Options`."""
        small = {n: v for n, v in self.small.items() if n not in self.said_by_sites}
        if not self.starts_from_a_body:
            return small
        own = self.options.small_of_bodies.items()
        left = {n: value for n, value in own if n not in self.options.model_fields_set}
        return {**small, **self.small_of_bodies, **left}

    @property
    def starts_from_a_body(self) -> bool:
        """Whether the model has published weights."""
        return self.model not in FROM_PRNG

    @property
    def length(self) -> int:
        """See :class:`DataOptions`: more where a lexicon comes first."""
        usual = DEFAULT_LENGTH if self.start_options is None else LEXICON_LENGTH
        return self.max_length or usual

    @property
    def resolved_start(self) -> Literal["random", "lexicon"]:
        """What the rounds begin from."""
        return "random" if self.start_options is None else "lexicon"

    def for_classes(self, classes: int) -> Self:
        """The same options, with defaults that depend on the number of classes."""
        own = self.options.for_classes(classes)
        start = {} if self.start_options is None else self.start_options.for_classes(classes)
        return self.replace(**(start | own))

    def from_random(self) -> Self:
        """The same options without a lexicon round, nor its options."""
        values = self.values()
        if self.start_options is not None:
            values = {n: v for n, v in values.items() if n not in self.start_options.model_dump()}
        return self.parse(values | {"start": "random"})

    @property
    def public_texts(self) -> str | None:
        """See :class:`ShardOptions`."""
        return self.options.public_texts

    @property
    def cohort_size(self) -> int:
        """Clients in one round."""
        return self.clients if self.cohort is None else self.cohort

    @classmethod
    def option_names(cls) -> Collection[str]:
        """See :class:`Options`: those of the run and of every protocol."""
        names = {name for name in cls.model_fields if name not in _PARTS}
        return names.union(*(protocol.options.model_fields for protocol in all_protocols()))

    @classmethod
    def names_for_help(cls) -> list[str]:
        """See :class:`Options`: the protocol's own options are shown by the protocol's name."""
        return [name for name in super().names_for_help() if name not in _PARTS]

    def values(self) -> dict[str, Any]:
        """See :class:`Options`: the run's options, and beside them those of its protocols."""
        start = {} if self.start_options is None else self.start_options.model_dump()
        own = self.model_dump(exclude=set(_PARTS)) | self.options.model_dump()
        return {name: value for name, value in start.items() if name != "then"} | own

    def to_run_config(self) -> dict[str, Cell]:
        """The configuration as Flower's flat ``run_config``: absent values are empty strings.

        Other protocols' options are there too, absent: Flower takes no names that it has not seen.
        """
        absent = dict.fromkeys(sorted(self.option_names()))
        return {
            name.replace("_", "-"): "" if value is None else value
            for name, value in (absent | self.values()).items()
        }

    @classmethod
    def from_run_config(cls, run_config: Mapping[str, Cell]) -> Self:
        """Read Flower's flat ``run_config``, in which every option has a value.

        An empty string is an absent value; a default counts as not given, and so does a folder.

        Raises:
            ConfigError: an unknown name or an impossible value.
        """
        defaults = {**cls.parse({}).to_run_config(), FOLDER: run_config.get(FOLDER)}
        given = {n: value for n, value in run_config.items() if defaults.get(n) != value}
        return cls.parse({name: value for name, value in given.items() if value != ""})

    def refuse_without_effect(self) -> None:
        """Refuse options that are not at their defaults and would change nothing.

        Raises:
            ConfigError: naming the option and what it works with.
        """
        useless: dict[str, str] = dict(self.options.without_effect())
        if self.partition not in ("dirichlet", "quantity"):
            useless["alpha"] = "--partition dirichlet or quantity"
        if self.partition != "shards":
            useless["shards_per_client"] = "--partition shards"
        if find_protocol(self.protocol).ends_with == "recipe":
            useless["test_every"] = f"a --protocol whose server has a model, not {self.protocol}"
        if self.seed_file is not None:
            useless["scheme"] = "a new seed, not --seed-file"
        fields = {**type(self).model_fields, **type(self.options).model_fields}
        for name, needed in useless.items():
            if self.values()[name] != fields[name].default:
                flag = "--" + name.replace("_", "-")
                raise ConfigError(f"{flag} works with {needed} only: leave it out")


_PARTS = ("options", "start_options")
"""Fields whose own fields stand beside the run's."""


def _made(protocol: Protocol, values: Mapping[str, Any]) -> ProtocolOptions:
    try:
        return protocol.options.model_validate(values)
    except ValidationError as error:
        raise ValueError(first_problem(error, dashes=True)) from error
