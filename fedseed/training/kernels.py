"""Loads the kernels that were compiled from kernels.c when fedseed was installed, and calls them.

A C compiler is needed then, see setup.py and docs/decisions/fused-kernels.md.
"""

import ctypes
import functools
import hashlib
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@functools.cache
def _library() -> Any:
    """The compiled kernels, or None where there are none."""
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        library = load(folder / f"_kernels{suffix}", folder)
        if library is not None:
            return library
    return None


def load(path: Path, sources: Path) -> Any:
    """Load compiled kernels.

    Args:
        path: of the library.
        sources: folder of what it was made of, if it is still there.

    Returns:
        The library; None if there is none, if it is for another kind of machine, if the sources
        have changed since, if the BLAS of torch cannot be called, or if the processor has no
        vectors that it makes use of.
    """
    able = sys.byteorder == "little" and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
    if not able or not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        sgemm = ctypes.CDLL(torch._C.__file__).sgemm_  # of the BLAS that torch is linked with
    except (OSError, AttributeError):
        return None
    library.digest.restype = ctypes.c_char_p
    files = [sources / "../../setup.py", *sorted(sources.glob("*.[ch]"))]  # as in setup.py
    if files[0].exists() and files[1:]:  # in a checkout
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        if library.digest().decode() != digest:
            return None
    library.use_sgemm(ctypes.cast(sgemm, ctypes.c_void_p))
    library.prepare()
    return library


def are_available() -> bool:
    """Whether the kernels were compiled, from the sources that are here."""
    return _library() is not None


@functools.cache
def _function(name: str) -> Any:
    function = getattr(_library(), name)
    function.restype = ctypes.c_int
    return function


def version() -> str:
    """The digest of the sources that the kernels were compiled from, in hexadecimal."""
    digest: str = _library().digest().decode()
    return digest


def operations() -> int:
    """Floating-point operations of the matrix products that kernels have made so far.

    For a single thread: two at once would be counted wrongly.
    """
    count = _library().operations
    count.restype = ctypes.c_int64
    return int(count())


class Addresses:
    """Where some arrays are that stay there, as an array of pointers for a kernel."""

    def __init__(self, arrays: Iterable[Tensor]) -> None:
        self._arrays = list(arrays)  # alive for as long as their addresses
        self.pointers = (ctypes.c_void_p * len(self._arrays))(*map(_address, self._arrays))

    def __reduce__(self) -> tuple[type["Addresses"], tuple[list[Tensor]]]:
        """For a copy: the addresses of the copied arrays."""
        return Addresses, (self._arrays,)


Argument = Tensor | Addresses | int | float | None


def call(name: str, activations: Tensor, *arguments: Argument) -> None:
    """Call a kernel with some activations and more arguments.

    Raises:
        MemoryError: the kernel has got none.
    """
    kind = "bf16" if activations.dtype == torch.bfloat16 else "f32"
    if _function(f"{name}_{kind}")(*map(_as_c, (activations, *arguments))):
        raise MemoryError(f"no memory for {name}")


def _as_c(argument: Argument) -> object:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(_address(argument))
    if isinstance(argument, Addresses):
        return argument.pointers
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    return argument if argument is None else ctypes.c_ssize_t(argument)


def _address(array: Tensor) -> int:
    assert array.is_contiguous()
    return array.data_ptr()
