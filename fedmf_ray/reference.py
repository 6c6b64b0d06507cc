"""FedMF on one page, with ``phe`` alone: read this first, and trust the rest because it agrees.

Chai, Wang, Chen, Yang: *Secure Federated Matrix Factorization*, arXiv 1906.05108. One process, one
ciphertext a value, no packing, no Ray: slow and plain. The tests run it beside the fast path and ask
for the same item matrix to the last bit.

    rng = np.random.default_rng(0)
    users = [(np.array([0, 2]), np.array([4.0, 3.5])), (np.array([1]), np.array([2.0]))]
    U, V = fedmf(users, rng.normal(0, 0.1, (2, 5)), rng.normal(0, 0.1, (3, 5)), rounds=3)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phe import paillier

Floats = NDArray[np.float64]
Ratings = tuple[NDArray[np.int64], Floats]
"""One user's training ratings in timestamp order: (ratings,) item rows and (ratings,) values."""

PRECISION = 1e-5
"""phe rounds this to the grid of 16**-5, that is 20 fraction bits."""


def fedmf(
    users: Sequence[Ratings],
    user_vectors: Floats,
    item_matrix: Floats,
    *,
    rounds: int,
    rule: str = "sequential",
    part_text: bool = True,
    learning_rate: float = 1e-3,
    reg_user: float = 1e-4,
    reg_item: float = 1e-4,
    key_bits: int = 1024,
) -> tuple[Floats, Floats]:
    """Train and return (users, factors) and (items, factors).

    Everybody acts in this one function, so look at who touches what: the server's lines use
    ``public`` only, the users' lines use ``private``.
    """
    public, private = paillier.generate_paillier_keypair(n_length=key_bits)  # by the users
    user_vectors = user_vectors.copy()

    encrypted_items = encrypt(public, item_matrix)  # C_V, which the server keeps

    for _ in range(rounds):
        uploads = []
        for i, ratings in enumerate(users):
            items = decrypt(private, encrypted_items)
            step = sequential if rule == "sequential" else batch
            user_vectors[i], gradient = step(
                user_vectors[i], items, ratings, learning_rate, reg_user, reg_item
            )
            rows = ratings[0] if part_text else range(len(items))
            uploads.append({j: encrypt(public, -gradient[j]) for j in rows})

        for upload in uploads:  # the server only ever adds
            for j, row in upload.items():
                encrypted_items[j] = encrypted_items[j] + row

    return user_vectors, decrypt(private, encrypted_items)


def sequential(
    u: Floats, items: Floats, ratings: Ratings, rate: float, reg_user: float, reg_item: float
) -> tuple[Floats, Floats]:
    """As the authors' code: the user vector moves at each rating, then the item's gradient uses it."""
    gradient = np.zeros_like(items)
    for j, rating in zip(*ratings, strict=True):
        error = rating - np.sum(u * items[j])
        u = u - rate * (-2 * error * items[j] + 2 * reg_user * u)
        gradient[j] = rate * (-2 * error * u + 2 * reg_item * items[j])
    return u, gradient


def batch(
    u: Floats, items: Floats, ratings: Ratings, rate: float, reg_user: float, reg_item: float
) -> tuple[Floats, Floats]:
    """As the paper's equations 2 to 4: both gradients from the old vectors, all ratings at once."""
    rows, values = ratings
    errors = (values - np.sum(u * items[rows], axis=1))[:, None]
    gradient = np.zeros_like(items)
    gradient[rows] = rate * (-2 * errors * u + 2 * reg_item * items[rows])
    return u - rate * (np.sum(-2 * errors * items[rows], axis=0) + 2 * reg_user * u), gradient


def encrypt(public: paillier.PaillierPublicKey, values: Floats) -> NDArray[Any]:
    """An object array of ``phe.EncryptedNumber``, one for each value."""
    encrypted = [public.encrypt(float(x), precision=PRECISION) for x in values.ravel()]
    return np.array(encrypted, dtype=object).reshape(values.shape)


def decrypt(private: paillier.PaillierPrivateKey, encrypted: NDArray[Any]) -> Floats:
    """Undo :func:`encrypt`, sums included."""
    return np.array([private.decrypt(e) for e in encrypted.ravel()], dtype=float).reshape(encrypted.shape)
