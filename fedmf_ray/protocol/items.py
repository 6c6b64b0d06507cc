"""The tables between users and servers: encrypted once at the start, read and checked every round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from fedmf_ray.errors import DivergenceError
from fedmf_ray.fixed_point import first_beyond, would_do
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.ledger import Ledger as Ledger
from fedmf_ray.protocol.ledger import TamperedError as TamperedError
from fedmf_ray.protocol.ledger import not_sealed, tampered
from fedmf_ray.protocol.messages import NOBODY, EncryptedItems, Proof
from fedmf_ray.protocol.seals import Sealer, Settled, Token, check_credited, check_seals
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes import KeyHolder, Piece
from fedmf_ray.schemes.tags import INITIAL

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUNDS = 1 << 53


def initial_tables(terms: Terms) -> list[Floats]:
    """What opens round 0: the item table from the rule's start, and zeros in the shared ones."""
    table, setting = terms.items, terms.setting
    items = terms.rule.start(terms.start.items(table.rows, setting.factors), table, setting)
    return [items, *(np.zeros((other.rows, other.width)) for other in terms.blocks.tables[1:])]


def encrypt_items(tables: Sequence[Floats], key: KeyHolder, terms: Terms) -> list[EncryptedItems]:
    """The tables that open round 0, a message per server: one key-holder encrypts them, so that no server
    ever reads them."""
    if _first_beyond(tables[0], terms) is not None:
        bound = terms.setting.point.value_bound
        raise DivergenceError(
            "the initial item matrix",
            f"is over protocol.value_bound {bound:g}: lower model.init_scale, or raise it",
        )
    layout, messages = terms.layout(0), list[EncryptedItems]()
    integers = layout.join(tables)
    for first, stop in layout.ranges:
        mine = integers[first:stop]
        if key.keeps_heads:
            begun = key.begin(first, mine, layout.fresh)
            messages.append(EncryptedItems(0, first, begun.sums, begun.tags, NOBODY, begun.head, begun.proof))
            continue
        whole = Piece(INITIAL, first, 0, len(mine))
        wire, tags = key.protect(INITIAL, mine, np.arange(first, stop), [whole], {}, True)
        messages.append(EncryptedItems(0, first, wire, tags[0] if tags else None, NOBODY))
    return messages


@dataclass(frozen=True)
class Share:
    """One key-holder's share of reading published tables; the shares of all together are all of it.

    round: of the tables. integers: (blocks, columns) of its blocks, in order. credited: its share of the ids
    of the users whose uploads the servers say they added to the tables before. weighed, pads, tags: for each
    server, its share of the weighted sum, of the pads of the users that were credited, and (one share only)
    the number in the sum of tags. fresh: its share of the weighted sum of fresh blocks, which the next round
    starts without. Empty where nothing is tagged, or tables are sealed. heads: for each server, that of the
    tables before and their own, where schemes keep heads. token: of tables that were read under seals; no
    tags are weighed then.
    """

    round: int
    integers: Integers | NDArray[np.int32]
    credited: Integers
    weighed: list[mpz]
    pads: list[mpz]
    tags: list[mpz]
    fresh: list[mpz]
    heads: list[tuple[bytes, bytes]] = field(default_factory=list)
    token: Token | None = None
    open_cpu_s: float = 0.0
    """What opening its blocks took, of the seconds that reading took, by the clock that was given."""
    seal_cpu_s: float = 0.0
    """What checking their seals took."""

    def compact(self) -> Share:
        """The same with integers of half the width, where they fit: less to seal and to open."""
        narrow = self.integers.astype(np.int32)
        return replace(self, integers=narrow) if np.array_equal(narrow, self.integers) else self


def read_share(
    messages: Sequence[EncryptedItems],
    part: int,
    parts: int,
    key: KeyHolder,
    terms: Terms,
    clock: Callable[[], float] = float,
    settled: Settled | None = None,
) -> Share:
    """Decrypt one of so many parts of the tables, and do as much of checking them. clock: CPU seconds.
    settled: the seals of users who have checked them; only seals are checked then.

    Raises :class:`TamperedError` for a message that no honest server sends, and for a plaintext that no sum
    of uploads can be.
    """
    layout = check_form(messages, key, terms)
    if settled is not None:
        return _read_sealed(messages, settled, part, parts, key, terms, clock)
    begin, end = (_cut(layout.count, at, parts, key.at_once) for at in (part, part + 1))
    authenticator, round_number = key.authenticator, messages[0].round
    integers, weighed, pads, tags, fresh, open_cpu_s = [], [], [], [], [], 0.0
    for server, message in enumerate(messages):
        first, size = message.first, len(message.ciphertexts)
        blocks = np.arange(max(begin, first), max(begin, first, min(end, first + size)))
        try:
            started = clock()
            mine = key.read(message, blocks - first)
            open_cpu_s += clock() - started
            if message.tag is not None and authenticator is not None and part == 0:
                tags.append(authenticator.read(message))
            if authenticator is not None:
                pads.append(authenticator.pads(message, slice(part, None, parts)))
        except (IndexError, OverflowError, TypeError, ValueError) as error:
            raise tampered(round_number, server) from error
        integers.append(mine)
        if authenticator is not None:
            wire = message.ciphertexts[blocks - first]
            weighed.append(key.weigh(blocks, mine, wire))
            again = np.isin(blocks, layout.fresh)
            fresh.append(
                key.weigh(blocks[again], mine[again], wire[again]) if again.any() else authenticator.join([])
            )
    # Servers share an upload or refuse it together: one of them knows them all.
    credited = messages[0].credited[part::parts]
    heads = [key.heads_of(one) for one in messages] if key.keeps_heads else []
    return Share(
        round_number, _joined(integers), credited, weighed, pads, tags, fresh, heads, open_cpu_s=open_cpu_s
    )


def _read_sealed(
    messages: Sequence[EncryptedItems],
    settled: Settled,
    part: int,
    parts: int,
    key: KeyHolder,
    terms: Terms,
    clock: Callable[[], float],
) -> Share:
    """Check all seals first: which block is none of the sealed ones must not depend on what is in it."""
    number = messages[0].round
    layout = terms.blocks.opening(number)
    begin, end = (_cut(layout.count, at, parts, key.at_once) for at in (part, part + 1))
    integers, mine, open_cpu_s, seal_cpu_s = [], [], 0.0, 0.0
    for server, message in enumerate(messages):
        first, size = message.first, len(message.ciphertexts)
        blocks = np.arange(max(begin, first), max(begin, first, min(end, first + size)))
        mine.append(blocks - first)
        try:
            if server == 0:
                token = Sealer(key).token(settled.token, number)
                check_credited(token, message.credited)
            started = clock()
            check_seals(token, blocks, message.ciphertexts[blocks - first], settled.seals[blocks])
            seal_cpu_s += clock() - started
        except (IndexError, OverflowError, TypeError, ValueError) as error:
            raise not_sealed(number, server) from error
    for server, (message, rows) in enumerate(zip(messages, mine, strict=True)):
        try:
            started = clock()
            integers.append(key.read(message, rows))
            open_cpu_s += clock() - started
        except (IndexError, OverflowError, TypeError, ValueError) as error:
            raise not_sealed(number, server) from error
    return Share(
        round=number,
        integers=_joined(integers),
        credited=messages[0].credited[part::parts],
        weighed=[],
        pads=[],
        tags=[],
        fresh=[],
        token=token,
        open_cpu_s=open_cpu_s,
        seal_cpu_s=seal_cpu_s,
    )


def check_form(messages: Sequence[EncryptedItems], key: KeyHolder, terms: Terms) -> Blocks:
    """How the tables are cut that open the round which the messages name.

    Whoever is credited twice, or by some servers only, would make tags agree with what nobody uploaded.
    Whether an id is anybody's, users need not know: a stranger has no tag, and the tags disagree.
    """
    if not _has_types(messages[0]):
        raise tampered(messages[0].round, 0)
    layout = terms.blocks.opening(messages[0].round)
    for server, (message, (first, stop)) in enumerate(zip(messages, layout.ranges, strict=True)):
        if not (
            _has_types(message)
            and message.round == messages[0].round
            and message.first == first
            and len(message.ciphertexts) == stop - first
            and (message.tag is not None) == (key.authenticator is not None or key.keeps_heads)
            and (message.proof is not None) == key.keeps_heads
            and (message.credited[:1] >= 0).all()
            and (message.credited[1:] > message.credited[:-1]).all()
            and np.array_equal(message.credited, messages[0].credited)
        ):
            raise tampered(messages[0].round, server)
    return layout


def _has_types(message: EncryptedItems) -> bool:
    """A server may send anything; ``round`` must also fit where pads are labelled with it."""
    arrays = (message.ciphertexts, message.credited, *(() if message.tag is None else (message.tag,)))
    return (
        all(type(array) is np.ndarray for array in arrays)
        and type(message.round) is int
        and 0 <= message.round < _ROUNDS
        and isinstance(message.first, int | np.integer)
        and message.ciphertexts.ndim == 3
        and message.ciphertexts.dtype == np.uint8
        and message.credited.dtype == np.int64
        and message.credited.ndim == 1
        and (message.proof is None or _is_proof(message.proof, len(message.ciphertexts)))
    )


def _is_proof(proof: object, blocks: int) -> bool:
    return (
        isinstance(proof, Proof)
        and type(proof.before) is bytes
        and type(proof.rest) is bytes
        and type(proof.seals) is np.ndarray
        and len(proof.seals) == blocks
        and type(proof.links) is tuple
        and all(type(link) is bytes for link in proof.links)
    )


def _cut(count: int, part: int, parts: int, at_once: int) -> int:
    """Where a part begins. Key-holders may work on several blocks at once, and users are charged for all
    parts: only the last one may leave such a batch unfilled."""
    return count if part == parts else min(count, at_once * round(count * part / parts / at_once))


def open_tables(shares: Sequence[Share], terms: Terms) -> list[Floats]:
    """The values of all tables, (rows, width) each, from all shares. Call it when they are settled: which
    error ends a run must tell a server nothing.

    Raises :class:`DivergenceError` for an entry beyond its bound.
    """
    layout = terms.blocks.opening(shares[0].round)
    tables = layout.cut(_joined([share.integers for share in shares]))
    row, bound = _first_beyond(tables[0], terms), terms.setting.point.value_bound
    if row is not None:
        raise DivergenceError(
            f"round {shares[0].round}, item {terms.item_ids[row]}"
            f"{would_do(tables[0], terms.items.value_bounds, bound)}",
            f"a value is over protocol.value_bound {bound:g}: raise it; if errors have grown from round to "
            f"round, training has diverged: {terms.rule.calmer}",
        )
    for table, values in zip(terms.blocks.tables[1:], tables[1:], strict=True):
        if first_beyond(values, table.value_bounds) is not None:
            raise DivergenceError(
                f"round {shares[0].round}, table {table.name}",
                f"a sum is over its bound, training has diverged: {terms.rule.calmer}",
            )
    return tables


def _joined(arrays: Sequence[Any]) -> Any:
    """Of a single one, no copy is made."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _first_beyond(rows: Floats, terms: Terms) -> int | None:
    """The first row of the item table with a number beyond its column's bound, or one that stands for a value
    beyond ``value_bound``; None if there is none."""
    beyond = first_beyond(rows, terms.items.value_bounds)
    if beyond is not None:
        return beyond[0]
    limits = terms.rule.limits(rows, terms.items, terms.setting)
    if limits is None:
        return None
    over = (np.abs(rows[:, : limits.shape[1]]) > limits).any(axis=1)
    return int(np.argmax(over)) if over.any() else None
