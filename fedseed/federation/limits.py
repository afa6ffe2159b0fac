"""What a node's operator lets a server ask of it: limits from the node's own configuration.

They hold whatever the run's options say, which come from the server's side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError

_LISTS = ("protocols", "models")
_REAL = ("epsilon", "delta")


@dataclass(frozen=True)
class Limits:
    """Of one node. In its configuration their names begin with ``most-``, but the last four."""

    rounds: int = 1000
    """Largest number of a round."""
    steps: int = 1_000_000
    """Of one training."""
    batch: int = 4096
    """Texts of one step."""
    tokens: int = 20_000_000
    """Of all trainings of one message: steps x texts of a step x tokens of a text."""
    directions: int = 1000
    """Of protocol scalars: each is a pass over all weights for every model that is built."""
    tests: int = 100
    """Of one run; under a privacy budget the two that every run has."""
    message_bytes: int = 1 << 28
    """Of one payload."""
    model_bytes: int = 1 << 31
    """Of the weights in fp32."""
    epsilon: float | None = None
    """Largest budget; with one the node takes part under differential privacy only. Where the node
    has a folder for its state, of all runs together."""
    delta: float = 1e-5
    """Largest delta of such a budget: with one near 1 any epsilon asks for hardly any noise."""
    protocols: tuple[str, ...] = ()
    """Those that it takes part in; all when empty."""
    models: tuple[str, ...] = ()
    """Those that it opens; any when empty."""
    smallest_sum: int = 2
    """Fewest clients whose sum it takes part in."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read a node's configuration; what it does not name is as by default.

        Raises:
            ConfigError: a limit is no number above 0, or no list of names.
        """
        given: dict[str, Any] = {}
        for name in (field.name for field in fields(cls)):
            key = _key(name)
            if key in values:
                given[name] = _names(key, values[key]) if name in _LISTS else values[key]
                if name not in _LISTS:
                    _refuse_no_number(key, values[key], name in _REAL)
        return cls(**given)

    def refuse_run(self, config: RunConfig) -> None:
        """Refuse a run that goes beyond, before anything is opened or remembered for it.

        Raises:
            WireError: with what is asked for, and what is allowed.
        """
        if self.protocols and config.protocol not in self.protocols:
            raise WireError(
                f"protocol {config.protocol} is asked for, this node allows "
                f"{', '.join(self.protocols)}"
            )
        if self.models and config.model not in self.models:
            raise WireError(
                f"model {config.model[:100]} is asked for, this node allows "
                f"{', '.join(self.models)}"
            )
        asked = int(getattr(config.options, "perturbations", 0))
        if asked > self.directions:
            raise WireError(
                f"{asked:,} directions are asked for, this node allows {self.directions:,}"
            )
        if self.epsilon is None:
            return
        if config.privacy is None or config.epsilon is None:
            raise WireError(
                f"this node takes part under --privacy with --epsilon {self.epsilon:g} or less"
            )
        if config.epsilon > self.epsilon:
            raise WireError(
                f"epsilon {config.epsilon:g} is asked for, this node allows {self.epsilon:g}"
            )
        if config.delta is not None and config.delta > self.delta:
            raise WireError(f"delta {config.delta:g} is asked for, this node allows {self.delta:g}")

    def refuse_round(self, number: int) -> None:
        """Refuse a round that comes too late.

        Raises:
            WireError: with what is allowed.
        """
        if number > self.rounds:
            raise WireError(f"round {number:,} is asked for, this node allows {self.rounds:,}")

    def refuse_message(self, payload: bytes) -> None:
        """Refuse a message that is too long.

        Raises:
            WireError: with its length, and what is allowed.
        """
        if len(payload) > self.message_bytes:
            raise WireError(
                f"a message of {len(payload):,} bytes, this node allows {self.message_bytes:,}"
            )


def _key(name: str) -> str:
    """What a limit is called in a node's configuration."""
    key = name.replace("_", "-")
    return key if name in (*_LISTS, "smallest_sum") else f"most-{key}"


def _names(key: str, value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise ConfigError(f"--node-config {key}: give names, joined by commas")
    return tuple(name.strip() for name in names)


def _refuse_no_number(key: str, value: object, may_be_real: bool) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    real = may_be_real and isinstance(value, float)
    if not (whole or real) or not value > 0:  # type: ignore[operator]
        raise ConfigError(f"--node-config {key}={value}: give a number above 0")
