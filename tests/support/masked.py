"""Federations under masks whose uploads have arrived, and openers who refuse."""

import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.schemes import Masked
from fedmf_ray.schemes.masked.bits import BitLayout
from fedmf_ray.schemes.masked.wire import HEADER_BYTES
from tests.support.small_protocol import Federation, agreed_terms


def federation_of(rounds=1, scheme=None, **terms):
    """Users who have played some rounds and whose uploads of the next one have arrived, not closed."""
    federation = Federation(scheme or Masked(), agreed_terms(**terms))
    for _ in range(rounds):
        federation.play()
    federation.uploaded = federation.uploads()
    federation.past.append((federation.messages, federation.uploaded))
    federation.deliver(federation.uploaded)
    for server in federation.servers:
        server._sum._sum_up()  # what tests change is the sum of all
    return federation


def words(federation, wire):
    layout = BitLayout.of(federation.terms.blocks.shape)
    return layout.unpack(wire[:, 0, HEADER_BYTES:])


def not_opened(federation, closed, reason):
    """The opener refuses, and has sent nothing."""
    with pytest.raises(TamperedError, match=f"server 0 are not opened: .*{reason}"):
        federation.ledger.open([closed])


def agreed(federation, closed, members=None):
    """Signatures of members, by number."""
    known = federation.ledger.known()
    return {
        one.number: one.agree(closed, known)
        for one in federation.key.members
        if members is None or one.number in members
    }
