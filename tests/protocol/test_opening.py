"""A scheme whose sums must be opened: the hooks suffice, whoever opens, and the server reads no sum."""

import itertools

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from tests.support.moments_rule import Moments
from tests.support.padded_scheme import Padded, from_wire
from tests.support.small_protocol import Federation, agreed_terms, train


@pytest.mark.parametrize("rule", ["sequential", Moments()], ids=["sequential", "shared tables"])
@pytest.mark.parametrize("servers", [1, 3])
def test_what_is_opened_has_the_same_bits_as_in_the_clear(rule, servers):
    terms = agreed_terms(rule, servers=servers)
    assert np.array_equal(train(Padded(), terms, parts=2), train("plain", terms))


def test_some_users_are_absent_and_one_is_taken_out_again():
    terms = agreed_terms()
    here, clear = Federation(Padded(), terms), Federation("plain", terms)
    for who in ([0, 1, 2], [], [3], [4, 2, 0]):
        for federation in (here, clear):
            uploads = federation.uploads()
            federation.deliver([uploads[at] for at in who])
            if 1 in who:
                federation.servers[0].retract(uploads[1][0])
            federation.publish()
            federation.open()
        assert np.array_equal(here.tables[0], clear.tables[0])


def test_a_sum_that_nobody_has_opened_cannot_be_published():
    federation = Federation(Padded(), agreed_terms())
    federation.deliver(federation.uploads())
    with pytest.raises(RuntimeError, match="opened"):
        federation.servers[0].publish()


def test_whoever_takes_over_opens_again_and_the_server_learns_nothing_from_both():
    federation = Federation(Padded(), agreed_terms())
    federation.deliver(federation.uploads())
    (server,) = federation.servers
    closed = server.close()
    _, other = federation.scheme.sides(federation.terms.blocks.shape, federation.key.secrets())
    openings = [key.open([closed])[0] for key in (federation.key, other)]
    before = list(server._sum._totals)
    results = [
        [total + delta for total, (_, delta) in zip(before, one.sums, strict=True)] for one in openings
    ]
    # Each is under a pad of its own: neither is the sum, and nor is their difference.
    plain = Federation("plain", federation.terms)
    plain.play()
    sums = plain.terms.blocks.join(plain.tables).ravel().tolist()
    for result in (*results, [one - two for one, two in zip(*results, strict=True)]):
        assert not any(value == total for value, total in zip(result, sums, strict=True))
    federation.messages, federation.number = [server.publish(openings[1])], 1
    federation.open()
    assert np.array_equal(federation.tables[0], plain.tables[0])


def add_an_upload_twice(federation, upload):
    federation.servers[0]._sum.add(upload.blocks, upload.ciphertexts)


def change_a_bit_of_an_opened_sum(federation, upload):
    federation.servers[0]._sum._totals[3] += 1


@pytest.mark.parametrize("trick", [add_an_upload_twice, change_a_bit_of_an_opened_sum])
def test_tags_are_opened_too_and_tell_what_a_server_changed(trick):
    federation = Federation(Padded(), agreed_terms())
    federation.play()
    uploads = federation.uploads()
    federation.deliver(uploads)
    trick(federation, uploads[0][0])
    federation.publish()
    with pytest.raises(TamperedError, match="round 2: the item matrix of server 0"):
        federation.open()


def test_no_pad_is_used_twice():
    federation = Federation(Padded(), agreed_terms())
    federation.play()
    federation.play()
    wires = [message.ciphertexts for message in federation.messages]
    wires += [pieces[0].ciphertexts for _, uploads in federation.past for pieces in uploads]
    wires += [messages[0].ciphertexts for messages, _ in federation.past]
    nonces = list(itertools.chain(*([nonce for _, nonce, _ in from_wire(wire)] for wire in wires)))
    assert len(set(nonces)) == len(nonces)
