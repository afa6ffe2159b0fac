"""What a node's operator lets a server ask of it: limits from the node's own configuration.

They hold whatever the run's options say, which come from the server's side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fedseed.config import RunConfig
from fedseed.errors import ConfigError, WireError

_NAMES = {
    "most-rounds": "rounds", "most-tokens": "tokens", "most-epsilon": "epsilon",
    "smallest-sum": "smallest_sum",
}  # fmt: skip
"""In a node's configuration."""


@dataclass(frozen=True)
class Limits:
    """Of one node."""

    rounds: int = 1000
    """Largest number of a round."""
    tokens: int = 20_000_000
    """Of all trainings of one message: steps x texts of a step x tokens of a text."""
    epsilon: float | None = None
    """Largest budget; with one the node takes part under differential privacy only."""
    smallest_sum: int = 2
    """Fewest clients whose sum it takes part in."""

    @classmethod
    def of(cls, node_config: Mapping[str, Any]) -> Self:
        """Read a node's configuration; what it does not name is as by default.

        Raises:
            ConfigError: a limit is no number above 0.
        """
        given = {name: node_config[key] for key, name in _NAMES.items() if key in node_config}
        for key, name in _NAMES.items():
            value = given.get(name, 1)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (name == "epsilon" and isinstance(value, float))) or not value > 0:
                raise ConfigError(f"--node-config {key}={value}: give a number above 0")
        return cls(**given)

    def refuse(self, config: RunConfig, round_number: int) -> None:
        """Refuse a run, or a round of it, that goes beyond.

        Raises:
            WireError: with what is asked for, and what is allowed.
        """
        if round_number > self.rounds:
            raise WireError(
                f"round {round_number:,} is asked for, this node allows {self.rounds:,}"
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
