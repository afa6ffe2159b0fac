"""What travels under ``scalars``: one number for each direction.

``docs/protocols/scalars.md`` has the byte layout.
"""

import struct

import numpy as np
from torch import nn

from fedseed.errors import WireError
from fedseed.protocols.scalars import TRAINABLE
from fedseed.seeds.assemble import grow
from fedseed.seeds.base import key_of
from fedseed.training.zeroth_order import LARGEST, Directions, Scalars, displace, has_head

_STATE = "<BH"
STATE_BYTES = struct.calcsize(_STATE)
_DENSE, _SPARSE = 0, 1
_COUNT = "<H"
COUNT_BYTES = struct.calcsize(_COUNT)
ENTRY_BYTES = 6


def encode_scalars(scalars: Scalars) -> bytes:
    """Bytes of one number for each direction: all, or those that are not zero, if that is shorter.

    Args:
        scalars: shape ``(directions,)``, at most 65,535 of them.
    """
    places = np.flatnonzero(scalars)
    if COUNT_BYTES + ENTRY_BYTES * len(places) >= 4 * len(scalars):
        return bytes([_DENSE]) + scalars.astype("<f4").tobytes()
    head = bytes([_SPARSE]) + struct.pack(_COUNT, len(places))
    return head + places.astype("<u2").tobytes() + scalars[places].astype("<f4").tobytes()


def decode_scalars(data: bytes, count: int) -> Scalars:
    """Read one number for each of ``count`` directions.

    Raises:
        WireError: malformed bytes, or numbers that are not finite or beyond ``LARGEST``.
    """
    if data[:1] == bytes([_DENSE]) and len(data) == 1 + 4 * count:
        scalars = np.frombuffer(data[1:], "<f4").astype(np.float32)
    elif data[:1] == bytes([_SPARSE]):
        scalars = _decode_sparse(data[1:], count)
    else:
        raise WireError(f"{len(data)} bytes are not the scalars of {count} directions")
    if not np.all(np.abs(scalars) <= LARGEST):  # NaN is not
        raise WireError(f"not believable: scalars that are not finite or beyond {LARGEST:g}")
    return scalars


def _decode_sparse(data: bytes, count: int) -> Scalars:
    given = struct.unpack_from(_COUNT, data)[0] if len(data) >= COUNT_BYTES else count + 1
    middle = COUNT_BYTES + 2 * given
    if given > count or len(data) != COUNT_BYTES + ENTRY_BYTES * given:
        raise WireError("the scalars are truncated, or too many")
    places = np.frombuffer(data[COUNT_BYTES:middle], "<u2").astype(np.int64)
    if np.any(np.diff(places) <= 0) or np.any(places >= count):
        raise WireError("the scalars' directions are not in order, or there are no such")
    scalars = np.zeros(count, dtype=np.float32)
    scalars[places] = np.frombuffer(data[middle:], "<f4")
    return scalars


def directions_of(seed: bytes, count: int) -> Directions:
    """The directions of a run: their key is the first eight bytes of the seed's sha256.

    Args:
        seed: the encoded seed.
        count: how many there are.
    """
    return Directions(key_of(seed), count)


def encode_state(head: bool, scalars: Scalars) -> bytes:
    """The body that goes down: whether only the head is trained, and the scalars."""
    return struct.pack(_STATE, head, len(scalars)) + encode_scalars(scalars)


def decode_state(body: bytes) -> tuple[bool, Scalars]:
    """Whether only the head is trained, and how far the run has gone along each direction.

    Raises:
        WireError: malformed bytes, or numbers that cannot be believed.
    """
    if len(body) < STATE_BYTES:
        raise WireError("the download does not say which directions there are")
    head, count = struct.unpack_from(_STATE, body)
    if head >= len(TRAINABLE) or count == 0:
        raise WireError(f"{count} directions of kind {head} are not known")
    return bool(head), decode_scalars(body[STATE_BYTES:], count)


def build_model(seed: bytes, head: bool, scalars: Scalars) -> nn.Module:
    """The model that a state of the server stands for.

    Raises:
        WireError: only the head is trained, and the model has none that is known.
    """
    model = grow(seed)
    if head and not has_head([name for name, _ in model.named_parameters()]):
        raise WireError("the download asks for a head that the model does not have")
    displace(model, head, directions_of(seed, len(scalars)), scalars)
    return model
