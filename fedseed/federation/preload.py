"""What a worker process needs: imported once, before the workers are forked."""

import ctypes
import os
import signal

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's options, see mallopt(3)."""


def _keep_memory() -> None:
    """Have a worker keep the memory that a client leaves, for the next client.

    Fetched from the system anew, page by page, the memory of a first step takes three times as
    long as the step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone
        mallopt(_TRIM_THRESHOLD, 256 << 20)
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes


_keep_memory()
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent process's to handle
os.environ["OMP_NUM_THREADS"] = "1"

import fedseed.data.site  # noqa: E402
import fedseed.federation.client_app  # noqa: E402, F401
