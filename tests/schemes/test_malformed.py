"""What members and openers make of messages that nobody would send: a ``ValueError``, or nothing changes."""

import dataclasses
from contextlib import suppress

import numpy as np
import pytest

from fedmf_ray.schemes import Committee, Masked
from tests.support.masked import agreed, federation_of, parts_of

BAD = [
    None, 1, 2.5, "x", b"", (), {}, -1, 2**70, np.zeros(3, np.uint8), np.zeros((0, 0), np.uint8),
    np.zeros((9, 13)), np.array(["a"]), np.zeros((9, 1, 200), np.uint8), np.array([np.nan]),
]  # fmt: skip


def variants(message):
    """(name, the same message with one field replaced), for all fields, also of what is in it."""
    for field in dataclasses.fields(message):
        value, others = getattr(message, field.name), list(BAD)
        if dataclasses.is_dataclass(value):
            for name, other in variants(value):
                yield f"{field.name}.{name}", dataclasses.replace(message, **{field.name: other})
        if isinstance(value, np.ndarray) and value.size:
            others += [value[:-1], np.concatenate([value, value]), value.astype(object), value[None]]
        for other in others:
            yield field.name, dataclasses.replace(message, **{field.name: other})


def same(message, other):
    return all(
        np.array_equal(getattr(message, field.name), getattr(other, field.name))
        for field in dataclasses.fields(message)
    )


def refused(message, answer):
    """Each variant, or it is as good as the message itself."""
    whole = answer(message)
    for name, variant in variants(message):
        with suppress(ValueError):
            said = answer(variant)
            assert said == whole, name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sparsity", [0.5, 1.0])
def test_an_opener_under_masks(sparsity):
    federation = federation_of(scheme=Masked(), sparsity=sparsity)
    known = federation.ledger.known()
    refused(
        federation.servers[0].close(),
        lambda closed: federation.key.open([closed], known)[0].sums.tobytes(),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sparsity", [0.5, 1.0])
class TestMembers:
    @pytest.fixture
    def sitting(self, sparsity):
        federation = federation_of(scheme=Committee(), sparsity=sparsity)
        closed = federation.servers[0].close()
        return federation, closed, federation.ledger.known(), federation.key.members[1]

    def test_agree(self, sitting):
        federation, closed, known, member = sitting
        refused(closed, lambda one: member.agree(one, known))
        refused(federation.evaluator.lists_of(closed), lambda one: member.agree(one, known))

    def test_open(self, sitting):
        federation, closed, known, member = sitting
        signatures = agreed(federation, closed)
        group = member._groups[0]
        refused(closed, lambda one: member.part(group, one, known, signatures).signature)

    def test_certify(self, sitting):
        federation, closed, known, member = sitting
        parts, lives = parts_of(federation, closed), tuple(one.life for one in federation.key.members)
        (sheet,) = federation.evaluator.sheets(closed, parts, [1])
        refused(closed, lambda one: member.certify(one, sheet, known, lives).signature)
        refused(sheet, lambda one: member.certify(closed, one, known, lives).signature)
        for at, part in enumerate(sheet.parts):

            def word(one, at=at):
                shown = (*sheet.parts[:at], one, *sheet.parts[at + 1 :])
                changed = dataclasses.replace(sheet, parts=shown)
                return member.certify(closed, changed, known, lives).signature

            refused(part, word)

    def test_renew_and_acknowledge(self, sitting):
        federation, _, _, member = sitting
        (message,) = federation.messages
        lives = tuple(one.life for one in federation.key.members)
        refused(message, lambda one: member.renew(one, lives))
        known = dict(federation.key.past)
        refused(message, lambda one: member.acknowledge(one))
        assert federation.key.past == known
