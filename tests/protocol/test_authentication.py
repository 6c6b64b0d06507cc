"""Users notice a server that adds anything but what it says it added; honest servers are never accused."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.combiner import deliver
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.messages import EncryptedItems
from tests.support.cheating_servers import (
    ITEMS,
    TAGS_DIFFER,
    TRICKS,
    crediting,
    federation_of,
    number_of,
    two_nonces_swapped,
)
from tests.support.small_protocol import FACTORS, secrets_of


@pytest.mark.parametrize(
    ("scheme", "trick"),
    [*(("packed", trick) for trick in TRICKS), *(("elementwise", trick) for trick in TAGS_DIFFER)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
@pytest.mark.parametrize("sealers", [0, 3])
def test_a_server_that_cheats_is_noticed_in_the_same_round(scheme, trick, sealers):
    federation = federation_of(scheme, sealers=sealers)
    federation.play()
    federation.credit = federation.forge = lambda unchanged: unchanged
    if trick is two_nonces_swapped:
        federation.key.restored()  # or else both are the usual one
    federation.latest = uploads = federation.uploads()
    federation.deliver(uploads)
    trick(federation.servers[0], uploads[0][0], federation)
    federation.publish()
    (message,) = federation.messages
    federation.messages = [federation.forge(crediting(message, federation.credit(message.credited)))]
    with pytest.raises(TamperedError, match="round 2: the item matrix of server 0 is not the sum"):
        federation.open()


def test_the_matrix_of_an_earlier_round_is_noticed():
    federation = federation_of()
    federation.play()
    federation.play()
    old = federation.past[1][0][0]
    for changes in ({"credited": np.array([1, 2, 3])}, {}):
        federation.messages = [dataclasses.replace(old, round=3, **changes)]
        with pytest.raises(TamperedError):
            federation.open()


def test_a_piece_that_goes_to_the_wrong_server_is_noticed_by_its_tag():
    federation = federation_of(servers=2)
    uploads = federation.uploads()
    federation.deliver(uploads)
    first, second = federation.servers
    mine, other = uploads[0]
    for server, takes, gives in ((first, mine, other), (second, other, mine)):
        server._tags.remove(takes.user_id, takes.tag)
        server._tags.add(gives.user_id, gives.tag)
    federation.publish()
    with pytest.raises(TamperedError):
        federation.open()


def test_a_user_whom_only_one_server_leaves_out_is_noticed():
    federation = federation_of(servers=2)
    uploads = federation.uploads()
    federation.deliver(uploads)
    federation.servers[1].retract(uploads[0][1])  # and says so
    federation.publish()
    assert len(federation.messages[0].credited) == 3
    with pytest.raises(TamperedError, match="server 1"):
        federation.open()


MALFORMED = {
    "no tag": {"tag": None},
    "fewer blocks": {"ciphertexts": slice(-1)},
    "more blocks": {"ciphertexts": [0, *range(ITEMS)]},
    "blocks of another server": {"first": 1},
    "credits in disorder": {"credited": np.array([2, 1, 3])},
    "credits in a list": {"credited": [1, 2, 3]},
    "blocks in a list": {"ciphertexts": None},
    "a tag that is text": {"tag": "tag"},
    "a tag that is too short": {"tag": np.zeros(1, np.uint8)},
    "a round that is text": {"round": "1"},
    "a huge round": {"round": 2**80},
    "a round below zero": {"round": -1},
    "the round before": {"round": 0},
    "the round after": {"round": 2},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_message_that_no_honest_server_sends_is_noticed(what):
    federation = federation_of()
    federation.play()
    (message,) = federation.messages
    changes = dict(MALFORMED[what])
    if "ciphertexts" in changes:
        chosen = changes["ciphertexts"]
        changes["ciphertexts"] = list(message.ciphertexts) if chosen is None else message.ciphertexts[chosen]
    federation.messages = [dataclasses.replace(message, **changes)]
    with pytest.raises(TamperedError, match="^round .{1,20}: the item matrix"):
        federation.open()


@pytest.mark.parametrize("scheme", ["packed", "elementwise", "plain"])
@pytest.mark.parametrize("number", [0, 1, 3, 50])
def test_a_server_cannot_say_which_round_it_is(scheme, number):
    """With no user credited no pad depends on it. Users who go back would upload other values under the pads
    of before, and the difference of two such uploads has a tag that a server can compute."""
    federation = federation_of(scheme)
    federation.play()
    federation.publish()
    federation.messages = [dataclasses.replace(federation.messages[0], round=number)]
    with pytest.raises(TamperedError, match="^round 2: "):
        federation.open()


def test_a_server_that_says_nothing_new_does_not_pass_for_a_round():
    federation = federation_of()
    federation.play()
    federation.number += 1  # users have uploaded and wait for the next one
    with pytest.raises(TamperedError, match="^round 2: "):
        federation.open()


def test_who_is_credited_in_a_matrix_that_was_settled_before_is_no_news():
    federation = federation_of()
    federation.play(who=[0])
    counted = federation.users.counted.copy()
    federation.messages = [crediting(federation.messages[0], np.array([1, 2, 3]))]
    federation.open()
    assert federation.users.counted.tolist() == counted.tolist() == [1, 0, 0]


@pytest.mark.parametrize(("scheme", "servers"), [("packed", 1), ("packed", 3), ("elementwise", 3)])
def test_honest_rounds_are_never_accused(scheme, servers):
    """Everybody, nobody, some; an upload taken out again; a matrix that is opened twice, in parts."""
    federation = federation_of(scheme, servers)
    for who in ([0, 1, 2], [], [1], [2, 0]):
        uploads = federation.uploads()
        for user in who:
            deliver(uploads[user], federation.servers)
        if 1 in who:
            for server, piece in zip(federation.servers, uploads[1], strict=True):
                server.retract(piece)
        federation.publish()
        federation.open()
        federation.open(parts=3)
        expected = sorted({user + 1 for user in who} - {2})
        assert federation.messages[0].credited.tolist() == expected


def test_a_tag_says_nothing_to_those_without_the_key():
    """The same ciphertexts have unrelated tags, for two users and for one user in one round, done again."""
    federation = federation_of()
    authenticator, blocks = federation.key.authenticator, np.array([1, 2])
    wire = federation.key.encrypt(np.ones((2, FACTORS), np.int64))
    tags = [
        authenticator.tag(blocks, wire, user, number, 0) for user, number in ((1, 0), (2, 0), (1, 1), (1, 1))
    ]
    numbers = [int.from_bytes(number_of(tag).tobytes(), "little") for tag in tags]
    assert len({number % int(authenticator.modulus) for number in numbers}) == 4
    assert all(number.bit_length() > 2 * 1024 - 60 for number in numbers)


def test_an_upload_that_is_done_again_counts_with_either_tag_but_not_with_a_mix():
    """After a failure a user may send another encryption of the same, under another nonce."""
    for mixed in (False, True):
        federation = federation_of()
        once, again = federation.uploads(), federation.uploads()
        (one,), (other,) = once[0], again[0]
        piece = dataclasses.replace(other, tag=one.tag) if mixed else other
        federation.deliver([[piece], *once[1:]])
        federation.publish()
        if mixed:
            with pytest.raises(TamperedError):
                federation.open()
        else:
            federation.open()


def test_in_the_clear_nothing_is_tagged():
    federation = federation_of("plain")
    federation.play()
    assert federation.ledger.balance == []
    assert isinstance(federation.messages[0], EncryptedItems)
    assert federation.messages[0].tag is None
    assert not secrets_of(federation.scheme)
