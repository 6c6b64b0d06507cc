"""The item matrix between users and server: encrypted once at the start, read and checked every round."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.fixed_point import first_beyond
from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.protocol.server import NOBODY
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes.paillier.kernels import AT_ONCE
from fedmf_ray.schemes.registry import KeyHolder

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_INITIAL = -1
"""What stands for user and round in the label of the tag under the very first matrix."""


class TamperedError(FedMFError):
    """The server added something else than what it says it added."""


def encrypt_items(item_matrix: Floats, key: KeyHolder, terms: Terms) -> list[EncryptedItems]:
    """The matrix that opens round 0, a message a server: one key-holder encrypts it, so that no server
    ever reads it."""
    if _first_beyond(item_matrix, terms) is not None:
        bound = terms.grid.main.value_bound
        raise DivergenceError(
            "the initial item matrix",
            f"is over protocol.value_bound {bound:g}: lower model.init_scale, or raise it",
        )
    values, borders = terms.blocks.join(item_matrix), terms.blocks.borders
    messages = []
    for first, stop in itertools.pairwise(borders):
        mine, tags = values[first:stop], []
        if key.authenticator is not None:
            blocks, plaintexts = np.arange(first, stop), key.plaintexts(mine)
            tags = [key.authenticator.tag(blocks, plaintexts, _INITIAL, _INITIAL, first)]
        wire = key.encrypt(mine, tags)
        tag = wire[-1, 0] if tags else None
        messages.append(EncryptedItems(0, first, wire[: len(mine)], tag, NOBODY))
    return messages


@dataclass(frozen=True)
class Share:
    """One key-holder's share of reading a published matrix; the shares of all together are all of it.

    round: of the matrix. values: (blocks, columns) of its blocks, in order. credited: its share of the ids of
    the users whose uploads the servers say they added to the matrix before.
    weighed, pads, tags: for each server, its share of the weighted sum, of the pads of the users that were
    credited, and (one share only) the number in the sum of tags. Empty where nothing is tagged.
    """

    round: int
    values: Floats
    credited: Integers
    weighed: list[mpz]
    pads: list[mpz]
    tags: list[mpz]


def read_share(
    messages: Sequence[EncryptedItems], part: int, parts: int, key: KeyHolder, terms: Terms
) -> Share:
    """Decrypt one of so many parts of the matrix, and do as much of checking it.

    Raises :class:`DivergenceError` for an entry beyond its bound.
    """
    begin, end = _cut(terms.blocks.count, part, parts), _cut(terms.blocks.count, part + 1, parts)
    authenticator, round_number = key.authenticator, messages[0].round
    values, weighed, pads, tags = [], [], [], []
    for message in messages:
        first, size = message.first, len(message.ciphertexts)
        blocks = np.arange(max(begin, first), max(begin, first, min(end, first + size)))
        mine = key.decrypt(message.ciphertexts[blocks - first])
        _check_bound(mine, blocks, round_number, terms)
        values.append(mine)
        if authenticator is not None and message.tag is not None:
            weighed.append(authenticator.weigh(blocks, key.plaintexts(mine)))
            credited = message.credited[part::parts].tolist()
            pads.append(sum((authenticator.pad(user, round_number - 1, first) for user in credited), mpz(0)))
            if part == 0:
                tags.append(authenticator.read(message.tag))
    # Servers share an upload or refuse it together: one of them knows them all.
    credited = messages[0].credited[part::parts]
    return Share(round_number, np.concatenate(values), credited, weighed, pads, tags)


def _cut(count: int, part: int, parts: int) -> int:
    """Where a part begins. Kernels may work on several ciphertexts at once, and users are charged for all
    parts: only the last one may leave such a turn unfilled."""
    return count if part == parts else min(count, AT_ONCE * round(count * part / parts / AT_ONCE))


class Ledger:
    """What the sums of tags should be: a user's memory from one round to the next.

    balance: for each server, the pads of everything that it has been credited with up to ``round``.
    """

    def __init__(
        self, key: KeyHolder, terms: Terms, balance: Sequence[int] | None = None, round_number: int = 0
    ) -> None:
        authenticator, firsts = key.authenticator, terms.blocks.borders[:-1]
        self.balance: list[mpz] = []
        self._round = round_number
        if authenticator is None:
            return
        self._modulus = authenticator.modulus
        if balance is None:
            self.balance = [authenticator.pad(_INITIAL, _INITIAL, first) for first in firsts]
        else:
            self.balance = [mpz(number) for number in balance]

    def settle(self, shares: Sequence[Share]) -> None:
        """Raise :class:`TamperedError` unless the matrix is the sum of what the servers say it is.

        A matrix that has been settled before is held against the same balance again.
        """
        again = shares[0].round == self._round
        for server, (before, tag) in enumerate(zip(self.balance, shares[0].tags, strict=True)):
            now = before if again else before + sum(share.pads[server] for share in shares)
            weighed = sum(share.weighed[server] for share in shares)
            if (tag - weighed - now) % self._modulus != 0:
                raise TamperedError(
                    f"round {shares[0].round}: the item matrix of server {server} is not the sum of the "
                    "uploads that it was credited with: it added, repeated, swapped or left out something"
                )
            self.balance[server] = now % self._modulus
        self._round = shares[0].round


def _check_bound(values: Floats, blocks: NDArray[np.int64], round_number: int, terms: Terms) -> None:
    """Beyond its bound training has diverged. values: (blocks, columns)."""
    layout = terms.blocks
    at = _first_beyond(values.reshape(-1, layout.width), terms)
    if at is None:
        return
    row = int(blocks[at // layout.rows]) * layout.rows + at % layout.rows
    item = terms.item_ids[min(row, layout.items - 1)]
    raise DivergenceError(
        f"round {round_number}, item {item}",
        f"a value is over protocol.value_bound {terms.grid.main.value_bound:g}, training has diverged: "
        f"{terms.calmer}, or raise the bound",
    )


def _first_beyond(rows: Floats, terms: Terms) -> int | None:
    """The first row of (n, width) with a number beyond its column's bound, or one that stands for a value
    beyond ``value_bound``; None if there is none."""
    beyond, layout = first_beyond(rows, terms.grid.value_bounds), terms.layout
    if beyond is not None:
        return beyond[0]
    if not layout.prior:
        return None
    limits = terms.grid.main.value_bound * layout.weights(rows[:, -1])
    over = (np.abs(rows[:, : layout.learned]) > limits).any(axis=1)
    return int(np.argmax(over)) if over.any() else None
