"""What a process does with memory that it no longer needs."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's options, see mallopt(3)."""


def keep_memory() -> None:
    """Have this process keep the memory that a client leaves, for the next client.

    Fetched from the system anew, page by page, the memory of a first step takes three times as
    long as the step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's alone
        mallopt(_TRIM_THRESHOLD, 256 << 20)
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # the largest that it takes
