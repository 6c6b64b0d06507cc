"""What an outsider tried against a shared check (docs/threat-model.md, *What users read*)."""

import dataclasses
from unittest import mock

import numpy as np
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.engine.shared_check import SharedCheck
from fedmf_ray.protocol.items import TamperedError, read_share
from fedmf_ray.protocol.ledger import Ledger
from fedmf_ray.protocol.parts import cut_parts
from fedmf_ray.protocol.round import seal
from fedmf_ray.protocol.seals import Sealer, Settled, Settlement, _label, seals_of
from tests.engine.test_rated_reading import actor_of
from tests.protocol.test_sealers import checked_by
from tests.protocol.test_seals import branched, copied, played, published, read
from tests.support.cheating_servers import crediting
from tests.support.small_runs import small

OTHER = "something else than what was checked here"


def moved(message, to, what):
    """Blocks ``what`` in the place of blocks ``to``."""
    wire = message.ciphertexts.copy()
    wire[to] = message.ciphertexts[what]
    return dataclasses.replace(message, ciphertexts=wire)


class Checked:
    """What honest sealers and a settler make of the tables of round 3."""

    def __init__(self, count, **how):
        self.federation = federation = played(**how)
        (self.message, *_) = published(federation)
        self.parts = cut_parts(federation.terms.blocks, count)
        self.digests, self.shares = checked_by(federation, self.parts)
        self.sealer, self.ledger = Sealer(federation.key), federation.ledger
        self.settlement = self.settle(self.shares)

    def settle(self, shares):
        return self.sealer.settle(shares, self.federation.messages, self.parts, self.ledger)

    def seal(self, digests, messages, at, digest, parts=None):
        settlement = Settlement(self.settlement.token, tuple(digests))
        return self.sealer.seal(settlement, messages, at, parts or self.parts, self.ledger, digest)


@pytest.mark.parametrize(
    ("count", "at", "to", "what", "recut"),
    [
        (3, 1, [2, 3], [0, 1], lambda d: (b"", d[0], d[1] + d[2])),
        (6, 3, [3], [1], lambda d: (b"", d[0], b"", d[1], b"".join(d[2:]), b"")),
        (6, 3, [3], [1], lambda d: (d[0], d[3], d[2], d[1], d[4], d[5])),
    ],
)
def test_a_sealer_seals_no_blocks_of_another_part_in_the_place_of_its_own(count, at, to, what, recut):
    """A server shows a sealer the bytes of another part, and where the settler names those, its own part's
    place: the digests, put together, are the same. Readers, and the next round, would not notice."""
    it = Checked(count)
    cheat = [moved(it.message, to, what)]
    layout = it.federation.terms.blocks
    digest, _ = it.sealer.check(cheat, layout, at, it.parts, it.ledger)
    with pytest.raises(ValueError, match=OTHER):
        it.seal(recut(it.digests), cheat, at, digest)
    other = it.parts.index(next(part for part in it.parts if part.first == what[0]))
    with pytest.raises(ValueError, match=OTHER):
        it.seal(recut(it.digests), cheat, at, it.digests[other])
    it.seal(it.digests, [it.message], at, it.digests[at])


def test_digests_are_bytes_of_one_length():
    it = Checked(6)
    d = it.digests
    for odd in ((*d[:2], d[2] + d[3], b"", *d[4:]), (*d[:5], bytearray(d[5])), d[:5], (*d, b"")):
        with pytest.raises(ValueError, match=OTHER):
            it.seal(odd, [it.message], 1, d[1])
    lie = Settlement(it.settlement.token, None)
    with pytest.raises(ValueError, match=OTHER):
        it.sealer.seal(lie, [it.message], 1, it.parts, it.ledger, d[1])
    for shares in (it.shares[:-1], [*it.shares, it.shares[0]]):
        with pytest.raises(TamperedError, match="round 3"):
            it.settle(shares)


def test_nor_do_actors_that_are_asked_again():
    actor, (message,) = actor_of("rated")
    parts = cut_parts(actor._terms.blocks, 5)
    shares, _ = actor.check_parts(5, range(5), message)
    settlement, _ = actor.settle_parts(5, shares, message)
    actor.seal_parts(5, range(5), settlement, message)
    to, what = (np.arange(parts[at].first, parts[at].stop) for at in (3, 1))
    cheat, d = moved(message, to, what), settlement.digests
    actor.check_parts(5, [3], cheat)
    recut = dataclasses.replace(settlement, digests=(d[0], b"", b"", d[1], b"".join(d[2:])))
    with pytest.raises(TamperedError, match="checked and sealed"):
        actor.seal_parts(5, [3], recut, cheat)


@pytest.mark.parametrize(("checked", "settled"), [(3, 6), (6, 3), (2, 3), (3, 2)])
def test_a_part_checked_in_one_cut_is_not_sealed_in_another(checked, settled):
    """Actors keep digests by the number of a part alone."""
    it = Checked(settled)
    cuts = cut_parts(it.federation.terms.blocks, checked)
    mine, _ = checked_by(it.federation, cuts)
    for at in range(min(checked, settled)):
        for cut in (it.parts, cuts):
            if cut[at] != it.parts[at] or mine[at] != it.digests[at]:
                with pytest.raises(ValueError, match=OTHER):
                    it.seal(it.digests, it.federation.messages, at, mine[at], cut)


@pytest.mark.parametrize("false", ["one fewer", "a stranger more"])
def test_tables_are_not_settled_again_with_other_credits(false):
    """A server says that the attempt has failed, and asks a user who has read these tables to settle them
    again. Whoever has not read them would believe it."""
    federation = played()
    settler = copied(federation.ledger, federation)
    published(federation)
    read(federation, federation.settled(), ledger=settler)
    (message,) = federation.messages
    credited = message.credited[1:] if false == "one fewer" else np.append(message.credited, 77)
    with pytest.raises(TamperedError, match="round 3"):
        seal([crediting(message, credited)], 3, federation.key, federation.terms, settler)
    seal([message], 3, federation.key, federation.terms, settler)


def test_sealers_seal_under_no_second_token():
    """Of a settler that has not read the first one."""
    federation = played()
    unread = copied(federation.ledger, federation)
    (one, settled), (other, _) = branched(federation)
    read(federation, settled, one)
    federation.messages, read_by, federation.ledger = other, federation.ledger, unread
    parts, sealer = cut_parts(federation.terms.blocks, 3), Sealer(federation.key)
    digests, shares = checked_by(federation, parts)
    settlement = sealer.settle(shares, other, parts, unread)
    sealer.seal(settlement, other, 1, parts, unread, digests[1])
    with pytest.raises(ValueError, match=OTHER):
        sealer.seal(settlement, other, 1, parts, read_by, digests[1])


def test_tables_are_read_under_seals_or_not_at_all():
    """Whoever checked tables alone would have no token, and could be led to another history after them."""
    federation = played()
    published(federation)
    with pytest.raises(TamperedError, match="checked and sealed"):
        read(federation, None)
    read(federation, federation.settled())
    read(federation, None)  # whoever wants a list opens all of what it has read
    newcomer = Ledger(federation.key, federation.terms)
    with pytest.raises(TamperedError, match="checked and sealed"):
        read(federation, None, federation.past[0][0], newcomer)


@pytest.mark.parametrize("without", [0, 1])
def test_readers_of_different_parts_have_read_under_one_token(without):
    federation = played()
    published(federation)
    settled, key, terms = federation.settled(), federation.key, federation.terms
    shares = [
        read_share(federation.messages, at, 2, key, terms, settled=None if at == without else settled)
        for at in range(2)
    ]
    with pytest.raises(TamperedError, match="round 3"):
        federation.ledger.settle(shares, 3)


def test_seals_are_bytes():
    """Objects may say that they equal anything."""
    federation = played()
    published(federation)
    settled = federation.settled()
    cheat = [moved(federation.messages[0], [3], [1])]
    stranger = mock.MagicMock(spec=["__getitem__"])  # it has no type of numbers
    stranger.__getitem__.return_value = stranger
    for anything in (np.full(settled.seals.shape, mock.ANY, object), mock.MagicMock(), stranger, None):
        with pytest.raises(TamperedError, match="checked and sealed"):
            read(federation, Settled(settled.token, anything), cheat)


def test_seals_of_all_servers_are_checked_before_any_block_is_opened(monkeypatch):
    federation = played(servers=2)
    published(federation)
    settled, opened = federation.settled(), []
    settled.seals[-1, 0] ^= 1  # of the second server
    monkeypatch.setitem(federation.key.__dict__, "read", lambda message, _: opened.append(message))
    with pytest.raises(TamperedError, match="server 1"):
        read(federation, settled)
    assert opened == []


def flipped(text, at):
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]


LIES = {
    "a wrong number": lambda open_, write, one: write(flipped(open_(one), 64)),
    "another history": lambda open_, write, one: write(flipped(open_(one), 32)),
    "nonsense": lambda _, __, one: bytes(len(one)),
    "nothing": lambda *_: b"",
    "half a message": lambda open_, write, one: write(open_(one)[:40]),
    "no numbers": lambda open_, write, one: write(open_(one)[:64]),
    "numbers more": lambda open_, write, one: write(open_(one) + bytes(128)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sealer_that_lies_is_refused_and_found_whatever_it_says(lie):
    it = Checked(3)
    label, lies = _label(b"check", 3, 1, 3), list(it.shares)
    lies[1] = LIES[lie](
        lambda letter: it.sealer._open(letter, label),
        lambda text: it.sealer._enclose(label, text),
        it.shares[1],
    )
    with pytest.raises(TamperedError, match="round 3"):
        it.settle(lies)
    ((at, same_bytes),) = it.sealer.differing(lies, it.shares, 3)
    assert (at, same_bytes) == (1, lie in ("a wrong number", "another history"))


@pytest.mark.parametrize("share", [b"", b"x" * 300])
def test_a_server_that_garbles_a_share_is_named_with_two_users(tmp_path, monkeypatch, share):
    check, asked = SharedCheck._check, []

    def garbling(self, who, messages):
        shares, step = check(self, who, messages)
        asked.append(who)
        return ([share, *shares[1:]] if len(asked) == 2 else shares), step

    monkeypatch.setattr(SharedCheck, "_check", garbling)
    with pytest.raises(TamperedError, match="disagree about part 1 of .* or the server passed on"):
        run(small(protocol__reading="rated"), tmp_path, Silent())


def test_a_lie_in_a_token_is_noticed_a_round_later_and_the_server_not_blamed_alone(tmp_path, monkeypatch):
    settle, settled = Sealer.settle, []

    def lying(self, shares, messages, parts, ledger):
        settled.append(settle(self, shares, messages, parts, ledger))
        if len(settled) != 2:
            return settled[-1]
        label = _label(b"token", messages[0].round)
        text = self._open(settled[-1].token, label)
        return dataclasses.replace(settled[-1], token=self._enclose(label, flipped(text, 96)))

    monkeypatch.setattr(Sealer, "settle", lying)
    with pytest.raises(TamperedError, match="round 2: .*; or users who sealed the tables of round 1 lied"):
        run(small(protocol__reading="rated"), tmp_path, Silent())


def test_everybody_knows_what_the_first_tables_are_held_against():
    federation = played(rounds=0)
    sealer, label = Sealer(federation.key), _label(b"token", 0)
    settled = federation.settled()
    lie = sealer._enclose(label, flipped(sealer._open(settled.token, label), 96))
    seals = seals_of(sealer.token(lie, 0), np.arange(6), federation.messages[0].ciphertexts)
    newcomer = Ledger(federation.key, federation.terms)
    with pytest.raises(TamperedError, match="round 0"):
        read(federation, Settled(lie, seals), ledger=newcomer)
    read(federation, settled, ledger=newcomer)


def test_a_newcomer_begins_with_the_first_tables():
    federation = played(rounds=0)
    published(federation)
    with pytest.raises(TamperedError, match="round 1"):
        read(federation, federation.settled(), ledger=Ledger(federation.key, federation.terms))


def test_servers_of_two_attempts_are_not_mixed():
    """Server 0 as of one attempt, server 1 as of another with other users in it."""
    federation = played(servers=2)
    (one, settled), (other, also) = branched(federation)
    mixed = [one[0], dataclasses.replace(other[1], credited=one[0].credited)]
    with pytest.raises(TamperedError, match="round 3"):
        seal(mixed, 4, federation.key, federation.terms, federation.ledger)
    for token, seals in ((settled, also), (also, settled)):
        both = np.concatenate([settled.seals[:3], also.seals[3:]])
        for tables, given in ((mixed, both), (other, seals.seals), (one, seals.seals)):
            with pytest.raises(TamperedError, match="round 3"):
                read(federation, Settled(token.token, given), tables)


def test_shares_of_two_attempts_are_not_put_together():
    federation = played()
    parts, sealer = cut_parts(federation.terms.blocks, 3), Sealer(federation.key)
    (one, _), (other, _) = branched(federation)
    shares = []
    for federation.messages in (one, other):
        shares.append(checked_by(federation, parts)[1])
    for messages in (one, other):
        for at in range(3):
            mixed = [*shares[0][:at], shares[1][at], *shares[0][at + 1 :]]
            with pytest.raises(TamperedError, match="round 3"):
                sealer.settle(mixed, messages, parts, federation.ledger)
