"""ML-KEM-768 (FIPS 203) beside X25519, where the installed `cryptography` has it: from version 46 or so
on."""

from __future__ import annotations

from functools import cache
from typing import Any

CIPHERTEXT_BYTES = 1088
SEED_BYTES = 64


@cache
def available() -> bool:
    """Whether the library, and what it is linked with, has it."""
    try:
        pair(bytes(SEED_BYTES))
    except Exception:  # no such module, or one without a backend
        return False
    return True


def pair(seed: bytes) -> Any:
    """A private key from 64 bytes."""
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

    return MLKEM768PrivateKey.from_seed_bytes(seed)


def encapsulated(public: bytes) -> tuple[bytes, bytes]:
    """A fresh secret for whoever has the private key, and the ciphertext that carries it."""
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

    secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    return secret, ciphertext
