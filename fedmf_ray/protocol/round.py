"""One round of FedMF on one page: who acts, what message goes where, which cost column it fills.

    train → add → close → open → publish → seal → read

:data:`ROUND` is that list as data; :class:`Local` does it in one process, in the same order. The engine
(:mod:`fedmf_ray.engine.training`) does it on actors, where users train while servers add, and whatever dies
is replaced. Rules decide what is learned in *train*, schemes what a message looks like and whether *open*
takes anybody.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.items import Items
from fedmf_ray.protocol.combiner import deliver
from fedmf_ray.protocol.items import (
    Ledger,
    check_form,
    encrypt_items,
    initial_tables,
    open_tables,
    read_share,
)
from fedmf_ray.protocol.messages import Closed, EncryptedItems, Opening, Upload
from fedmf_ray.protocol.parts import cut_parts
from fedmf_ray.protocol.roster import Roster
from fedmf_ray.protocol.seals import Sealer, Settled
from fedmf_ray.protocol.server import Server
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import KeyHolder, Scheme

Floats = NDArray[np.float64]


class Who(Enum):
    """Who acts in a phase."""

    USERS = "every user that takes part"
    SERVERS = "every server"
    OPENER = "one user, or nobody if the scheme has no opening"
    SEALERS = "some users, a part each, if users read what they rated; or nobody"


@dataclass(frozen=True)
class Phase:
    """does: in words. sends: the message that leaves, if one does. columns: of ``users.csv.gz`` (what a user
    is charged) or of ``rounds.csv`` (what the server is)."""

    name: str
    who: Who
    does: str
    sends: type | None
    columns: tuple[str, ...]


ROUND = (
    Phase("train", Who.USERS, "learn from V, protect the steps", Upload, ("update_cpu_s", "encrypt_cpu_s")),
    Phase("add", Who.SERVERS, "check each upload and add it", None, ("server_cpu_s",)),
    Phase("close", Who.SERVERS, "fix the set of uploads", Closed, ("server_cpu_s",)),
    Phase("open", Who.OPENER, "open the sums of that set", Opening, ("open_cpu_s", "open_bytes")),
    Phase("publish", Who.SERVERS, "send the new tables to everybody", EncryptedItems, ("server_cpu_s",)),
    Phase(
        "seal", Who.SEALERS, "check the tables for all, and seal them", Settled, ("seal_cpu_s", "seal_bytes")
    ),
    Phase("read", Who.USERS, "decrypt, check tags, then bounds", None, ("decrypt_cpu_s",)),
)
"""Sealing and reading are charged to the round that they open."""


def seal(
    messages: Sequence[EncryptedItems], count: int, key: KeyHolder, terms: Terms, ledger: Ledger
) -> Settled:
    """What users in one process do to check published tables together, in so many parts.

    Raises :class:`~fedmf_ray.protocol.ledger.TamperedError`.
    """
    layout, sealer = check_form(messages, key, terms), Sealer(key)
    parts = cut_parts(layout, count)
    checked = [sealer.check(messages, layout, at, parts, ledger) for at in range(len(parts))]
    settlement = sealer.settle([share for _, share in checked], messages, parts, ledger)
    seals = [
        sealer.seal(settlement, messages, at, parts, ledger, digest) for at, (digest, _) in enumerate(checked)
    ]
    return Settled(settlement.token, np.concatenate(seals))


class Local:
    """Users and servers in this process, without failures, costs or anybody who is late.

    tables: the values of all tables as they were read last. items: what users read from them.
    """

    def __init__(
        self, scheme: Scheme, terms: Terms, ratings: Sequence[UserRatings], sealers: int = 0
    ) -> None:
        """sealers: so many users check what is published; 0: everybody does, and reads all."""
        self._sealers, terms = sealers, replace(terms, shared_check=sealers > 0)
        self.terms, self.users, self.number = terms, Users(ratings, terms), 0
        evaluator, self.key = scheme.sides(terms.blocks.shape)
        self.ledger, self._opens = Ledger(self.key, terms), scheme.opens
        messages = encrypt_items(initial_tables(terms), self.key, terms)
        ids, rows, blocks = self.users.user_ids, self.users.upload_rows, terms.blocks
        borders = itertools.pairwise(blocks.borders)
        self.servers = [
            Server(evaluator, message, Roster(ids, rows.within(*border)), blocks)
            for message, border in zip(messages, borders, strict=True)
        ]
        self.read(messages)

    def round(self, absent: Sequence[int] = ()) -> list[Floats]:
        """One round of all users but some, by position; the tables that it leaves."""
        for upload in self.train(absent):
            deliver(upload, self.servers)  # add
        closed = [server.close() for server in self.servers]
        openings = self.ledger.open(closed) if self._opens else [None] * len(closed)
        messages = [server.publish(one) for server, one in zip(self.servers, openings, strict=True)]
        self.number += 1
        self.read(messages)
        return self.tables

    def train(self, absent: Sequence[int] = ()) -> list[list[Upload]]:
        """What each user uploads: a piece per server."""
        uploads = []
        for user in range(len(self.users)):
            if user not in absent:
                added = self.users.update(user, user + 1, self.items, self.terms, self.number)
                uploads += self.users.uploads(
                    user, user + 1, self.number, added, self.key, self.terms, self.ledger.heads
                )
        return uploads

    def read(self, messages: Sequence[EncryptedItems]) -> None:
        """Check first, then look: which error ends a run must tell a server nothing."""
        settled = None
        if self._sealers:
            settled = seal(messages, self._sealers, self.key, self.terms, self.ledger)
        share = read_share(messages, 0, 1, self.key, self.terms, settled=settled)
        news = self.ledger.settle([share], self.number)
        self.tables = open_tables([share], self.terms)
        self.items: Items = self.terms.rule.read(self.tables, self.terms.setting, counted=self.number > 0)
        if news:
            self.users.settle(share.credited, self.terms, self.number - 1)
        self.users.solve(0, len(self.users), self.items, self.terms)
        self.users.open()
