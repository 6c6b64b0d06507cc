"""The server: it holds ciphertexts and a public key, checks what it receives, and adds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fedmf_ray.crypto.schemes import Evaluator
from fedmf_ray.protocol.messages import EncryptedItems, Upload


class UploadRefused(Exception):
    """An upload that the server did not apply; the message is the reason."""


class Server:
    """Keeps the encrypted item matrix and adds uploads to it.

    It never sees a rating, a user vector, a private key or an item matrix in the clear: it is built from
    an :class:`~fedmf_ray.crypto.schemes.Evaluator` and a matrix that a key-holder encrypted.
    """

    def __init__(self, evaluator: Evaluator, items: EncryptedItems, user_ids: Iterable[int]) -> None:
        self._round = items.round
        self._shape = items.ciphertexts.shape
        self._aggregate = evaluator.aggregate(items.ciphertexts)
        self._user_ids = frozenset(user_ids)
        self._seen: set[int] = set()

    def receive(self, upload: Upload) -> None:
        """Check and add one upload, at once and whole; raises :class:`UploadRefused` with the reason."""
        blocks, ciphertexts = upload.blocks, upload.ciphertexts
        who = f"user {upload.user_id}, round {upload.round}"
        if upload.round != self._round:
            raise UploadRefused(f"{who}: this is round {self._round}")
        if upload.user_id not in self._user_ids:
            raise UploadRefused(f"{who}: no such user")
        if upload.user_id in self._seen:
            raise UploadRefused(f"{who}: has uploaded already")
        if ciphertexts.shape != (len(blocks), *self._shape[1:]) or ciphertexts.dtype != np.uint8:
            raise UploadRefused(f"{who}: {ciphertexts.shape} {ciphertexts.dtype} is not the agreed shape")
        if len(blocks) and (blocks[0] < 0 or blocks[-1] >= self._shape[0] or (np.diff(blocks) <= 0).any()):
            raise UploadRefused(f"{who}: rows are not strictly increasing within 0 to {self._shape[0] - 1}")
        try:
            self._aggregate.add(blocks, ciphertexts)
        except ValueError as error:
            raise UploadRefused(f"{who}: {error}") from error
        self._seen.add(upload.user_id)

    def publish(self) -> EncryptedItems:
        """Close the round: the matrix with everything that arrived, which opens the next one."""
        self._round += 1
        self._seen.clear()
        return EncryptedItems(self._round, self._aggregate.wire())
