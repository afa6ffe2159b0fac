"""Compiled kernels: what the lean BERT's layers and Adam do, for one model on a CPU, in C.

A C compiler is needed when fedseed is installed, see setup.py and docs/decisions/fused-kernels.md.
Without them torch's operators do the work (:mod:`fedseed.training.lean`).
"""

from fedseed.training.kernels.library import are_available, has_tiles, product_flops, version

__all__ = ["are_available", "has_tiles", "product_flops", "version"]
