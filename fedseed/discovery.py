"""Things that describe themselves, found by folder or brought by other packages."""

import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterable
from typing import Any, TypeVar

from fedseed.errors import InputError, first_line

Description = TypeVar("Description")


def load(place: str) -> Any:
    """Import what ``module:attribute`` names."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def module_names(path: Iterable[str], folders_only: bool = False) -> tuple[str, ...]:
    """Names of the modules in a package, in alphabetical order.

    Args:
        path: the package's ``__path__``.
        folders_only: leave single files out.
    """
    modules = pkgutil.iter_modules(path)
    return tuple(sorted(module.name for module in modules if module.ispkg or not folders_only))


@functools.cache
def entry_points(group: str) -> list[importlib.metadata.EntryPoint]:
    """Entry points of a group in all installed packages, by name; looked up once a process."""
    return sorted(importlib.metadata.entry_points(group=group), key=lambda point: point.name)


def package_of(point: importlib.metadata.EntryPoint) -> str:
    """Name of the package that an entry point belongs to."""
    return point.dist.name if point.dist else point.value


def load_description(
    point: importlib.metadata.EntryPoint, wanted: type[Description], refuse: type[InputError]
) -> Description:
    """What another package's entry point names; its own name must be the entry point's.

    Args:
        point: the entry point.
        wanted: the class of the description, which has a ``name``.
        refuse: the exception to raise.

    Raises:
        InputError: of the class ``refuse``: the package cannot be imported, or the entry point
            names something else.
    """
    package = package_of(point)
    try:
        described = point.load()
    except Exception as error:  # whatever another package does when it is imported
        raise refuse(
            f"{point.group} '{point.name}' of the package {package} cannot be imported "
            f"({first_line(error)}): mend or uninstall the package"
        ) from error
    if not isinstance(described, wanted) or getattr(described, "name", None) != point.name:
        raise refuse(
            f"{point.group} '{point.name}' of the package {package} is no "
            f"{wanted.__name__}(name='{point.name}', ...): mend or uninstall the package"
        )
    return described
