"""What a worker process needs: imported once, before the workers are forked."""

import ctypes
import gc
import os
import signal

from fedseed.federation.allocator import keep_memory

_PARENT_DEATH_SIGNAL = 1
"""Number of Linux's option, see prctl(2)."""


def _end_with_parent() -> None:
    """End at once with the process that started this one, also while it imports."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux's alone
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)


keep_memory()
_end_with_parent()
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent process's to handle
os.environ["OMP_NUM_THREADS"] = "1"

from fedseed.federation.workers import heavy_imports  # noqa: E402

with heavy_imports():
    import fedseed.data.clients
    import fedseed.federation.client_app  # noqa: F401
    from fedseed.training import kernels

kernels.are_available()  # loads them
gc.freeze()  # a look for garbage in a worker would copy the pages that it shares with the others
