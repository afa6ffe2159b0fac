"""Named random generators: the only source of random choices in fedseed.

There is no global random state. Every choice asks for the generator of its purpose,
round and partition, so that what one client draws depends neither on the other
clients nor on the order or number of workers.
"""

import hashlib

import numpy as np


def _digest(run_seed: int, purpose: str, round_number: int, partition_id: int) -> bytes:
    name = f"fedseed/{purpose}/{run_seed}/{round_number}/{partition_id}"
    return hashlib.sha256(name.encode()).digest()


def generator(
    run_seed: int, purpose: str, round_number: int = 0, partition_id: int = 0
) -> np.random.Generator:
    """Return the generator of one named random choice.

    Args:
        run_seed: the run's seed, any integer.
        purpose: what the numbers are for, for example ``"partition"``.
        round_number: 0 for choices made outside the rounds.
        partition_id: 0 for choices that belong to no client.

    Returns:
        A new PCG64 generator, keyed by the sha256 of the four values.
    """
    key = int.from_bytes(_digest(run_seed, purpose, round_number, partition_id), "little")
    return np.random.Generator(np.random.PCG64(key))


def random_key(run_seed: int, purpose: str) -> int:
    """Return a 64-bit key in [0, 2**64) for the generators that take one (seeds)."""
    return int.from_bytes(_digest(run_seed, purpose, 0, 0)[:8], "little")
