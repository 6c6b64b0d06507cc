"""What servers may do with their own memory, to a federation of three users, under Paillier."""

import dataclasses

import numpy as np

from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes.numbers import array_to_numbers
from fedmf_ray.schemes.paillier.macs import NONCE_BYTES, listed_nonces, nonces_in
from tests.support.small_protocol import FACTORS, NOTHING, Federation, agreed_terms

ITEMS = 6
WIDTH = 256
"""Bytes of a ciphertext under keys of 1024 bits."""


def federation_of(scheme="packed", servers=1, sealers=0):
    """Three users and as many servers as asked for; each test lets a server misbehave."""
    rated = [[0, 2, 4], [1, 2, 5], [0, 3, 5]]
    people = [
        UserRatings(user, np.array(items), np.array([4.0, 3.0, 1.5]), *NOTHING)
        for user, items in enumerate(rated, start=1)
    ]
    terms = agreed_terms("batch", servers=servers, items=ITEMS, users=3)
    return Federation(scheme, terms, people, sealers=sealers)


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
