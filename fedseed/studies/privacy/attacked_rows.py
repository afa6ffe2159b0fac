"""The rows that can be attacked, and what of their protocols' descriptions the study goes by."""

from dataclasses import replace
from typing import Any

from fedseed.attacks import attacks
from fedseed.privacy.protection import Unit
from fedseed.privacy.rules import FEWEST_CLIENTS
from fedseed.protocols import find_protocol
from fedseed.protocols.description import Protocol
from fedseed.recipe import Recipe
from fedseed.studies.rows import BOUNDS, ROWS, StudyRow


def attackable_rows() -> list[str]:
    """Rows of the comparison in which something travels, from the fewest bytes to the most."""
    return [name for name in ROWS if name not in BOUNDS]


def main_rows() -> list[str]:
    """Rows that are attacked when none are named."""
    return [name for name in attackable_rows() if ROWS[name].attacked]


def fewest_clients(row: str) -> int:
    """Clients that a row needs: three where a sum hides each."""
    return FEWEST_CLIENTS if sums_unseen(row) else 1


def sums_unseen(row: str) -> bool:
    """Whether the server of a row sees the sum alone."""
    return bool(ROWS[row].options.get("secure_aggregation"))


def adds_up(row: str) -> bool:
    """Whether clients of a row could be summed unseen, and are not."""
    protocol, options = protocol_of(row), ROWS[row].options
    if protocol.sums is None or sums_unseen(row):
        return False
    own = {k: v for k, v in options.items() if k in protocol.options.model_fields}
    try:
        protocol.sums.refuse(protocol.options(**own), ROWS[row].rounds or 1)
    except ValueError:
        return False
    return True


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


def audited_row(row: StudyRow, recipe: Recipe, steps: int) -> StudyRow:
    """One round of a row, with what an auditor chooses; no round before it makes its seed."""
    options = {name: value for name, value in row.options.items() if name != "start"}
    return replace(row, recipe=recipe, steps=steps, rounds=1, options=options)


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


def place_of(observer: str, row: str, setting: str | None) -> dict[str, Any]:
    """What begins every cell; the setting is None for the watched runs as they are."""
    name = protocol_of(row).name
    return {"observer": observer, "row": row, "protocol": name, "setting": setting}
