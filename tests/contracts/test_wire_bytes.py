"""Golden bytes of everything that protocols code: a change needs a new number on the wire."""

import hashlib
import json
from pathlib import Path

import numpy as np

from fedseed.coding.codecs import CODECS, make_codec
from fedseed.protocols.labels.messages import BITS, encode_labels
from fedseed.protocols.mask.messages import encode_counts, encode_mask
from fedseed.seeds.prng import normal

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "wire.json").read_text())
SIZES = [1000, 400, 100]


def found() -> dict[str, list[object]]:
    """Length and digest of every format's bytes for values that are specified to the bit."""
    vector = normal(7, "golden", (1500,), 0.01)
    vector[300:900] = 0
    labels = np.abs(normal(8, "golden", (200, 2), 1.0))
    labels /= labels.sum(axis=1, keepdims=True)
    mask = normal(9, "golden", (1500,), 1.0) > 0.3
    other = normal(10, "golden", (1500,), 1.0) > 0
    coded = {name: make_codec(name, 0.05).encode(vector, SIZES) for name in CODECS}
    coded |= {f"labels, {bits} bits": encode_labels(labels, bits) for bits in BITS}
    many = np.abs(normal(11, "golden", (20, 77), 1.0))
    many /= many.sum(axis=1, keepdims=True)
    coded |= {f"labels of 77 classes, {bits} bits": encode_labels(many, bits) for bits in BITS}
    coded["mask"] = encode_mask(mask, SIZES)
    counts = mask.astype(np.uint16) + other.astype(np.uint16)
    coded["counts"] = encode_counts(counts, 2, SIZES)
    return {n: [len(b), hashlib.sha256(b).hexdigest()[:16]] for n, b in coded.items()}


def test_golden_bytes() -> None:
    assert found() == GOLDEN
