"""Masks: numbers that hide a vector, and that whoever has their key can take off again."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from fedseed.coding.vectors import Words

KEY_BYTES = 32
_NONCE = bytes(16)
"""A key masks one vector once: it needs no nonce."""


def mask_of(key: bytes, length: int) -> Words:
    """The mask of a key: ChaCha20's keystream, uniform over 32-bit integers.

    Flower's own generator folds a key to 32 bits, which a desktop searches
    (tests/federation/secure_aggregation/test_masks.py does).

    Args:
        key: 32 bytes, all of which count.
        length: numbers.

    Raises:
        ValueError: a key of another length.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a mask's key has {KEY_BYTES} bytes, not {len(key)}")
    stream = Cipher(algorithms.ChaCha20(key, _NONCE), mode=None).encryptor()
    return np.frombuffer(stream.update(bytes(4 * length)), "<u4").astype(np.uint32, copy=False)
