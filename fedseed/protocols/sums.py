"""Which protocols go with secure aggregation: those whose contributions add up. Light to import."""

from collections.abc import Iterable

from fedseed.protocols import all_protocols
from fedseed.protocols.description import Protocol, ProtocolOptions


def refuse_what_does_not_add_up(stages: Iterable[tuple[Protocol, ProtocolOptions, int]]) -> None:
    """Refuse secure aggregation where the server must see each contribution.

    Args:
        stages: protocol, options and rounds of each stage of a run.

    Raises:
        ValueError: with one line that says what to do.
    """
    for protocol, options, rounds in stages:
        if protocol.sums is None:
            able = [p.name for p in all_protocols() if p.sums is not None]
            raise ValueError(
                f"--secure-aggregation: the server must see each contribution of protocol "
                f"{protocol.name}: use --protocol {', '.join(able[:-1])} or {able[-1]}"
            )
        try:
            protocol.sums.refuse(options, rounds)
        except ValueError as error:
            raise ValueError(f"--secure-aggregation: {error}") from error
