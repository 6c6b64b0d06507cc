"""Heads: names of the state that users have read, chained from the first tables on.

    closed = H(before, round, first, credited, rest)     what a server has closed; anybody can compute it
    base   = HMAC(K, closed)                             users alone
    head   = H(before, closed, base)                     of the tables that are published next

The base of a mask follows from the set that was closed: the same set gives the same bytes, another set
another base. Whoever knows the head before and the secret can compute the head after, and nobody else.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.schemes.masked.streams import joined, mac

Integers = NDArray[np.int64]

HEAD_BYTES = 32


def digest(purpose: bytes, *fields: bytes | int) -> bytes:
    """SHA-256 of fields with their lengths, for one purpose."""
    return hashlib.sha256(joined(b"fedmf-ray heads 1", purpose, *fields)).digest()


def closed_digest(before: bytes, round_number: int, first: int, credited: Integers, rest: bytes) -> bytes:
    """Of what a server has closed in a round. credited: (k,) int64, increasing. rest: a digest of all
    else."""
    users = np.ascontiguousarray(credited, "<i8").tobytes()
    return digest(b"closed", before, round_number, first, users, rest)


def base_of(key: bytes, closed: bytes) -> bytes:
    """32 bytes from which the masks of the next tables follow."""
    return mac(key, closed)


def next_head(before: bytes, closed: bytes, base: bytes) -> bytes:
    return digest(b"head", before, closed, base)
