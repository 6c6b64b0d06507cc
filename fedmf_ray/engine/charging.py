"""What users are charged for a round, of what their actor measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.costs.seconds import UserCosts
from fedmf_ray.engine.answers import Hosting, Reading
from fedmf_ray.engine.keeper import Keeper
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.items import Share
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.protocol.user import Users

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Charging(Keeper):
    """Of a user actor. Work that is done once for all of its users is charged in full to each, but for the
    blocks that a user does not read or open (``protocol.reading: rated``)."""

    _round: int
    _users: Users
    _terms: Terms
    _hosting: Hosting

    def _count_blocks(self) -> None:
        """Find out how many blocks of item rows users are charged for: those of the tariff, if there is
        one."""
        rows, layout = self._users.upload_rows, self._layouts
        self._item_blocks: Integers = rows.under(layout) if self._hosting.tariff else rows.named_counts
        self._rated_blocks: Integers | None = rows.rated(layout) if self._hosting.rated else None

    @property
    def _layouts(self) -> Blocks:
        """How the tables are cut that users are charged for."""
        return self._hosting.tariff.blocks if self._hosting.tariff else self._terms.blocks

    def _charge_reading(
        self, settling_cpu_s: float, tables_cpu_s: float, readings: Sequence[Reading], shares: Sequence[Share]
    ) -> None:
        """settling_cpu_s, tables_cpu_s: of what every user does once everything has been read: for all
        blocks together, and for those that it opens. readings, shares: all parts."""
        sealing, opening = (
            sum(getattr(share, column) for share in shares) for column in ("seal_cpu_s", "open_cpu_s")
        )
        settling_cpu_s += sum(reading.cpu_s for reading in readings) - opening - sealing
        opening += tables_cpu_s
        layout, at_once = self._terms.blocks.opening(self._round), self._key.at_once
        users, reading = len(self._users), readings[0]
        downloaded, opened = np.full((2, users), layout.count)
        if self._rated_blocks is not None and shares[0].token is not None:
            if self._terms.part_text_sparsity:
                downloaded = self._users.upload_rows.named_counts + len(layout.shared)
            # Fewer than a key-holder works on at once may take as long.
            rated = self._rated_blocks + len(layout.shared)
            opened = np.minimum(layout.count, -(-rated // at_once) * at_once)
        self._download_bytes = reading.token_bytes + reading.download_bytes * downloaded // layout.count
        self._decrypt_cpu_s = settling_cpu_s + (sealing * downloaded + opening * opened) / layout.count
        rest = sealing * (layout.count - downloaded) + opening * (layout.count - opened)
        self._rest_cpu_s = rest / layout.count
        self._rest_bytes = reading.token_bytes + reading.download_bytes - self._download_bytes

    def list_costs(self) -> tuple[Integers, Floats]:
        """(users,) each: bytes and CPU seconds of what a user reads for a list, beside what rounds are
        charged: the rest of the tables of the open round, or where a rule makes lists alone, all of them."""
        bytes_, cpu_s = self._rest_costs()
        if self._terms.rule.predicts:
            return bytes_, cpu_s
        none = np.zeros(len(self._users))
        all_ = np.ones(len(self._users), bool)
        read = self._costs(0, len(self._users), all_, none, none, none.astype(np.int64))
        return bytes_ + read.download_bytes, cpu_s + read.decrypt_cpu_s

    def _rest_costs(self) -> tuple[Integers, Floats]:
        """Of blocks that users need not read to learn."""
        tariff, users, read = self._hosting.tariff, self._users, self._layouts.opening(self._round)
        if self._rated_blocks is None:
            return np.zeros(len(users), np.int64), np.zeros(len(users))
        if tariff is None:
            return self._rest_bytes, self._rest_cpu_s
        downloaded, opened = (blocks + len(read.shared) for blocks in (self._item_blocks, self._rated_blocks))
        downloaded = np.full(len(users), read.count) if tariff.full_text else downloaded
        return tariff.at(self._round).rest(downloaded, opened)

    def _costs(
        self,
        first: int,
        stop: int,
        chosen: NDArray[np.bool_],
        update_cpu_s: Floats,
        encrypt_cpu_s: Floats,
        upload_bytes: Integers,
    ) -> UserCosts:
        """Of the chosen ones of a contiguous range of users, measured or by the tariff."""
        users, tariff, number = self._users, self._hosting.tariff, self._round
        layout = self._layouts.at(number)
        user_ids, rows, blocks = (
            column[first:stop][chosen]
            for column in (users.user_ids, users.upload_rows.counts, self._item_blocks + len(layout.shared))
        )
        if tariff is not None:
            ratings, opened = users.rating_counts[first:stop][chosen], blocks
            if self._rated_blocks is not None:
                read = self._layouts.opening(number)
                opened = self._rated_blocks[first:stop][chosen] + len(read.shared)
            return tariff.at(number).users(user_ids, ratings, rows, blocks, opened)
        return UserCosts(
            user_id=user_ids,
            decrypt_cpu_s=self._decrypt_cpu_s[first:stop][chosen],
            update_cpu_s=update_cpu_s[chosen],
            encrypt_cpu_s=encrypt_cpu_s[chosen],
            download_bytes=self._download_bytes[first:stop][chosen],
            upload_bytes=upload_bytes[chosen],
            upload_rows=rows,
            upload_blocks=blocks,
        )
