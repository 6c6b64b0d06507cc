"""A user's memory from one round to the next: what published tables are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gmpy2 import mpz

from fedmf_ray.errors import FedMFError
from fedmf_ray.protocol.messages import Closed, EncryptedItems, Opening
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import AnotherSet, KeyHolder, Known

if TYPE_CHECKING:
    from fedmf_ray.protocol.items import Share

T = TypeVar("T")

_HEAD_BYTES = 32


class TamperedError(FedMFError):
    """The server added something else than what it says it added."""


def tampered(round_number: object, server: int) -> TamperedError:
    return TamperedError(
        f"round {round_number!r:.20}: the item matrix of server {server} is not the sum of the "
        "uploads that it was credited with: it added, repeated, swapped or left out something"
    )


class Ledger:
    """What the sums of tags should be, or where schemes keep heads, which tables were read last.

    balance: for each server, the pads of everything that it has been credited with up to ``round``, and the
    weighted sums of fresh blocks that it has reset since; or the head of its tables, as a number.
    """

    def __init__(
        self,
        key: KeyHolder,
        terms: Terms,
        balance: Sequence[int] | None = None,
        round_number: int | None = None,
    ) -> None:
        authenticator, self._firsts = key.authenticator, terms.blocks.borders[:-1]
        self._key, self._terms = key, terms
        self.balance: list[mpz] = []
        # The first tables follow from what stands for tables before; tags do not tell them from later ones.
        start = -1 if key.keeps_heads else 0
        self._round = start if round_number is None else round_number
        if balance is not None:
            self.balance = [mpz(number) for number in balance]
        elif key.keeps_heads:
            self.balance = [_number(head) for head in key.first_heads(self._firsts)]
        elif authenticator is not None:
            self.balance = authenticator.start(self._firsts)
        neutral = mpz(0) if authenticator is None else authenticator.join([])
        self._reset = [neutral] * len(self.balance)

    @property
    def run(self) -> bytes:
        """As of :attr:`KeyHolder.run`."""
        return self._key.run

    @property
    def heads(self) -> Mapping[int, bytes]:
        """Of the tables that were read last, by the first block of a server; empty where there are none."""
        if not self._key.keeps_heads:
            return {}
        heads = (int(number).to_bytes(_HEAD_BYTES, "little") for number in self.balance)
        return dict(zip(self._firsts, heads, strict=True))

    def open(self, closed: Sequence[Closed], least: int = 0) -> list[Opening]:
        """What an opener answers to servers that have closed the open round. least: so many users must have
        uploaded, or nothing is opened.

        Raises :class:`TamperedError` with the reason for what is not the sum of this round's uploads.
        """
        known, openings = self.known(least), list[Opening]()
        for one in closed:
            openings += self.naming(one, partial(self._key.open, [one], known))
        return openings

    def known(self, least: int = 0) -> Known | None:
        """What an opener holds closed sums against."""
        if not self._key.keeps_heads:
            return None
        users, layout = self._terms.setting.point.contributors, self._terms.layout(self._round)
        sizes = {first: stop - first for first, stop in layout.ranges}
        return Known(self._round, self.heads, layout.fresh, least, users, sizes)

    def naming(self, message: Closed | Opening | EncryptedItems, answer: Callable[[], T]) -> T:
        """What somebody answers to a server's message; a refusal names the round and the server."""
        try:
            return answer()
        except AnotherSet:
            raise
        except ValueError as error:
            first = message.first
            known = isinstance(first, int) and first in self._firsts
            server = self._firsts.index(first) if known else first
            raise TamperedError(
                f"round {message.round!r:.20}: the sums of server {server!r:.20} are not opened: {error}"
            ) from error

    def settle(self, shares: Sequence[Share], round_number: int) -> bool:
        """Raise :class:`TamperedError` unless the tables are the sum of what the servers say they are, and
        those of the round that is to open: the latest one again, or the one after it.

        Pads are labelled with the round. A server that could name an earlier one would get other values under
        the same pads, and could forge a tag from the difference. Tables that have been settled before are
        held against the same balance again; returns whether these have not, so that their credits are news.
        """
        if {share.round for share in shares} != {round_number} or round_number - self._round not in (0, 1):
            raise tampered(round_number, 0)
        again = round_number == self._round
        if self._key.keeps_heads:
            self._follow(shares, again)
        else:
            self._add(shares, again)
        self._round = round_number
        return not again

    def _follow(self, shares: Sequence[Share], again: bool) -> None:
        """Tables are those of before again, or follow from them: there is one successor, or a second one is
        not read."""
        for server, (before, head) in enumerate(shares[0].heads):
            if self.balance[server] != _number(head if again else before) or any(
                share.heads[server] != (before, head) for share in shares
            ):
                raise tampered(shares[0].round, server)
        self.balance = [_number(head) for _, head in shares[0].heads]

    def _add(self, shares: Sequence[Share], again: bool) -> None:
        authenticator = self._key.authenticator
        if authenticator is None:
            return
        join = authenticator.join
        for server, (before, tag) in enumerate(zip(self.balance, shares[0].tags, strict=True)):
            news = [] if again else [self._reset[server], *(share.pads[server] for share in shares)]
            now = join([before, *news])
            if tag != join([now, *(share.weighed[server] for share in shares)]):
                raise tampered(shares[0].round, server)
            self.balance[server] = now
            self._reset[server] = join([share.fresh[server] for share in shares])


def _number(head: bytes) -> mpz:
    return mpz(int.from_bytes(head, "little"))
