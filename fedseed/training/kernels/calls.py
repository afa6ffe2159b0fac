"""Calls of kernels: every argument by name, compared with the table of signatures first."""

import ctypes
import functools
from typing import Any

from fedseed.training.kernels.library import library
from fedseed.training.kernels.signatures import Argument, Entry, read_table

_NO_MEMORY, _NO_SUCH_ROW = 1, 2
"""What a kernel returns, see kernels.c."""


@functools.cache
def table() -> dict[str, Entry]:
    """What each kernel is given, by name."""
    return {entry.name: entry for entry in read_table(library().signatures().decode())}


@functools.cache
def _functions(name: str) -> dict[Any, Any]:
    """A kernel's compiled functions by type of the activations, or by None."""
    functions: dict[Any, Any] = {}
    for form, (c_name, signature) in table()[name].functions.items():
        functions[form] = getattr(library(), c_name)
        functions[form].restype = ctypes.c_int
        functions[form].argtypes = [parameter.c_type for parameter in signature.parameters]
    return functions


def call(kernel: str, /, **arguments: Argument) -> None:
    """Call a kernel.

    Args:
        kernel: its name in signatures.inc.
        arguments: as that table lists them.

    Raises:
        TypeError: an argument is missing, not in the table, or of another kind or type.
        ValueError: an array has too few numbers, or a size is below 0.
        IndexError: a row is not in the table of words.
        MemoryError: the kernel has got none.
    """
    entry = table()[kernel]
    try:
        form = entry.form(arguments)
        values = entry.functions[form][1].values(arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"kernel {kernel}: {error}") from None
    status = _functions(kernel)[form](*values)
    if status == _NO_SUCH_ROW:
        raise IndexError(f"kernel {kernel}: a row that is not of a table of {arguments['words']}")
    if status == _NO_MEMORY:
        raise MemoryError(f"no memory for kernel {kernel}")
