"""Calls of kernels: every argument by name, compared with the table of signatures first."""

import ctypes
import functools
from typing import Any

from fedseed.training.kernels.library import library
from fedseed.training.kernels.signatures import Argument, Entry, Signature, read_table

_NO_MEMORY, _NO_SUCH_ROW, _NO_TILES = 1, 2, 3
"""What a kernel returns, see kernels.c."""


@functools.cache
def table() -> dict[str, Entry]:
    """What each kernel is given, by name."""
    return {entry.name: entry for entry in read_table(library().signatures().decode())}


@functools.cache
def _compiled(c_name: str, signature: Signature) -> Any:
    """A function of the library, which turns Python's numbers into C's."""
    function = getattr(library(), c_name)
    function.restype = ctypes.c_int
    function.argtypes = [parameter.c_type for parameter in signature.parameters]
    return function


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
        RuntimeError: the kernel needs matrix tiles, which this processor does not have, or a
            multiple of 32 features.
    """
    entry = table()[kernel]
    try:
        c_name, signature = entry.functions[entry.form(arguments)]
        values = signature.values(arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"kernel {kernel}: {error}") from None
    status = _compiled(c_name, signature)(*values)
    if status == _NO_SUCH_ROW:
        raise IndexError(f"kernel {kernel}: a row that is not of a table of {arguments['words']}")
    if status == _NO_TILES:
        raise RuntimeError(f"kernel {kernel}: no matrix tiles here, or odd features")
    if status == _NO_MEMORY:
        raise MemoryError(f"no memory for kernel {kernel}")
