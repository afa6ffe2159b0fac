"""Buckets: all tokens in few numbers, where rare ones share a weight.

A bucket is named by one of the most frequent tokens. The first half of the buckets hold their own
token alone; all rarer tokens are spread over the second half by multiplicative hashing (Knuth,
The Art of Computer Programming, 6.4), which every reader of ``docs/protocols/lexicon.md`` repeats.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from fedseed.linear.counts import Matrix
from fedseed.seeds.kinds.lexicon.words import VOCABULARY, frequency_order, rarity

_KNUTH = 2_654_435_761


@functools.lru_cache(maxsize=4)
def representatives(buckets: int) -> NDArray[np.int64]:
    """The token that names every token's bucket, shape ``(VOCABULARY,)``.

    Args:
        buckets: how many; 0 for one a token.
    """
    order = frequency_order()
    named = np.arange(VOCABULARY)
    if not 0 < buckets < len(order):
        return named
    own = buckets // 2
    places = np.arange(own, len(order), dtype=np.uint64)
    hashed = (places * np.uint64(_KNUTH) % np.uint64(1 << 32)) >> np.uint64(8)
    named[order[own:]] = order[own + (hashed % np.uint64(buckets - own)).astype(np.int64)]
    return named


def names(buckets: int) -> NDArray[np.int64]:
    """The tokens that name buckets, the most frequent first: shape ``(buckets,)``."""
    order = frequency_order()
    return order[: buckets or len(order)]


def collapse(counts: Matrix, buckets: int) -> Matrix:
    """Counts of buckets, in the columns of the tokens that name them."""
    from scipy.sparse import csr_matrix

    if not buckets:
        return counts
    columns = representatives(buckets)[counts.indices]
    merged = csr_matrix((counts.data.copy(), columns, counts.indptr.copy()), shape=counts.shape)
    merged.sum_duplicates()
    return merged


def shares_of_buckets(buckets: int) -> NDArray[np.float64]:
    """How much of its bucket each token is about: in proportion to one over its rarity."""
    often, named = 1 / rarity(), representatives(buckets)
    total = np.bincount(named, weights=often, minlength=len(named))
    return np.asarray(often / total[named], dtype=np.float64)


def spread(weights: NDArray[np.float64], buckets: int) -> NDArray[np.float64]:
    """Give every token the numbers of its bucket, shape ``(VOCABULARY, ...)``."""
    return weights[representatives(buckets)]
