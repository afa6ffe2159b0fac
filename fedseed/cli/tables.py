"""Tables of protocols and their options, in Markdown: printed by a command, and part of docs."""

import types
from typing import Any, Literal, get_args, get_origin

from fedseed.cli.flags import flag_of
from fedseed.protocols import all_protocols, find_protocol


def protocol_table() -> str:
    """All protocols, from the fewest bytes up to the most."""
    rows = [
        f"| {protocol.name} | {protocol.summary} | a {protocol.ends_with} | "
        f"{', '.join(protocol.privacy) or '-'} |"
        for protocol in all_protocols()
    ]
    head = ["| protocol | what travels | a run ends with | privacy by |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def option_table(name: str) -> str:
    """One protocol's own options.

    Raises:
        ConfigError: there is no such protocol.
    """
    protocol = find_protocol(name)
    rows = [
        f"| `{flag_of(option)}` | {_kind(field.annotation)} | "
        f"{'none' if field.default is None else field.default} | {field.description} |"
        for option, field in protocol.options.model_fields.items()
    ]
    if not rows:
        return f"`--protocol {name}` has no options beside those of every run."
    head = ["| option | values | default | what it is |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _kind(annotation: Any) -> str:
    """What may be written for an option."""
    if get_origin(annotation) is Literal:
        return ", ".join(str(value) for value in get_args(annotation))
    if isinstance(annotation, types.UnionType):
        return next(_kind(part) for part in get_args(annotation) if part is not type(None))
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(
        annotation, "a name"
    )
