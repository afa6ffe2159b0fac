"""Finds and loads the library that was compiled from kernels.c when fedseed was installed."""

import ctypes
import functools
import hashlib
import sys
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import torch

_SEAL_BYTES = 32


@functools.cache
def library() -> Any:
    """The compiled kernels, or None where there are none."""
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        loaded = load(folder / f"_kernels{suffix}", folder)
        if loaded is not None:
            return loaded
    return None


def load(path: Path, sources: Path) -> Any:
    """Load compiled kernels.

    Args:
        path: of the library.
        sources: folder of what it was made of, if it is still there.

    Returns:
        The library; None if there is none, if it is damaged (with a warning), if it is for another
        kind of machine, if the sources have changed since, if the BLAS of torch cannot be called,
        or if the processor has no vectors that it makes use of.
    """
    able = sys.byteorder == "little" and torch.backends.cpu.get_cpu_capability() != "DEFAULT"
    if not able or not path.exists():
        return None
    if not is_whole(path):
        warnings.warn(
            f"the compiled kernels in {path} are damaged, torch's operators do their work more "
            "slowly: delete the file and install fedseed again (in a checkout: rm .venv/.stamp; "
            "make setup)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    try:
        loaded = ctypes.CDLL(str(path))
        sgemm = ctypes.CDLL(torch._C.__file__).sgemm_  # of the BLAS that torch is linked with
    except (OSError, AttributeError):
        return None
    for text in (loaded.digest, loaded.signatures):
        text.restype = ctypes.c_char_p
    setup = sources / "../../../setup.py"
    files = [setup, *sorted([*sources.glob("*.c"), *sources.glob("*.inc")])]  # as in setup.py
    if setup.exists() and files[1:]:  # in a checkout
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        if loaded.digest().decode() != digest:
            return None
    loaded.use_sgemm(ctypes.cast(sgemm, ctypes.c_void_p))
    loaded.prepare()
    return loaded


def is_whole(path: Path) -> bool:
    """Whether a library is as the build left it, which ends it with the SHA-256 of all before.

    The system's loader would end the process over a file that was written half. Only on Linux:
    elsewhere a library may not be added to, and is taken for whole.
    """
    if sys.platform != "linux":
        return True
    content = path.read_bytes()
    return hashlib.sha256(content[:-_SEAL_BYTES]).digest() == content[-_SEAL_BYTES:]


def are_available() -> bool:
    """Whether the kernels were compiled, from the sources that are here."""
    return library() is not None


@functools.cache
def has_tiles() -> bool:
    """Whether there are kernels, and the processor has matrix tiles for bf16 (Intel AMX)."""
    return are_available() and bool(library().has_tiles())


def version() -> str:
    """The digest of the sources that the kernels were compiled from, in hexadecimal."""
    digest: str = library().digest().decode()
    return digest


def product_flops() -> int:
    """Floating-point operations of the matrix products that kernels have made so far.

    For a single thread: two at once would be counted wrongly.
    """
    count = library().product_flops
    count.restype = ctypes.c_int64
    return int(count())
