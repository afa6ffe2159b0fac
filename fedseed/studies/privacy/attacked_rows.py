"""The rows that can be attacked, and what of their protocols' descriptions the study goes by."""

from dataclasses import replace
from typing import Any

from fedseed.attacks import attacks
from fedseed.privacy.protection import DpSgd, Protection, Unit
from fedseed.protocols import find_protocol
from fedseed.protocols.description import Protocol
from fedseed.studies.rows import BOUNDS, ROWS, StudyRow


def attackable_rows() -> list[str]:
    """Rows of the comparison in which something travels, from the fewest bytes to the most."""
    return [name for name in ROWS if name not in BOUNDS]


def main_rows() -> list[str]:
    """Rows that are attacked when none are named."""
    return [name for name in attackable_rows() if ROWS[name].attacked]


def protocol_of(row: str) -> Protocol:
    """The description of a row's protocol."""
    name = ROWS[row].protocol
    assert name is not None  # nothing travels under a bound, which nobody attacks
    return find_protocol(name)


def attacked_row(row: str, **changes: Any) -> StudyRow:
    """A row as it is attacked.

    Args:
        row: its name.
        changes: fields of :class:`StudyRow` that are to be others.
    """
    compared = ROWS[row]
    attacked = replace(
        compared,
        recipe=compared.attacked_recipe or compared.recipe,
        options={**compared.options, **compared.attacked_options},
    )
    return replace(attacked, **changes)


def defended_unit(row: str) -> Unit | None:
    """What a budget protects where accuracy is measured under it; None where it is not measured.

    A client, where what it sends is bounded of itself; else an example, where the audit puts the
    training to the test.
    """
    protocol = protocol_of(row)
    by_client = protocol.privacy.get("client")
    if by_client is not None and not by_client.needs_clip:
        return "client"
    return "example" if attacks()["audit"].applies("server", protocol) else None


def protection_of(row: str, unit: Unit) -> Protection:
    """How a row's protocol protects a unit that it can protect."""
    return protocol_of(row).privacy[unit]


def trains_by_dp_sgd(row: str) -> bool:
    """Whether a row's defence slows training down."""
    unit = defended_unit(row)
    return unit is not None and isinstance(protection_of(row, unit), DpSgd)
