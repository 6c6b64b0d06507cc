"""A user's memory from one round to the next: what published tables are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gmpy2 import mpz

from fedmf_ray.errors import FedMFError
from fedmf_ray.protocol.messages import Closed, EncryptedItems, Opening
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import AnotherSet, KeyHolder, Known

if TYPE_CHECKING:
    from fedmf_ray.protocol.items import Share
    from fedmf_ray.protocol.seals import Token

T = TypeVar("T")

_HEAD_BYTES = 32

NO_TOKEN = bytes(32)
"""What stands for the token of the tables before the first ones."""


class TamperedError(FedMFError):
    """The server added something else than what it says it added."""


def tampered(round_number: object, server: int) -> TamperedError:
    return TamperedError(
        f"round {round_number!r:.20}: the item matrix of server {server} is not the sum of the "
        "uploads that it was credited with: it added, repeated, swapped or left out something"
    )


def not_sealed(round_number: object, server: int) -> TamperedError:
    return TamperedError(
        f"round {round_number!r:.20}: the item matrix of server {server} is not the one that users have "
        "checked and sealed: the server, or a user who sealed it, sent something else"
    )


@dataclass
class Weighed:
    """What has been found out of one server's tables, in parts.

    tag: the number in the sum of tags. pads: of the users that are credited. blocks, fresh: weighed sums of
    blocks, and of those that the next round starts without.
    """

    tag: mpz = field(default_factory=mpz)
    pads: list[mpz] = field(default_factory=list)
    blocks: list[mpz] = field(default_factory=list)
    fresh: list[mpz] = field(default_factory=list)


class Ledger:
    """What the sums of tags should be, or where schemes keep heads, which tables were read last.

    balance: for each server, the pads of everything that it has been credited with up to ``round``, and the
    weighted sums of fresh blocks that it has reset since; or the head of its tables, as a number.
    tokens: by round, of the latest tables that were read under seals, and of those before.
    """

    def __init__(
        self,
        key: KeyHolder,
        terms: Terms,
        balance: Sequence[int] | None = None,
        round_number: int | None = None,
        tokens: Mapping[int, bytes] | None = None,
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
        self.tokens = dict(tokens) if tokens else {-1: NO_TOKEN}

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
        if {share.round for share in shares} != {round_number}:
            raise tampered(round_number, 0)
        if any(share.token != shares[0].token for share in shares):
            raise tampered(round_number, 0)
        if shares[0].token is not None:
            return self.follow(shares[0].token, round_number)
        # Whoever reads other tables under seals would have no token that the next ones could follow from.
        sealed = self._terms.shared_check and self._key.authenticator is not None
        if sealed and round_number not in self.tokens:
            raise not_sealed(round_number, 0)
        if round_number - self._round not in (0, 1):
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
        sums = [
            Weighed(
                tag,
                [share.pads[server] for share in shares],
                [share.weighed[server] for share in shares],
                [share.fresh[server] for share in shares],
            )
            for server, tag in enumerate(shares[0].tags)
        ]
        self.balance = self.balanced(shares[0].round, sums)
        self._reset = [authenticator.join(one.fresh) for one in sums]

    def balanced(self, round_number: int, sums: Sequence[Weighed]) -> list[mpz]:
        """The balance under the tables that open a round, if they add up: the latest ones again, or the ones
        after them. sums: of each server. Raises :class:`TamperedError`."""
        authenticator = self._key.authenticator
        assert authenticator is not None
        join, again, balance = authenticator.join, round_number == self._round, list[mpz]()
        if not again and round_number != self._round + 1:
            raise tampered(round_number, 0)
        for server, (before, one) in enumerate(zip(self.balance, sums, strict=True)):
            now = before if again else join([before, self._reset[server], *one.pads])
            if one.tag != join([now, *one.blocks]):
                raise tampered(round_number, server)
            balance.append(now)
        return balance

    def token_before(self, round_number: int) -> bytes:
        """Of the tables before those that open a round."""
        return self.tokens.get(round_number - 1, NO_TOKEN)

    def takes(self, round_number: int, value: bytes) -> bool:
        """Whether the tables that open a round may have the token of this value: there is one a round."""
        return self.tokens.get(round_number, value) == value

    def follow(self, token: Token, round_number: int) -> bool:
        """Take the tables of this token for those that open a round, if they follow from what was read last
        here: the latest ones again, or the ones after them. Whoever left a round out could be shown another
        history, and would count itself twice in a census. Returns whether they are news.

        Raises :class:`TamperedError`.
        """
        again = round_number == self._round
        fits = (
            token.round == round_number
            and token.previous == self.tokens.get(round_number - 1)
            and self.takes(round_number, token.value)
            and len(token.balance) == len(token.reset) == len(self.balance)
            and (not again or list(token.balance) == self.balance)
        )
        if not fits:
            raise tampered(round_number, 0)
        self.balance, self._reset = list(token.balance), list(token.reset)
        self.tokens = {round_number - 1: token.previous, round_number: token.value}
        self._round = round_number
        return not again


def _number(head: bytes) -> mpz:
    return mpz(int.from_bytes(head, "little"))
