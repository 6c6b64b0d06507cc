"""Uploads on their way to several servers, and combiners that add them up before they arrive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.messages import NOBODY, EncryptedItems, PartialSum, Upload
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.server import Server, UploadRefused
from fedmf_ray.schemes import Evaluator

Integers = NDArray[np.int64]


class Combiner:
    """Does a server's work beside the users who share a process: checks their uploads and adds them up.

    It starts each round from zeros that anybody can encrypt, and hands over one :class:`PartialSum`.
    """

    def __init__(
        self, evaluator: Evaluator, items: EncryptedItems, roster: Roster, blocks: Blocks | None = None
    ) -> None:
        """items: of the round, only its shape matters; roster: of the users here; blocks: as of
        :class:`Server`."""
        start = _from_zeros(evaluator, items)
        self._server, self._first = Server(evaluator, start, roster, blocks), items.first
        self._touched = np.zeros(self._server.blocks, bool)

    def receive_all(self, uploads: Sequence[Upload]) -> dict[int, UploadRefused]:
        """As of :meth:`Server.receive_all`."""
        refused = self._server.receive_all(uploads)
        added = [upload.blocks for place, upload in enumerate(uploads) if place not in refused]
        if added:
            self._touched[np.concatenate(added) - self._first] = True
        return refused

    def receive(self, upload: Upload) -> None:
        for error in self.receive_all([upload]).values():
            raise error

    def retract(self, upload: Upload) -> None:
        self._server.retract(upload)

    def finish(self) -> PartialSum:
        """The sum of everything received, of the blocks that it touches."""
        return self._server.partial(np.flatnonzero(self._touched))


def join_sums(
    evaluator: Evaluator, items: EncryptedItems, sums: Sequence[PartialSum], blocks: Blocks | None = None
) -> PartialSum:
    """One partial sum of those of several combiners, whose users are different ones.

    items: of the round, only its shape matters. blocks: as of :class:`Server`.
    """
    user_ids = np.sort(np.concatenate([one.user_ids for one in sums]))
    roster = Roster(user_ids, np.zeros(len(user_ids), np.int64))
    server = Server(evaluator, _from_zeros(evaluator, items), roster, blocks)
    for one in sums:
        server.merge(one)
    touched = np.unique(np.concatenate([one.blocks for one in sums]))
    return server.partial(touched - items.first)


def _from_zeros(evaluator: Evaluator, items: EncryptedItems) -> EncryptedItems:
    """What sums of a round start from, if they are not the tables themselves: zeros that anybody can
    encrypt."""
    zeros = evaluator.zeros(items.ciphertexts.shape)
    tag = None if items.tag is None else evaluator.zeros(items.tag.shape)
    return EncryptedItems(items.round, items.first, zeros, tag, NOBODY, items.head)


def deliver_all(
    uploads: Sequence[Sequence[Upload]], servers: Sequence[Server | Combiner]
) -> dict[int, UploadRefused]:
    """Give each server its pieces of several users' uploads, an upload of each; what one refuses, no other
    keeps. Those that are refused, by their place."""
    errors = [server.receive_all([pieces[at] for pieces in uploads]) for at, server in enumerate(servers)]
    refused = dict[int, UploadRefused]()
    for mine in errors:
        refused = mine | refused  # the first reason
    for place in refused:
        for piece, server, mine in zip(uploads[place], servers, errors, strict=True):
            if place not in mine:
                server.retract(piece)
    return dict(sorted(refused.items()))


def deliver(pieces: Sequence[Upload], servers: Sequence[Server | Combiner]) -> None:
    """Give each server its piece of one user's upload; if one refuses, no other keeps its piece.

    Raises :class:`UploadRefused` with the first reason.
    """
    for at, (piece, server) in enumerate(zip(pieces, servers, strict=True)):
        try:
            server.receive(piece)
        except UploadRefused:
            for earlier, kept in zip(pieces[:at], servers[:at], strict=True):
                kept.retract(earlier)
            raise
