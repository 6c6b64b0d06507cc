"""Users share the check of published tables: servers, sealers and settlers that cheat are noticed in the same
round by whoever reads."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.items import TamperedError, check_form, open_tables, read_share
from fedmf_ray.protocol.ledger import Ledger
from fedmf_ray.protocol.parts import cut_parts, part_count, share_bytes, token_bytes
from fedmf_ray.protocol.seals import Sealer
from tests.support.cheating_servers import federation_of
from tests.support.moments_rule import Moments
from tests.support.small_protocol import SCHEMES, Federation, agreed_terms, train

SEALED = 3


def played(rounds=2, **how):
    """After so many rounds of three users, read under seals."""
    federation = federation_of(sealers=SEALED, **how)
    for _ in range(rounds):
        federation.play()
    return federation


def published(federation):
    """A round on, with nothing read of it."""
    uploads = federation.uploads()
    federation.past.append((federation.messages, uploads))
    federation.deliver(uploads)
    federation.publish()
    return federation.messages


def read(federation, settled, messages=None, ledger=None):
    """A user reads what it is given."""
    share = read_share(
        messages or federation.messages, 0, 1, federation.key, federation.terms, settled=settled
    )
    ledger = federation.ledger if ledger is None else ledger
    ledger.settle([share], share.round)
    return open_tables([share], federation.terms)[0]


@pytest.mark.parametrize("servers", [1, 2, 3, 5])
@pytest.mark.parametrize("items", [1, 4, 23])
@pytest.mark.parametrize("users", [1, 2, 3, 7, 100])
def test_parts_are_all_blocks_once(servers, users, items):
    terms = agreed_terms(items=items, servers=servers)
    count = part_count(terms.blocks, 10**6, 1, users)
    parts = cut_parts(terms.blocks, count)
    blocks = [block for part in parts for block in range(part.first, part.stop)]
    assert blocks == list(range(items))
    assert len(parts) == count == max(min(servers, items), min(users, items))
    sizes = [part.stop - part.first for part in parts]
    assert 1 <= min(sizes) <= max(sizes) <= 2 * items / min(count, items)
    for part in parts:
        first, stop = terms.blocks.ranges[part.server]
        assert first <= part.first < part.stop <= stop


def test_as_many_parts_as_make_sealer_and_settler_download_alike():
    blocks = Blocks(agreed_terms(items=2431).blocks.tables)
    count = part_count(blocks, 768, 384, 610)
    assert 2431 * 768 / count == pytest.approx(count * share_bytes(384), rel=0.05)
    assert part_count(blocks, 768, 384, 5) == 5
    assert part_count(Blocks(agreed_terms(items=2).blocks.tables), 768, 384, 610) == 1


@pytest.mark.parametrize("scheme", ["packed", "elementwise"])
@pytest.mark.parametrize("how", [{"servers": 3}, {"rule": Moments(), "servers": 2}, {"rows": 2}])
def test_what_is_read_under_seals_is_what_everybody_would_read(scheme, how):
    """Also with shared tables that begin from zero in each round."""
    terms = agreed_terms(**how)
    expected = train(scheme, terms, rounds=3)
    federation, seen = Federation(scheme, terms, sealers=4), []
    for _ in range(3):
        federation.play(parts=2)
        seen.append(federation.tables[0])
    assert np.array_equal(expected, seen)
    federation.sealers = 0  # whoever wants a list checks all of it, against the same balance
    federation.open()
    assert np.array_equal(expected[-1], federation.tables[0])
    federation.sealers = 4
    federation.play()


def test_messages_are_as_long_as_is_charged():
    federation = played(servers=2)
    key, (number,) = federation.key, {SCHEMES["packed"].number_bytes()}
    layout = check_form(federation.messages, key, federation.terms)
    parts, ledger = cut_parts(layout, SEALED), federation.ledger
    shares = [
        Sealer(key).check(federation.messages, layout, at, parts, ledger)[1] for at in range(len(parts))
    ]
    assert {len(share) for share in shares} == {share_bytes(number)}
    settlement = Sealer(key).settle(shares, federation.messages, parts, federation.ledger)
    assert len(settlement.token) == token_bytes(number, servers=2)


def test_done_again_the_token_is_the_same_and_the_letters_are_not():
    federation = played()
    published(federation)
    one, other = federation.settled(), federation.settled()
    assert one.token != other.token
    assert np.array_equal(one.seals, other.seals)
    read(federation, one)
    again = federation.settled()  # the settler has read these tables itself
    assert np.array_equal(one.seals, again.seals)
    read(federation, again)


def swapped(array, one=0, other=1):
    order = np.arange(len(array))
    order[[one, other]] = other, one
    return array[order]


def changed(federation, settled, old):
    """What may come instead of a block, a seal or a token: wire, seals, token."""
    (message,), wrong = federation.messages, settled.seals.copy()
    wrong[4, 7] ^= 1
    wire, seals, token = message.ciphertexts, settled.seals, settled.token
    mixed = wire.copy()
    mixed[2] = old[0].ciphertexts[2]
    with_seal = seals.copy()
    with_seal[2] = old[1].seals[2]
    again = wire.copy()
    again[3] = federation.key.encrypt(federation.key.decrypt(wire[3:4]))[0]
    return {
        "a wrong seal": (wire, wrong, token),
        "old seals": (wire, old[1].seals, token),
        "fewer seals": (wire, seals[:-1], token),
        "seals of another shape": (wire, seals[:, :8], token),
        "two seals swapped": (wire, swapped(seals), token),
        "two blocks swapped": (swapped(wire), seals, token),
        "two blocks swapped with their seals": (swapped(wire), swapped(seals), token),
        "a block of the round before": (mixed, seals, token),
        "a block of the round before with its seal": (mixed, with_seal, token),
        "the same values encrypted again": (again, seals, token),
        "the token of the round before": (wire, seals, old[1].token),
        "the token and the seals of the round before": (wire, old[1].seals, old[1].token),
        "a token that was changed": (wire, seals, token[:-1] + bytes([token[-1] ^ 1])),
        "half a token": (wire, seals, token[:20]),
        "no token": (wire, seals, None),
    }


CHANGES = (
    "a wrong seal", "old seals", "fewer seals", "seals of another shape", "two seals swapped",
    "two blocks swapped", "two blocks swapped with their seals", "a block of the round before",
    "a block of the round before with its seal", "the same values encrypted again",
    "the token of the round before", "the token and the seals of the round before",
    "a token that was changed", "half a token", "no token",
)  # fmt: skip


@pytest.fixture(scope="module")
def two_rounds():
    federation = played()
    old = federation.messages[0], federation.settled()
    published(federation)
    return federation, federation.settled(), old


@pytest.mark.parametrize("what", CHANGES)
def test_a_reader_takes_nothing_but_what_was_checked(two_rounds, what):
    federation, settled, old = two_rounds
    cases = changed(federation, settled, old)
    assert set(cases) == set(CHANGES)
    wire, seals, token = cases[what]
    messages = [dataclasses.replace(federation.messages[0], ciphertexts=wire)]
    with pytest.raises(TamperedError, match="round 3: the item matrix of server 0 is not the one that users"):
        read(federation, dataclasses.replace(settled, seals=seals, token=token), messages)


def test_a_reader_is_told_who_is_credited_by_the_settler():
    federation = played()
    published(federation)
    settled, (message,) = federation.settled(), federation.messages
    other = [dataclasses.replace(message, credited=message.credited[1:])]
    with pytest.raises(TamperedError, match="users have checked"):
        read(federation, settled, other)


def branched(federation):
    """The next round twice, with other users in it: messages and what was settled of each."""
    before, uploads, branches = federation.messages, federation.uploads(), []
    for who in ([0, 1], [1, 2]):
        federation.messages, federation.number = before, before[0].round
        federation.start_servers()
        federation.deliver([uploads[at] for at in who])
        federation.publish()
        branches.append((federation.messages, federation.settled()))
    return branches


def copied(ledger, federation):
    """Of another user who has read the same."""
    copy = Ledger(federation.key, federation.terms, ledger.balance, ledger._round, ledger.tokens)
    copy._reset = list(ledger._reset)
    return copy


def test_a_second_history_is_followed_by_nobody_who_read_the_first():
    federation = played()
    follower = copied(federation.ledger, federation)
    (one, settled), (other, also) = branched(federation)
    read(federation, settled, one)
    with pytest.raises(TamperedError, match="round 3"):
        read(federation, also, other)
    # Nor what is built on it.
    read(federation, also, other, follower)
    federation.ledger, mine = follower, federation.ledger
    federation.messages, federation.number = other, 3
    federation.start_servers()
    published(federation)
    later = federation.settled()
    with pytest.raises(TamperedError, match="round 4"):
        read(federation, later, ledger=mine)


def test_nobody_leaves_out_a_round():
    """It would be told a history, and not that it has been credited."""
    federation = played()
    mine = copied(federation.ledger, federation)
    published(federation)
    read(federation, federation.settled())
    published(federation)
    later = federation.settled()
    for ledger in (mine, Ledger(federation.key, federation.terms)):
        with pytest.raises(TamperedError, match="round 4"):
            read(federation, later, ledger=ledger)
    read(federation, later)


def test_no_second_token_of_a_round_is_followed():
    """Even of the same tables: nobody can tell what it was settled for."""
    federation = played()
    published(federation)
    settled = federation.settled()
    federation.sealers = 2
    also = federation.settled()
    read(federation, settled)
    with pytest.raises(TamperedError, match="round 3"):
        read(federation, also)


def test_parts_of_two_histories_are_not_put_together():
    federation = played()
    (one, settled), (other, also) = branched(federation)
    shares = [
        read_share(messages, part, 2, federation.key, federation.terms, settled=token)
        for part, (messages, token) in enumerate(((one, settled), (other, also)))
    ]
    with pytest.raises(TamperedError, match="round 3"):
        federation.ledger.settle(shares, 3)


def test_a_token_for_another_number_of_servers_is_refused():
    federation = played(servers=2)
    published(federation)
    settled, sealer = federation.settled(), Sealer(federation.key)
    label = b"token" + (3).to_bytes(8, "little")
    text = sealer._open(settled.token, label)
    half = dataclasses.replace(settled, token=sealer._enclose(label, text[: 96 + 2 * 128]))
    with pytest.raises(TamperedError, match="round 3"):
        read(federation, half)
    read(federation, settled)


def test_an_older_round_is_not_read_again():
    federation = played()
    old = federation.messages, federation.settled()
    federation.play()
    with pytest.raises(TamperedError, match="round 2"):
        read(federation, old[1], old[0])


def test_a_server_learns_the_same_from_every_wrong_block():
    """What a reader says of a block does not depend on what is in it, or whether it can be opened."""
    federation = played()
    published(federation)
    settled, said = federation.settled(), set()
    (message,) = federation.messages
    for block in (
        np.zeros_like(message.ciphertexts[0]),
        message.ciphertexts[1],
        255 - message.ciphertexts[0],
    ):
        wire = message.ciphertexts.copy()
        wire[0] = block
        with pytest.raises(TamperedError) as refused:
            read(federation, settled, [dataclasses.replace(message, ciphertexts=wire)])
        said.add(str(refused.value))
    assert len(said) == 1
