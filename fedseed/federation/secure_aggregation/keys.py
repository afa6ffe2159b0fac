"""Keys that two clients share, and secrets that are shared among several: Flower's own parts."""

import base64

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (
    decrypt,
    encrypt,
    generate_shared_key,
)

from fedseed.errors import WireError

_CURVE = ec.SECP384R1()
PUBLIC_BYTES, PRIVATE_BYTES = 49, 48
SHARE_BYTES = {32: 52, PRIVATE_BYTES: 68}
"""Of a secret of so many bytes: an index, and the secret padded to whole blocks of 16."""


class KeyPair:
    """A private key and its public one."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | None = None) -> None:
        """Take a private key, or draw one."""
        self._private = private or ec.generate_private_key(_CURVE)

    @classmethod
    def from_private(cls, data: bytes) -> "KeyPair":
        """The pair of a private key's bytes.

        Raises:
            WireError: no key has these bytes.
        """
        try:
            return cls(ec.derive_private_key(int.from_bytes(data, "big"), _CURVE))
        except ValueError as error:
            raise WireError("no private key has these bytes") from error

    @property
    def private(self) -> bytes:
        """The private key, 48 bytes."""
        return self._private.private_numbers().private_value.to_bytes(PRIVATE_BYTES, "big")

    @property
    def public(self) -> bytes:
        """The public key: a point of the curve, 49 bytes."""
        form = serialization.PublicFormat.CompressedPoint
        return self._private.public_key().public_bytes(serialization.Encoding.X962, form)

    def shared(self, public: bytes) -> bytes:
        """The key that this pair and another's public key agree on, 32 bytes in base 64.

        Raises:
            WireError: no public key has these bytes.
        """
        try:
            other = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise WireError("no public key has these bytes") from error
        return generate_shared_key(self._private, other)


def raw(key: bytes) -> bytes:
    """A shared key's own 32 bytes, for a mask."""
    return base64.urlsafe_b64decode(key)


def sealed(key: bytes, plain: bytes) -> bytes:
    """Encrypt and authenticate under a shared key."""
    return encrypt(key, plain)


def opened(key: bytes, cipher: bytes) -> bytes:
    """Decrypt what :func:`sealed` made.

    Raises:
        WireError: another key, or altered bytes.
    """
    try:
        return decrypt(key, cipher)
    except InvalidToken as error:
        raise WireError("what another client has sealed is damaged, or not from it") from error


def shares_of(secret: bytes, threshold: int, count: int) -> list[bytes]:
    """Shares of a secret, any ``threshold`` of which give it back (Shamir 1979)."""
    return create_shares(secret, threshold, count)


def secret_of(shares: list[bytes], threshold: int, length: int) -> bytes:
    """The secret of some shares, so many bytes.

    Raises:
        WireError: too few, of another length, two of one index, or not of one secret.
    """
    if len(shares) < threshold or len({share[:4] for share in shares}) < len(shares):
        raise WireError(f"{len(shares)} shares are too few, or not of different clients")
    if {len(share) for share in shares} != {SHARE_BYTES[length]}:
        raise WireError("shares of different secrets")
    try:
        secret: bytes = combine_shares(sorted(shares)[:threshold])
    except ValueError as error:
        raise WireError("the shares do not fit together") from error
    if len(secret) != length:  # altered shares may still end like a padded secret
        raise WireError("the shares do not fit together")
    return secret
