"""What a worker process needs: imported once, before the workers are forked."""

import ctypes
import gc
import os
import signal

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's options, see mallopt(3)."""
_PARENT_DEATH_SIGNAL = 1
"""Number of Linux's option, see prctl(2)."""


def _keep_memory() -> None:
    """Have a worker keep the memory that a client leaves, for the next client.

    Fetched from the system anew, page by page, the memory of a first step takes three times as
    long as the step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone
        mallopt(_TRIM_THRESHOLD, 256 << 20)
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes


def _end_with_parent() -> None:
    """End at once with the process that started this one, also while it imports."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux's alone
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


_keep_memory()
_end_with_parent()
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent process's to handle
os.environ["OMP_NUM_THREADS"] = "1"

from fedseed.federation.workers import heavy_imports  # noqa: E402

with heavy_imports():
    import fedseed.data.site
    import fedseed.federation.client_app  # noqa: F401

gc.freeze()  # a look for garbage in a worker would copy the pages that it shares with the others
