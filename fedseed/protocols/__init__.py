"""Protocols: what travels in each direction and how it is aggregated. One folder each.

A folder's ``__init__.py`` holds its description as ``PROTOCOL``; packages outside fedseed bring
theirs through entry points of the group ``fedseed.protocols``. Nothing here imports torch, so that
a command line can be read quickly.
"""

import functools
import importlib.metadata
import pkgutil

from fedseed.errors import ConfigError, first_line
from fedseed.protocols.description import Protocol, load

ENTRY_POINTS = "fedseed.protocols"
"""Entry points of this group name protocols of other packages: ``NAME = "module:PROTOCOL"``."""


@functools.cache
def _folders() -> tuple[str, ...]:
    """Protocols that are folders here."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def _outside() -> dict[str, importlib.metadata.EntryPoint]:
    """Protocols of other packages, by name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def protocol_names() -> tuple[str, ...]:
    """Names that ``--protocol`` takes: those of fedseed, then those of other packages."""
    return (*_folders(), *(name for name in sorted(_outside()) if name not in _folders()))


def find_protocol(name: str) -> Protocol:
    """The description of a protocol.

    Raises:
        ConfigError: there is none of that name, or the package that brings it is broken.
    """
    if name in _folders():
        protocol: Protocol = load(f"fedseed.protocols.{name}:PROTOCOL")
        return protocol
    point = _outside().get(name)
    if point is None:
        raise ConfigError(f"unknown protocol '{name}': choose from {', '.join(protocol_names())}")
    return _from_package(point)


def _from_package(point: importlib.metadata.EntryPoint) -> Protocol:
    package = point.dist.name if point.dist else point.value
    try:
        found = point.load()
    except Exception as error:  # whatever another package does when it is imported
        raise ConfigError(
            f"protocol {point.name} of the package {package} cannot be imported "
            f"({first_line(error)}): mend or uninstall the package"
        ) from error
    if not isinstance(found, Protocol) or found.name != point.name:
        raise ConfigError(
            f"the entry point {point.name} of the package {package} is no description of a "
            f"protocol of that name: it is to name a Protocol(name='{point.name}', ...)"
        )
    return found


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
