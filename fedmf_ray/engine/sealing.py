"""Values that pass through processes which must not read them: encrypted, authenticated, labelled.

User actors share the secret of a :class:`Session`. What they give each other through Ray, whose store every
process of a machine maps and whose small results lie with the experimenter, is :class:`Sealed` under it.
An actor that has no secret yet has an :class:`Identity`; anybody can put a value into a :class:`Box` for it.

AES-256-GCM with nonces from the operating system, X25519 and HKDF, all of ``cryptography``. The serial
backend has one process and seals nothing, and so does not import it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.errors import FedMFError

Frame = NDArray[np.uint8]

_NONCE_BYTES = 12
_OVERHEAD = _NONCE_BYTES + 16
_LONGEST_PIECE = 1 << 30
"""One call of AES-GCM in ``cryptography`` takes less than 2**31 bytes: longer frames are several pieces."""


class Sealed(NamedTuple):
    """An unreadable value: (bytes,) uint8 frames, which Ray moves without a copy. The first is the pickled
    value without its large arrays, the others are these."""

    frames: tuple[Frame, ...]


class Box(NamedTuple):
    """A value that one identity can read. ephemeral: a public key that was used once."""

    ephemeral: bytes
    sealed: Sealed


class Session:
    """What all who know a secret of 32 bytes can read."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.secret, self._cipher = secret, AESGCM(secret)

    @classmethod
    def fresh(cls) -> Session:
        return cls(os.urandom(32))

    def seal(self, label: str, value: Any) -> Sealed:
        """label: what it is; it opens under the same label only."""
        head, buffers = parts_of(value)
        parts = [memoryview(head), *buffers]
        return Sealed(tuple(self._encrypt(part, _bound(label, at, parts)) for at, part in enumerate(parts)))

    def open(self, label: str, sealed: Sealed) -> Any:
        """Raises :class:`FedMFError` for what nobody in the session sealed under this label."""
        buffers = [self._decrypt(label, sealed, at) for at in range(1, len(sealed.frames))]
        return pickle.loads(self._decrypt(label, sealed, 0), buffers=buffers)

    def _decrypt(self, label: str, sealed: Sealed, at: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        frame, bound = memoryview(sealed.frames[at].data), _bound(label, at, sealed.frames)
        pieces = list[bytes]()
        for start in range(0, len(frame), _LONGEST_PIECE):
            piece = frame[start : start + _LONGEST_PIECE]
            nonce, body = piece[:_NONCE_BYTES], piece[_NONCE_BYTES:]
            try:
                pieces.append(self._cipher.decrypt(nonce, body, bound + b"%d" % len(pieces)))
            except InvalidTag:
                raise FedMFError(
                    f"{label}: cannot be opened: it was changed, or is of processes that have been "
                    "replaced: go on with `fedmf-ray resume`"
                ) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _encrypt(self, part: memoryview, bound: bytes) -> Frame:
        pieces, step = list[bytes](), _LONGEST_PIECE - _OVERHEAD
        for start in range(0, max(1, len(part)), step):
            nonce, number = os.urandom(_NONCE_BYTES), b"%d" % (len(pieces) // 2)
            pieces += [nonce, self._cipher.encrypt(nonce, part[start : start + step], bound + number)]
        return np.frombuffer(b"".join(pieces), np.uint8)


class Identity:
    """A key pair of one process, made for one session."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        self._private = X25519PrivateKey.generate()
        self.public: bytes = self._private.public_key().public_bytes_raw()

    def open(self, label: str, box: Box) -> Any:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        shared = self._private.exchange(X25519PublicKey.from_public_bytes(box.ephemeral))
        return _between(shared, box.ephemeral, self.public).open(label, box.sealed)


def enclose(public: bytes, label: str, value: Any) -> Box:
    """A box for the identity with this public key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    sender = Identity()
    shared = sender._private.exchange(X25519PublicKey.from_public_bytes(public))
    return Box(sender.public, _between(shared, sender.public, public).seal(label, value))


def parts_of(value: Any) -> tuple[bytes, list[memoryview]]:
    """A pickled value without its large buffers, and these."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return head, [buffer.raw() for buffer in buffers]


def _between(shared: bytes, ephemeral: bytes, public: bytes) -> Session:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    kdf = HKDF(SHA256(), 32, salt=None, info=b"fedmf-ray box" + ephemeral + public)
    return Session(kdf.derive(shared))


def _bound(label: str, at: int, frames: Sequence[Any]) -> bytes:
    """What a frame is authenticated with: no frame stands in for another."""
    return b"%s %d of %d, " % (label.encode(), at, len(frames))
