"""Sealers and the settler take nothing but what others have really checked, and liars are found."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError, check_form
from fedmf_ray.protocol.ledger import NO_TOKEN
from fedmf_ray.protocol.parts import cut_parts
from fedmf_ray.protocol.seals import Sealer
from tests.protocol.test_seals import SEALED, branched, copied, played, published, swapped
from tests.support.cheating_servers import ITEMS


def checked_by(federation, parts):
    """What each sealer has found: digests, and shares for the settler."""
    layout = check_form(federation.messages, federation.key, federation.terms)
    sealer, ledger = Sealer(federation.key), federation.ledger
    found = [sealer.check(federation.messages, layout, at, parts, ledger) for at in range(len(parts))]
    return [digest for digest, _ in found], [share for _, share in found]


@pytest.mark.parametrize(
    "trick",
    [
        lambda shares, _: swapped(np.array(shares, object)).tolist(),
        lambda shares, _: [shares[0], *shares[:-1]],
        lambda shares, old: [old[0], *shares[1:]],
        lambda shares, _: [shares[0][:-1] + b"\0", *shares[1:]],
        lambda shares, _: [b"", *shares[1:]],
        lambda shares, _: [None, *shares[1:]],
    ],
    ids=["swapped", "one twice", "of the round before", "changed", "empty", "none"],
)
def test_the_settler_takes_no_other_shares(trick):
    federation = played()
    parts = cut_parts(federation.terms.blocks, SEALED)
    _, old = checked_by(federation, parts)
    published(federation)
    _, shares = checked_by(federation, parts)
    with pytest.raises(TamperedError, match="round 3"):
        Sealer(federation.key).settle(trick(shares, old), federation.messages, parts, federation.ledger)


def test_the_settler_takes_no_share_of_another_history():
    federation = played()
    parts, sealer = cut_parts(federation.terms.blocks, SEALED), Sealer(federation.key)
    published(federation)
    _, shares = checked_by(federation, parts)
    federation.ledger.tokens[2], mine = NO_TOKEN, federation.ledger.tokens[2]
    _, others = checked_by(federation, parts)
    federation.ledger.tokens[2] = mine
    with pytest.raises(TamperedError, match="round 3"):
        sealer.settle([shares[0], others[1], shares[2]], federation.messages, parts, federation.ledger)
    sealer.settle(shares, federation.messages, parts, federation.ledger)


def test_a_sealer_seals_nothing_that_it_did_not_check():
    """A server may send the settler what a sealer wrote in an earlier attempt of the round."""
    federation = played()
    parts, sealer = cut_parts(federation.terms.blocks, SEALED), Sealer(federation.key)
    (one, _), (other, _) = branched(federation)
    ledger, elsewhere = federation.ledger, copied(federation.ledger, federation)
    elsewhere.tokens[2] = NO_TOKEN
    federation.messages = one
    digests, shares = checked_by(federation, parts)
    settlement = sealer.settle(shares, one, parts, federation.ledger)
    federation.messages = other
    others, _ = checked_by(federation, parts)
    assert digests[0] != others[0]
    forged = dataclasses.replace(settlement, digests=(others[0], *digests[1:]))
    for attempt, tables, digest in (
        (settlement, other, others[0]),
        (forged, other, others[0]),
        (settlement, other, digests[0]),
        (settlement, one, others[0]),
    ):
        with pytest.raises(ValueError, match="something else than what was checked here"):
            sealer.seal(attempt, tables, 0, parts, ledger, digest)
    with pytest.raises(ValueError, match="something else than what was checked here"):
        sealer.seal(settlement, one, 0, parts, elsewhere, digests[0])
    assert sealer.seal(settlement, one, 0, parts, ledger, digests[0]).shape == (ITEMS // SEALED, 16)


def test_a_sealer_that_lies_is_found_by_another_who_checks_the_same():
    federation = played()
    parts, sealer = cut_parts(federation.terms.blocks, SEALED), Sealer(federation.key)
    published(federation)
    _, shares = checked_by(federation, parts)
    honest = list(shares)
    weigh, sealer._key = federation.key.weigh, federation.key
    federation.key.__dict__["weigh"] = lambda *what: weigh(*what) + 1
    try:
        _, lies = checked_by(federation, parts)
    finally:
        del federation.key.__dict__["weigh"]
    shares[1] = lies[1]
    with pytest.raises(TamperedError, match="round 3"):
        sealer.settle(shares, federation.messages, parts, federation.ledger)
    assert sealer.differing(shares, honest, 3) == [(1, True)]
    wire = federation.messages[0].ciphertexts.copy()
    federation.messages = [dataclasses.replace(federation.messages[0], ciphertexts=wire[::-1].copy())]
    _, elsewhere = checked_by(federation, parts)
    assert sealer.differing([*honest[:2], elsewhere[2]], honest, 3) == [(2, False)]
