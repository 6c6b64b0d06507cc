"""The calls of a user actor about published tables: its users read them, and if they share the check, some
are sealers, and one is the settler (:mod:`fedmf_ray.protocol.seals`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import OpeningCosts, cpu_clock
from fedmf_ray.engine.answers import Reading
from fedmf_ray.engine.keeper import Keeper
from fedmf_ray.protocol.items import Ledger, check_form, read_share
from fedmf_ray.protocol.ledger import not_sealed
from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.protocol.parts import Part, cut_parts
from fedmf_ray.protocol.seals import Sealer, Settled, Settlement
from fedmf_ray.protocol.terms import Terms

Seals = NDArray[np.uint8]


class Sealers(Keeper):
    """Users hosted here. count: into how many parts the tables are cut."""

    _terms: Terms
    _ledger: Ledger

    def read_share(self, part: int, parts: int, *published: EncryptedItems | Settled) -> Reading:
        """Decrypt and check one part of the published matrix, for all users and nobody else. published: a
        message per server, and what users have settled about them, if they share the check."""
        reading = self._read_share(part, parts, *published)
        return reading._replace(share=self._share_out(reading.share))

    def _read_share(self, part: int, parts: int, *published: EncryptedItems | Settled) -> Reading:
        messages = [one for one in published if isinstance(one, EncryptedItems)]
        settled = next((one for one in published if isinstance(one, Settled)), None)
        started = cpu_clock()
        share = read_share(messages, part, parts, self._key, self._terms, cpu_clock, settled)
        cpu_s = cpu_clock() - started
        if settled is None:
            return Reading(share, cpu_s, sum(message.nbytes for message in messages))
        whole = settled.seals.nbytes + sum(message.ciphertexts.nbytes for message in messages)
        return Reading(share, cpu_s, whole, len(settled.token))

    def check_parts(
        self, count: int, which: Sequence[int], *messages: EncryptedItems
    ) -> tuple[list[bytes], list[OpeningCosts]]:
        """Sealers here check parts of the tables, one each: for every part the share for the settler, and
        what it took."""
        shares, costs, kept = list[bytes](), list[OpeningCosts](), dict[int, bytes]()
        for at in which:
            started = cpu_clock()
            layout = check_form(messages, self._key, self._terms)
            parts = cut_parts(layout, count)
            digest, share = Sealer(self._key).check(messages, layout, at, parts, self._ledger)
            cpu_s, kept[at] = cpu_clock() - started, digest
            shares.append(share)
            costs.append(OpeningCosts(cpu_s, _part_bytes(parts[at], messages), len(share), 1))
        self._checked = messages[0].round, kept
        return shares, costs

    def settle_parts(
        self, count: int, shares: Sequence[bytes], *messages: EncryptedItems
    ) -> tuple[Settlement, OpeningCosts]:
        """A user here settles the shares of all sealers; raises
        :class:`~fedmf_ray.protocol.ledger.TamperedError`."""
        started = cpu_clock()
        layout = check_form(messages, self._key, self._terms)
        parts = cut_parts(layout, count)
        settlement = Sealer(self._key).settle(shares, messages, parts, self._ledger)
        cpu_s = cpu_clock() - started
        tags = sum(message.tag.nbytes for message in messages if message.tag is not None)
        up = len(settlement.token) + sum(map(len, settlement.digests))
        return settlement, OpeningCosts(cpu_s, tags + sum(map(len, shares)), up, 1)

    def seal_parts(
        self, count: int, which: Sequence[int], settlement: Settlement, *messages: EncryptedItems
    ) -> tuple[list[Seals], list[OpeningCosts]]:
        """Sealers here seal the parts that they have checked: for every part (blocks, 16) seals, and what it
        took."""
        seals, costs, number = list[Seals](), list[OpeningCosts](), messages[0].round
        checked, kept = self._checked
        for at in which:
            started = cpu_clock()
            parts = cut_parts(self._terms.blocks.opening(number), count)
            try:
                if checked != number or at not in kept:
                    raise ValueError("was not checked here")
                seals.append(Sealer(self._key).seal(settlement, messages, at, parts, self._ledger, kept[at]))
            except ValueError as error:
                raise not_sealed(number, parts[at].server) from error
            down = len(settlement.token) + sum(map(len, settlement.digests))
            costs.append(OpeningCosts(cpu_clock() - started, down, seals[-1].nbytes, 1))
        return seals, costs

    def differing_shares(
        self, number: int, one: Sequence[bytes], other: Sequence[bytes]
    ) -> list[tuple[int, bool]]:
        """As of :meth:`~fedmf_ray.protocol.seals.Sealer.differing`."""
        return Sealer(self._key).differing(one, other, number)


def _part_bytes(part: Part, messages: Sequence[EncryptedItems]) -> int:
    message = messages[part.server]
    return int(message.ciphertexts[part.first - message.first : part.stop - message.first].nbytes)
