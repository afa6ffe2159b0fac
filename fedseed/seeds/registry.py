"""All seed kinds: those in :mod:`fedseed.seeds.kinds`, and those that other packages bring."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fedseed.discovery import entry_points, load, load_description, module_names, package_of
from fedseed.errors import SeedError
from fedseed.seeds import kinds
from fedseed.seeds.base import SeedFormat
from fedseed.seeds.description import OWN_CODES, SeedKind, SeedRow

ENTRY_POINTS = "fedseed.seeds"
"""Entry points of this group name kinds of other packages: ``NAME = "module:SEED_KIND"``."""


@dataclass
class _Registry:
    by_name: dict[str, SeedKind] = field(default_factory=dict)
    by_code: dict[int, SeedKind] = field(default_factory=dict)
    refused_names: dict[str, str] = field(default_factory=dict)
    """Names that must not be used, and why."""
    refused_codes: dict[int, str] = field(default_factory=dict)
    """Codes that must not be read, and why."""
    broken: list[str] = field(default_factory=list)
    """What is wrong with kinds that could not be imported: nobody knows their codes."""

    def add(self, kind: SeedKind) -> None:
        self.by_name[kind.name] = kind
        self.by_code[kind.code] = kind

    def refuse(self, why: str, kind: SeedKind) -> None:
        """Neither the name nor the code says any more which kind is meant."""
        self.refused_names[kind.name] = self.refused_codes[kind.code] = why


@functools.cache
def _registry() -> _Registry:
    registry = _Registry()
    descriptions = (
        load(f"{kinds.__name__}.{name}:SEED_KIND") for name in module_names(kinds.__path__)
    )
    for kind in sorted(descriptions, key=lambda kind: kind.code):
        registry.add(kind)
    for point in entry_points(ENTRY_POINTS):
        try:
            kind = load_description(point, SeedKind, SeedError)
        except SeedError as error:
            registry.refused_names[point.name] = str(error)
            registry.broken.append(str(error))
            continue
        why = _why_refused(registry, kind)
        if why is None:
            registry.add(kind)
        else:
            package = package_of(point)
            registry.refuse(f"{ENTRY_POINTS} '{kind.name}' of the package {package} {why}", kind)
    return registry


def _why_refused(registry: _Registry, kind: SeedKind) -> str | None:
    """What is wrong with another package's kind; None if it can be used."""
    if kind.name in registry.by_name:
        return f"has the name of another kind, code {registry.by_name[kind.name].code}: rename it"
    if kind.code in registry.by_code:
        return f"has code {kind.code}, which is {registry.by_code[kind.code].name}'s: change it"
    if kind.code in OWN_CODES or not 0 < kind.code < 256:
        return f"has code {kind.code}: packages take one in {OWN_CODES.stop} to 255"
    taken = {row: other.name for other in registry.by_name.values() for row in other.rows}
    for row in kind.rows:
        if row in taken:
            return f"has a row '{row}', which is {taken[row]}'s: rename it"
    return None


def seed_kinds() -> Mapping[str, SeedKind]:
    """All kinds that can be used, by name: fedseed's own by their codes, then other packages'."""
    registry = _registry()
    usable = {n: kind for n, kind in registry.by_name.items() if n not in registry.refused_names}
    return MappingProxyType(usable)


def find_kind(name: str) -> SeedKind:
    """The description of a kind.

    Raises:
        SeedError: there is none of that name, or the package that brings it is to be mended.
    """
    registry = _registry()
    if name in registry.refused_names:
        raise SeedError(registry.refused_names[name])
    if name not in registry.by_name:
        raise SeedError(f"unknown seed kind '{name}': choose from {', '.join(seed_kinds())}")
    return registry.by_name[name]


def kind_of_code(code: int) -> SeedKind:
    """The kind of a byte in a .fseed file.

    Raises:
        SeedError: no kind has it, or more than one.
    """
    registry = _registry()
    if code in registry.refused_codes:
        raise SeedError(registry.refused_codes[code])
    if code not in registry.by_code:
        broken = "".join(f"; {why}" for why in registry.broken)
        raise SeedError(f"the seed is of kind number {code}, unknown to this version{broken}")
    return registry.by_code[code]


@functools.cache
def format_of(name: str) -> SeedFormat:
    """What writes and reads payloads of a kind; see :func:`find_kind`."""
    made: SeedFormat = find_kind(name).make_format()
    return made


def seed_rows() -> Mapping[str, SeedRow]:
    """The seeds that studies compare, by the names of their rows."""
    rows = {name: row for kind in seed_kinds().values() for name, row in kind.rows.items()}
    return MappingProxyType(rows)


def kind_of_row(row: str) -> SeedKind:
    """The kind of a row of the studies.

    Raises:
        SeedError: there is no such row.
    """
    for kind in seed_kinds().values():
        if row in kind.rows:
            return kind
    raise SeedError(f"unknown seed '{row}': choose from {', '.join(seed_rows())}")
