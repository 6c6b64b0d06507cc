"""Users notice a server that adds anything but what it says it added; honest servers are never accused."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.messages import EncryptedItems
from fedmf_ray.protocol.server import deliver
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes.numbers import array_to_numbers
from fedmf_ray.schemes.paillier.macs import NONCE_BYTES, listed_nonces, nonces_in
from tests.support.small_protocol import FACTORS, NOTHING, Federation, agreed_terms, secrets_of

ITEMS = 6
WIDTH = 256
"""Bytes of a ciphertext under keys of 1024 bits."""


def federation_of(scheme="packed", servers=1):
    """Three users and as many servers as asked for; each test lets a server misbehave."""
    rated = [[0, 2, 4], [1, 2, 5], [0, 3, 5]]
    people = [
        UserRatings(user, np.array(items), np.array([4.0, 3.0, 1.5]), *NOTHING)
        for user, items in enumerate(rated, start=1)
    ]
    return Federation(scheme, agreed_terms("batch", servers=servers, items=ITEMS, users=3), people)


def add(server, rows, ciphertexts, tag):
    """What a server can do with its own memory, without any check. tag: with or without its nonce."""
    server._sum.add(np.asarray(rows) - server._first, ciphertexts)
    if tag is not None:
        server._tags._sum.add(np.array([0]), number_of(tag)[None, None])


def number_of(tag):
    """A tag without its nonce."""
    return tag[:WIDTH]


def crediting(message, credited):
    """A message that credits others, under the nonces that the server has; zeros for those it has none of."""
    size, credits = message.ciphertexts.shape[-1] + NONCE_BYTES, message.credited.tolist()
    nonces = dict(zip(credits, nonces_in(message.tag[size:].tobytes(), len(credits)), strict=True))
    listed = listed_nonces([nonces.get(user, bytes(NONCE_BYTES)) for user in np.ravel(credited).tolist()])
    tag = np.concatenate([message.tag[:size], np.frombuffer(listed, np.uint8)])
    return dataclasses.replace(message, credited=credited, tag=tag)


def one_of(federation, pieces):
    """Anybody can encrypt: 1 + n is an encryption of one."""
    p, q = array_to_numbers(federation.key.secrets()["primes"])
    return np.frombuffer((1 + p * q).to_bytes(pieces.ciphertexts.shape[-1], "little"), np.uint8)


def upload_twice(server, pieces, _):
    add(server, pieces.blocks, pieces.ciphertexts, pieces.tag)


def credited_as_often(times, order=np.sort):
    """Uploads added and credited more than once: their pads would agree."""

    def trick(server, pieces, federation):
        for _ in range(times - 1):
            add(server, pieces.blocks, pieces.ciphertexts, pieces.tag)
        federation.credit = lambda credited: order(np.append(credited, [pieces.user_id] * (times - 1)))

    trick.__name__ = f"credited_{times}_times_{order.__name__}"
    return trick


def a_stranger_credited(server, pieces, federation):
    federation.credit = lambda credited: np.append(credited, credited[-1] + 1000)


def a_stranger_below_zero_credited(server, pieces, federation):
    federation.credit = lambda credited: np.append(-1, credited)


def credited_with_fractions(server, pieces, federation):
    federation.credit = lambda credited: credited.astype(float)


def credited_in_a_table(server, pieces, federation):
    federation.credit = lambda credited: credited[:, None]


def rows_twice_without_the_tag(server, pieces, _):
    add(server, pieces.blocks, pieces.ciphertexts, None)


def replay_an_earlier_round(server, pieces, federation):
    earlier = federation.past[0][1][0][0]
    add(server, earlier.blocks, earlier.ciphertexts, earlier.tag)


def a_row_dropped(server, pieces, federation):
    negative = federation.evaluator.negate(pieces.ciphertexts[:1])
    add(server, pieces.blocks[:1], negative, None)


def two_rows_swapped(server, pieces, federation):
    negative = federation.evaluator.negate(pieces.ciphertexts)
    add(server, pieces.blocks, negative, None)
    add(server, pieces.blocks, pieces.ciphertexts[::-1].copy(), None)


def a_number_of_its_own(server, pieces, federation):
    one = one_of(federation, pieces)
    wire = np.broadcast_to(one, (1, *pieces.ciphertexts.shape[1:])).copy()
    add(server, pieces.blocks[:1], wire, None)


def a_number_of_its_own_with_a_tag(server, pieces, federation):
    one = one_of(federation, pieces)
    wire = np.broadcast_to(one, (1, *pieces.ciphertexts.shape[1:])).copy()
    add(server, pieces.blocks[:1], wire, one)


def a_user_left_out_but_credited(server, pieces, federation):
    negate = federation.evaluator.negate
    add(server, pieces.blocks, negate(pieces.ciphertexts), negate(number_of(pieces.tag)[None, None])[0, 0])


def a_user_added_but_not_credited(server, pieces, federation):
    server._added[0] = False
    del server._tags._nonces[pieces.user_id]


def an_upload_credited_to_somebody_else(server, pieces, federation):
    negate = federation.evaluator.negate
    (other,) = federation.latest[1]
    add(server, other.blocks, negate(other.ciphertexts), negate(number_of(other.tag)[None, None])[0, 0])
    add(server, pieces.blocks, pieces.ciphertexts, pieces.tag)
    server._tags._nonces[other.user_id] = pieces.tag[-NONCE_BYTES:].tobytes()


def a_row_replaced_by_an_encryption_of_the_same(server, pieces, federation):
    """What a server that guesses right would add."""
    key = federation.key
    again = key.encrypt(key.decrypt(pieces.ciphertexts[:1]))
    add(server, pieces.blocks[:1], federation.evaluator.negate(pieces.ciphertexts[:1]), None)
    add(server, pieces.blocks[:1], again, None)


def randomness_of_its_own(server, pieces, federation):
    zero = federation.key.encrypt(np.zeros((1, FACTORS), np.int64))
    add(server, pieces.blocks[:1], zero, None)


def two_nonces_swapped(server, pieces, federation):
    nonces, user_ids = server._tags._nonces, (pieces.user_id, federation.latest[1][0].user_id)
    one, other = (nonces[user_id] for user_id in user_ids)
    assert one != other
    nonces.update(zip(user_ids, (other, one), strict=True))


def zeros_everywhere(server, pieces, federation):
    """No number modulo n**2 that a key-holder wrote, but it is what zeros and a tag of zero would be."""
    federation.forge = lambda message: dataclasses.replace(
        message,
        ciphertexts=np.zeros_like(message.ciphertexts),
        tag=np.concatenate([0 * number_of(message.tag), message.tag[WIDTH:]]),
    )


TRICKS = [
    upload_twice,
    *(credited_as_often(times) for times in (2, 5)),
    credited_as_often(2, np.array),
    a_stranger_credited,
    a_stranger_below_zero_credited,
    credited_with_fractions,
    credited_in_a_table,
    rows_twice_without_the_tag,
    replay_an_earlier_round,
    a_row_dropped,
    two_rows_swapped,
    a_number_of_its_own,
    a_number_of_its_own_with_a_tag,
    a_user_left_out_but_credited,
    a_user_added_but_not_credited,
    an_upload_credited_to_somebody_else,
    a_row_replaced_by_an_encryption_of_the_same,
    randomness_of_its_own,
    two_nonces_swapped,
    zeros_everywhere,
]
TAGS_DIFFER = [
    *(credited_as_often(times) for times in (2, 5)),
    rows_twice_without_the_tag,
    replay_an_earlier_round,
    a_user_left_out_but_credited,
]
"""The slow scheme has the same tags: some tricks show that they are checked."""


@pytest.mark.parametrize(
    ("scheme", "trick"),
    [*(("packed", trick) for trick in TRICKS), *(("elementwise", trick) for trick in TAGS_DIFFER)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_server_that_cheats_is_noticed_in_the_same_round(scheme, trick):
    federation = federation_of(scheme)
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
