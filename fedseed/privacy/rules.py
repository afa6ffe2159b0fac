"""Which privacy options fit together, and with a protocol."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from fedseed.privacy.options import DifferentialPrivacyOptions
from fedseed.privacy.protection import Protection

FEWEST_CLIENTS = 3
"""Clients whose sum hides each of them."""


def refuse_impossible_privacy(
    options: DifferentialPrivacyOptions,
    protocol: str,
    protocol_options: Any,
    protections: Mapping[str, Protection],
    advice: Mapping[str, str],
    able: Sequence[str],
) -> None:
    """Refuse privacy options that do not fit together, or do not fit the protocol.

    Args:
        options: those of privacy.
        protocol: the protocol's name.
        protocol_options: the protocol's own options.
        protections: how the protocol can be protected, by unit.
        advice: why it cannot be, by unit.
        able: protocols that can be protected in this unit, for messages.

    Raises:
        ValueError: with one line that says what to do.
    """
    unit = options.privacy
    if unit is None:
        _refuse_without_unit(options)
        return
    _refuse_without_packages(unit)
    if unit not in protections:
        raise ValueError(advice.get(unit) or _unable(unit, protocol, able))
    protection = protections[unit]
    protection.refuse(protocol_options, options)
    if options.epsilon is None and options.noise is None:
        raise ValueError(f"--privacy {unit} needs --epsilon, a budget, or --noise")
    if protection.needs_clip and options.clip is None:
        given = "noise" if options.epsilon is None else "epsilon"
        raise ValueError(f"--{given} needs --clip: give the largest norm of {protection.clipped}")
    if not protection.needs_clip and options.clip is not None:
        raise ValueError(
            f"--clip: what a client of protocol {protocol} sends is bounded: leave it out"
        )


def _refuse_without_packages(unit: str) -> None:
    """Refuse privacy that cannot be accounted for: its packages are an extra."""
    if any(importlib.util.find_spec(name) is None for name in ("dp_accounting", "opacus")):
        raise ValueError(f"--privacy {unit} needs more packages: pip install 'fedseed[privacy]'")


def _refuse_without_unit(options: DifferentialPrivacyOptions) -> None:
    for name in ("epsilon", "noise", "clip", "delta"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} needs --privacy: say what it protects, example or client")


def _unable(unit: str, protocol: str, able: Sequence[str]) -> str:
    choices = f"{', '.join(able[:-1])} or {able[-1]}" if len(able) > 1 else "".join(able)
    if unit == "example":
        return (
            f"--privacy example: nothing protects single examples in what clients of protocol "
            f"{protocol} send: use --protocol {choices}"
        )
    return (
        f"--privacy client: nothing noises what protocol {protocol} sends: use --protocol {choices}"
    )


def usual_threshold(cohort: int) -> int:
    """The fewest clients whose sum may become known: two thirds, and more than half."""
    return max(2, cohort // 2 + 1, -(-2 * cohort // 3))


def refuse_impossible_threshold(threshold: int | None, cohort: int) -> None:
    """Refuse a threshold of secure aggregation that hides too little, or cannot be reached.

    Raises:
        ValueError: with one line that says what to do.
    """
    if cohort < FEWEST_CLIENTS:
        raise ValueError(
            f"--secure-aggregation: a sum of {cohort} clients tells each the other's: give "
            f"--clients or --cohort {FEWEST_CLIENTS} at least"
        )
    if threshold is not None and not cohort // 2 + 1 <= threshold <= cohort:
        raise ValueError(
            f"--threshold {threshold}: give more than half of the {cohort} clients of a round and "
            f"not more than all, {cohort // 2 + 1} to {cohort}"
        )
