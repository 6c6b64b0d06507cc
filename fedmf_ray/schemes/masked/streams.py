"""Keys, nonces and pseudorandom words: HKDF and AES-256 of ``cryptography``.

A mask is AES in counter mode: block i of a nonce is AES(key, nonce of 96 bits || i of 32). The blocks of many
nonces are encrypted in one call. Every key has a purpose, and keys of rounds a head: no two uses of AES share
a key.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked import compiled

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

NONCE_BYTES = 12
KEY_BYTES = 32
_BLOCK = 16
_SUITE = b"fedmf-ray masks 2"
_CHUNK = 1 << 14
"""Blocks that are encrypted at once: they stay in a core's own cache."""


def joined(*fields: bytes | int) -> bytes:
    """Fields with their lengths: no two lists of fields give the same bytes."""
    parts = list[bytes]()
    for field in fields:
        part = field if type(field) is bytes else int(field).to_bytes(16, "little", signed=True)
        parts += (len(part).to_bytes(8, "little"), part)
    return b"".join(parts)


def derive(secret: bytes, purpose: str, *fields: bytes | int) -> bytes:
    """A key of 32 bytes for one purpose (HKDF-SHA256)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = joined(_SUITE, purpose.encode(), *fields)
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def mac(key: bytes, *fields: bytes | int) -> bytes:
    """HMAC-SHA256 of some fields, 32 bytes."""
    return hmac.digest(key, joined(_SUITE, *fields), "sha256")


def pads(
    key: bytes, user_ids: Sequence[int] | Integers, round_number: int, first: int, nonces: Bytes
) -> list[int]:
    """Of the tags of several users: :func:`mac` of an id, the round, the first block and a nonce each."""
    text = np.frombuffer(joined(_SUITE, 0, round_number, first, bytes(NONCE_BYTES)), np.uint8)
    fields = np.tile(text, (len(nonces), 1))
    ids, at = np.asarray(user_ids, "<i8"), len(joined(_SUITE)) + 8
    fields[:, at : at + 16] = np.stack([ids, ids >> 63], axis=1).view(np.uint8)
    fields[:, -NONCE_BYTES:] = nonces
    whole, size = fields.tobytes(), len(text)
    each = (whole[begin : begin + size] for begin in range(0, len(whole), size))
    return [int.from_bytes(hmac.digest(key, one, "sha256"), "little") for one in each]


def fresh_nonces(count: int) -> Bytes:
    """(count, 12) from the operating system, in the moment in which they are needed: none is kept, so none
    comes twice after a fork, a copy or a resume."""
    return np.frombuffer(os.urandom(NONCE_BYTES * count), np.uint8).reshape(count, NONCE_BYTES)


class Stream:
    """AES-256 under one key, made when it is first used. Pickles."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return Stream, (self._key,)

    def another(self) -> Stream:
        """The same, for another thread."""
        return Stream(self._key)

    @cached_property
    def _cipher(self) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        return Cipher(AES256(self._key), ECB()).encryptor()

    def words(self, nonces: Bytes, columns: int, word: np.dtype[Any]) -> NDArray[Any]:
        """(k, columns) of so many bits: what each nonce stands for."""
        blocks = -(-columns * word.itemsize // _BLOCK)
        rows = max(1, _CHUNK // blocks)
        if 0 < len(nonces) <= rows:
            return self._words(nonces, blocks, columns, word)
        parts = np.empty((len(nonces), columns), word)
        for first in range(0, len(nonces), rows):
            chunk = nonces[first : first + rows]
            parts[first : first + rows] = self._words(chunk, blocks, columns, word)
        return parts

    def _words(self, nonces: Bytes, blocks: int, columns: int, word: np.dtype[Any]) -> NDArray[Any]:
        plain: NDArray[Any] | None = compiled.counters(nonces, blocks)
        if plain is None:
            plain = np.empty((len(nonces), blocks, 4), "<u4")
            plain[:, :, :3] = np.ascontiguousarray(nonces).view("<u4")[:, None]
            plain[:, :, 3] = np.arange(blocks)
        return (
            self._encrypt(plain)
            .view(word)
            .reshape(len(nonces), blocks * _BLOCK // word.itemsize)[:, :columns]
        )

    def labelled(self, nonces: Bytes, labels: Integers) -> Bytes:
        """(k, 16) one block for each pair of a nonce and a number below 2^32."""
        plain = np.empty((len(nonces), 4), "<u4")
        plain[:, :3] = np.ascontiguousarray(nonces).view("<u4")
        plain[:, 3] = labels
        return self._encrypt(plain).reshape(len(nonces), _BLOCK)

    def numbers(self, labels: Integers) -> Bytes:
        """(k, 16) one block for each number."""
        plain = np.zeros((len(labels), 2), "<i8")
        plain[:, 0] = labels
        return self._encrypt(plain).reshape(len(labels), _BLOCK)

    def _encrypt(self, plain: NDArray[Any]) -> Bytes:
        """Whole blocks to (bytes,)."""
        if not plain.size:
            return np.empty(0, np.uint8)
        out = np.empty(plain.nbytes + _BLOCK - 1, np.uint8)
        self._cipher.update_into(plain.data.cast("B"), out)
        return out[: plain.nbytes]
