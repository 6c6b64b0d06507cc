"""Keys of a committee: members sign, groups and users agree on keys (X25519, HKDF), users sign what they
publish.

In a deployment each user makes its own keys, and the members of a group deal theirs among themselves. In this
simulation all of them follow from a secret that user actors share, so that an actor can be started again;
what is published, agreed on and checked is as it would be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.committee.kem import CIPHERTEXT_BYTES
from fedmf_ray.schemes.masked.streams import derive, joined

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

Bytes = NDArray[np.uint8]

PUBLIC_BYTES = 32
_NAMED, _SIGNATURE = 2 * PUBLIC_BYTES, 64


def entry_bytes(ciphertexts: int) -> int:
    """What a user publishes: a key to agree with, a key that signs, a ciphertext of a secret for each group
    if any, and the signature of all that and its number."""
    return _NAMED + ciphertexts * CIPHERTEXT_BYTES + _SIGNATURE


def agreeing(secret: bytes) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(secret)


def signing(secret: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret)


def public_of(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def is_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        _verifier(public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


@cache
def _verifier(public: bytes):  # type: ignore[no-untyped-def]  # of a library that is imported late
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public)


def shared_key(
    mine: X25519PrivateKey,
    theirs: bytes,
    user_id: int,
    user: bytes,
    group: int,
    public: bytes,
    more: tuple[bytes, bytes] = (b"", b""),
) -> bytes:
    """32 bytes that a user and a group share. user, public: the public keys of both, so that neither can be
    exchanged. more: a second secret, and the ciphertext that carried it. Raises ``ValueError`` for a public
    key that gives nothing secret."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    secret, (second, ciphertext) = mine.exchange(X25519PublicKey.from_public_bytes(theirs)), more
    purpose = "committee: key of a user and a group"
    return derive(secret + second, purpose, user_id, user, group, public, ciphertext)


def entry_of(
    user_id: int, agree: X25519PrivateKey, sign: Ed25519PrivateKey, ciphertexts: Sequence[bytes] = ()
) -> bytes:
    """What a user publishes of itself."""
    said = public_of(agree) + public_of(sign) + b"".join(ciphertexts)
    return said + sign.sign(_entry_text(user_id, said))


def _entry_text(user_id: int, said: bytes) -> bytes:
    return joined(b"fedmf-ray committee: a user", user_id, said)


def ciphertexts_of(entry: Bytes) -> list[bytes]:
    """Those of an entry, by group; none if there is no second secret."""
    sent = entry.tobytes()[_NAMED:-_SIGNATURE]
    return [sent[at : at + CIPHERTEXT_BYTES] for at in range(0, len(sent), CIPHERTEXT_BYTES)]


def check_entries(user_ids: NDArray[np.int64], entries: Bytes, ciphertexts: int = 0) -> None:
    """Raise ``ValueError`` for what users cannot have published: a signature that does not fit, a key that
    two have. user_ids: (users,). entries: (users, bytes), with so many ciphertexts each."""
    if entries.shape != (len(user_ids), entry_bytes(ciphertexts)):
        raise ValueError("the list of keys: an entry is not of the agreed length")
    if (user_ids[1:] <= user_ids[:-1]).any():
        raise ValueError("the list of keys: users are not in order, or one of them is there twice")
    seen: dict[bytes, int] = {}
    for user_id, row in zip(user_ids.tolist(), entries, strict=True):
        entry = row.tobytes()
        said, signature = entry[:-_SIGNATURE], entry[-_SIGNATURE:]
        if not is_signed(said[PUBLIC_BYTES:_NAMED], signature, _entry_text(user_id, said)):
            raise ValueError(f"the list of keys: user {user_id} has not signed its entry")
        if said[PUBLIC_BYTES - 1] & 0x80:  # ignored by X25519: it would make two keys of one
            raise ValueError(f"the list of keys: the key of user {user_id} is not in its only form")
        if not gives_a_secret(said[:PUBLIC_BYTES]):
            raise ValueError(f"the list of keys: nothing is secret under the key of user {user_id}")
        for key in (said[:PUBLIC_BYTES], said[PUBLIC_BYTES:_NAMED]):
            if key in seen:
                raise ValueError(f"the list of keys: users {seen[key]} and {user_id} have the same key")
            seen[key] = user_id


def gives_a_secret(public: bytes) -> bool:
    """Whether a public key is none of those few with which everybody's agreement is the same number."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    try:
        _anybody().exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return False
    return True


@cache
def _anybody() -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate()


def group_text(group: int, members: tuple[int, ...], public: bytes) -> bytes:
    """What the members of a group sign of its public key."""
    return joined(b"fedmf-ray committee: a group", group, bytes(members), public)


def member_text(number: int, user_id: int, run: bytes, public: bytes) -> bytes:
    """What a user who was drawn signs of the key with which it signs as a member."""
    return joined(b"fedmf-ray committee: a member", number, user_id, run, public)
