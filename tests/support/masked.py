"""Federations under masks whose uploads have arrived, and openers who refuse."""

import dataclasses

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


def changed(closed, **parts):
    """Closed sums of which something is replaced."""
    return dataclasses.replace(closed, sums=dataclasses.replace(closed.sums, **parts))


def parts_of(federation, closed, signatures=None):
    """What members send to open a set, a part of each group."""
    key, known = federation.key, federation.ledger.known()
    signatures = signatures or agreed(federation, closed)
    return [
        key.members[who[0]].part(group, closed, known, signatures) for group, who in enumerate(key.groups)
    ]


def certificates(federation, closed, parts, members=None, **spoilt):
    """Members' words for the tables that follow, and the lives that these name."""
    key, known = federation.key, federation.ledger.known()
    lives = tuple(one.life for one in key.members)
    chosen = [one for one in key.members if members is None or one.number in members]
    sheets = federation.evaluator.sheets(closed, parts, [one.number for one in chosen])
    sheets = [dataclasses.replace(sheet, **spoilt) for sheet in sheets]
    return lives, [
        one.certify(closed, sheet, known, lives) for one, sheet in zip(chosen, sheets, strict=True)
    ]
