"""An attack on ``committee``: tables that a server chooses when it knows what is in them."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.schemes import AnotherSet, Committee
from fedmf_ray.schemes.committee.parts import part_text
from fedmf_ray.schemes.committee.wire import words_digest
from fedmf_ray.schemes.masked import field
from fedmf_ray.schemes.masked.bits import BitLayout
from tests.support.masked import certificates, changed, federation_of, parts_of


class TestTablesThatTheServerChoosesAfterwards:
    """Parts are sent before tables are signed: a server with one user's keys knows the sum by then. If it
    could still choose the tables, it would show those of before again; users would send the same steps, and
    whoever is left out the next time is the difference."""

    @pytest.fixture
    def opened(self):
        federation = federation_of(scheme=Committee(), sparsity=0.5)
        closed = federation.servers[0].close()
        return federation, closed, parts_of(federation, closed)

    def forged(self, federation, closed, parts, words):
        """What the server would have had to add up for other tables, with tags that fit them."""
        key, layout = federation.key, BitLayout.of(federation.terms.blocks.shape)
        rows, digest = np.arange(9), parts[0].closed
        tables = key.table_masks(key.table_nonces(digest, rows)) + words.astype(layout.word)
        number = key.weighed(rows, words, np.array([], int)) + key.sum_pad(digest)
        for part in parts:
            tables -= layout.unpack(part.words)
            number -= field.to_int(part.number)
        totals = np.empty_like(closed.sums.totals)
        layout.pack(tables, totals)
        return totals, field.to_bytes(number)

    def test_it_has_said_before_what_it_added_up(self, opened):
        federation, closed, parts = opened
        key, message = federation.key, federation.messages[0]
        before = key.unmasked(message.ciphertexts, key.past_of(message.head).closed, 0, np.arange(9))
        totals, total = self.forged(federation, closed, parts, before)
        with pytest.raises(ValueError, match="not those that members have agreed on"):
            certificates(federation, closed, parts, totals=totals, total=total)
        tags = dataclasses.replace(closed.tags, total=total)
        with pytest.raises(AnotherSet, match="has not agreed on this set"):
            certificates(federation, dataclasses.replace(changed(closed, totals=totals), tags=tags), parts)

    @pytest.mark.parametrize("corrupt", range(4))
    def test_nor_does_a_corrupt_member_choose_them(self, opened, corrupt):
        """It signs whatever part makes the sum what it wants. Some honest member is in each of its groups,
        and computes that part itself."""
        federation, closed, parts = opened
        key, layout = federation.key, BitLayout.of(federation.terms.blocks.shape)
        liar, at = key.members[corrupt], next(g for g, who in enumerate(key.groups) if corrupt in who)
        wanted = self.forged(federation, closed, parts, np.zeros((9, layout.columns), np.int64))
        more = layout.unpack(wanted[0]) - layout.unpack(closed.sums.totals)
        words = np.empty_like(parts[at].words)
        layout.pack(layout.unpack(parts[at].words) + more, words)
        number = field.to_bytes(
            field.to_int(parts[at].number) + field.to_int(wanted[1]) - field.to_int(closed.tags.total)
        )
        lie = dataclasses.replace(
            parts[at], member=corrupt, words=words, digest=words_digest(words), number=number
        )
        parts[at] = dataclasses.replace(lie, signature=liar._sign.sign(part_text(lie)))
        draft = federation.evaluator.assemble(closed, parts)  # the server itself sees nothing wrong
        assert not key.unmasked(draft.sums, draft.closed, 0, np.arange(9)).any()
        refused = []
        for member in set(range(4)) - {corrupt}:
            try:
                certificates(federation, closed, parts, [member])
            except ValueError as error:
                assert f"the part of group {at} from member {corrupt}" in str(error)  # noqa: PT017
                refused.append(member)
        assert refused == [one for one in key.groups[at] if one != corrupt]
