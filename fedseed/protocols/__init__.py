"""Protocols: what travels in each direction and how it is aggregated. One folder each.

A folder's ``__init__.py`` holds its description as ``PROTOCOL``; packages outside fedseed bring
theirs through entry points of the group ``fedseed.protocols``. Nothing here imports torch, so that
a command line can be read quickly.
"""

import functools
from collections.abc import Mapping
from typing import Any

from fedseed.discovery import entry_points, load, load_description, module_names
from fedseed.errors import ConfigError
from fedseed.protocols.description import Protocol

ENTRY_POINTS = "fedseed.protocols"
"""Entry points of this group name protocols of other packages: ``NAME = "module:PROTOCOL"``."""


def protocol_names() -> tuple[str, ...]:
    """Names that ``--protocol`` takes: those of fedseed, then those of other packages.

    A name that fedseed has itself means fedseed's protocol, whatever other packages bring.
    """
    known = _folders()
    outside = [point.name for point in entry_points(ENTRY_POINTS)]
    return (*known, *dict.fromkeys(name for name in outside if name not in known))


@functools.cache
def _folders() -> tuple[str, ...]:
    """Protocols that are folders here."""
    return module_names(__path__, folders_only=True)


def find_protocol(name: str) -> Protocol:
    """The description of a protocol.

    Raises:
        ConfigError: there is none of that name, or the package that brings it is broken.
    """
    if name in _folders():
        protocol: Protocol = load(f"{__name__}.{name}:PROTOCOL")
        return protocol
    for point in entry_points(ENTRY_POINTS):
        if point.name == name:
            return load_description(point, Protocol, ConfigError)
    raise ConfigError(f"unknown protocol '{name}': choose from {', '.join(protocol_names())}")


def all_protocols() -> list[Protocol]:
    """Descriptions of all protocols, from the fewest bytes up to the most.

    A package whose protocol cannot be imported is left out: asked for by name it says why.
    """
    protocols = []
    for name in protocol_names():
        try:
            protocols.append(find_protocol(name))
        except ConfigError:
            continue
    return sorted(protocols, key=lambda protocol: (protocol.typical_upload, protocol.name))


def refuse_unknown_options(protocol: Protocol, values: Mapping[str, Any]) -> None:
    """Raise a ValueError for options of other protocols, or of none.

    Args:
        protocol: the one that is run.
        values: options that are not every run's, by name.
    """
    for name in values:
        if name in protocol.options.model_fields:
            continue
        owners = [p.name for p in all_protocols() if name in p.options.model_fields]
        if owners:
            raise ValueError(
                f"--{name.replace('_', '-')} is an option of protocol {' and '.join(owners)}, not "
                f"{protocol.name}: leave it out"
            )
        raise ValueError(f"unknown name '{name.replace('_', '-')}'")
