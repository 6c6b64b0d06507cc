"""A committee's heads and rules: what its members sign, and what they do not."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError, encrypt_items, initial_tables
from fedmf_ray.schemes import Committee, Council
from tests.support.masked import certificates, federation_of, parts_of
from tests.support.small_protocol import Federation, agreed_terms, people, sides

SCHEME = Committee()


class TestHeads:
    def test_a_user_is_not_shown_tables_that_no_quorum_signed(self):
        """V = 0 for everybody else, and the sum is that user's step."""
        federation = federation_of(scheme=SCHEME)
        federation.publish()
        (message,) = federation.messages
        proof = dataclasses.replace(
            message.proof, links=tuple(bytes(len(one)) for one in message.proof.links)
        )
        for spoiled in (
            dataclasses.replace(message, proof=proof),
            dataclasses.replace(message, ciphertexts=np.zeros_like(message.ciphertexts)),
            dataclasses.replace(message, credited=message.credited[1:]),
            dataclasses.replace(message, head=b"y" * 32),
        ):
            federation.messages = [spoiled]
            with pytest.raises(TamperedError):
                federation.open()

    def test_users_with_all_common_keys_cannot_sign_tables(self):
        """What any user has, and t members: their signatures are no quorum."""
        federation = federation_of(scheme=SCHEME)
        draft, lives, words = self.drafted(federation)
        certified, run = federation.evaluator.certified, federation.key.run
        with pytest.raises(ValueError, match="no quorum of members has signed the next tables"):
            certified(run, draft, lives, words[:2])
        twice = [words[0], words[1], dataclasses.replace(words[1], member=2)]
        with pytest.raises(ValueError, match="no quorum"):
            certified(run, draft, lives, twice)
        certified(run, draft, lives, words[:3])

    def drafted(self, federation):
        closed = federation.servers[0].close()
        parts = parts_of(federation, closed)
        return federation.evaluator.assemble(closed, parts), *certificates(federation, closed, parts)

    def test_members_do_not_sign_other_lives_than_their_own(self):
        federation = federation_of(scheme=SCHEME)
        closed, member = federation.servers[0].close(), federation.key.members[0]
        parts = parts_of(federation, closed)
        (sheet,) = federation.evaluator.sheets(closed, parts, [0])
        lives = tuple(one.life for one in federation.key.members)
        with pytest.raises(ValueError, match="does not name the life of member 0"):
            member.certify(closed, sheet, federation.ledger.known(), (lives[1], *lives[1:]))
        with pytest.raises(ValueError, match="does not name the life of member 0"):
            member.renew(federation.messages[0], (lives[1], *lives[1:]))

    def test_a_part_that_was_changed_names_its_group(self):
        federation = federation_of(scheme=SCHEME)
        closed = federation.servers[0].close()
        parts = parts_of(federation, closed)
        words = parts[2].words.copy()
        words[0, 0] ^= 1
        changed = [*parts[:2], dataclasses.replace(parts[2], words=words), parts[3]]
        with pytest.raises(ValueError, match="the part of group 2"):
            federation.evaluator.assemble(closed, changed)
        with pytest.raises(ValueError, match="nobody of group 1"):
            federation.evaluator.assemble(closed, [parts[0], *parts[2:]])

    def test_who_answers_may_change_and_uploads_stay_what_they_were(self):
        federation = Federation(SCHEME, agreed_terms())
        federation.play()
        before = federation.uploads()
        few, signed = (renewed(federation, members) for members in ((0, 1), range(4)))
        federation.messages = [few]
        with pytest.raises(TamperedError):
            federation.shares()
        federation.messages = [signed]
        assert signed.head == few.head
        federation.ledger.settle(federation.shares(), 1)
        for (one,), (other,) in zip(before, federation.uploads(), strict=True):
            assert np.array_equal(one.ciphertexts, other.ciphertexts)
            assert np.array_equal(one.tag, other.tag)
        federation.play()

    def test_a_member_signs_one_first_table_of_a_server(self):
        """The server and one user show different users different ones."""
        terms = agreed_terms()
        evaluator, key = sides(SCHEME, terms.blocks.shape)
        key.alone = False
        lives = tuple(one.life for one in key.members)
        (one,), (other,) = (encrypt_items(initial_tables(terms), key, terms) for _ in range(2))
        signatures = {member.number: member.renew(one, lives) for member in key.members}
        for member in key.members:
            with pytest.raises(ValueError, match="has signed other tables of this round"):
                member.renew(other, lives)
        key.read(evaluator.renewed(one, lives, signatures), np.arange(9))

    def test_first_tables_push_nothing_out_of_a_members_memory(self):
        """Nor do old ones, however often they are shown."""
        federation, old = Federation(SCHEME, agreed_terms()), []
        for _ in range(4):
            federation.play()
            old.append(federation.messages[0])
        federation.key.alone = False
        member, lives = federation.key.members[1], tuple(one.life for one in federation.key.members)
        member.renew(old[-1], lives)
        for _ in range(20):
            (first,) = encrypt_items(initial_tables(federation.terms), federation.key, federation.terms)
            for message in (first, *old[:-1]):
                with pytest.raises(ValueError, match="is over: the member has gone on to round 4"):
                    member.renew(message, lives)
        federation.deliver(federation.uploads())
        federation.publish()

    @pytest.mark.parametrize("servers", [4, 20])
    def test_many_servers_share_the_items(self, servers):
        federation = Federation(SCHEME, agreed_terms(items=40, servers=servers), list(people(items=40)))
        for _ in range(4):
            federation.play()
        assert len(federation.key.past) <= 3 * servers


def renewed(federation, members):
    """The tables that opened the round, with the word of some members."""
    key, (message,) = federation.key, federation.messages
    lives = tuple(one.life for one in key.members)
    signatures = {number: key.members[number].renew(message, lives) for number in members}
    return federation.evaluator.renewed(message, lives, signatures)


class TestCouncil:
    @pytest.mark.parametrize(("members", "colluding"), [(3, 1), (4, 1), (7, 2), (5, 1)])
    def test_any_two_quorums_share_an_honest_member(self, members, colluding):
        council = Council(members, colluding)
        assert council.stands_alone == (members >= 3 * colluding + 1)
        assert members - council.quorum >= colluding  # who are away
        if not council.stands_alone:
            return
        assert 2 * council.quorum - members >= colluding + 1
        for group in council.groups:
            assert len(group) == members - colluding

    def test_of_four_any_one_may_be_away(self):
        council = Council(4, 1)
        assert council.quorum == 3
        assert all(council.suffice([one for one in range(4) if one != away]) for away in range(4))
        assert not council.suffice([0, 1])

    def test_who_sits_there_follows_from_the_beacon(self):
        council, users = Council(4, 1), np.arange(100)
        drawn = {tuple(council.drawn(users, bytes([at]))) for at in range(50)}
        assert len(drawn) == 50
        assert council.drawn(users, b"a") == council.drawn(users, b"a")
        with pytest.raises(ValueError, match="4 members of 3 users: name fewer members"):
            council.drawn(users[:3], b"a")

    def test_the_risk_of_too_many_corrupt_members(self):
        """One minus the binomial probabilities of none and one of four."""
        assert Council(4, 1).risk(0.1) == pytest.approx(1 - 0.9**4 - 4 * 0.1 * 0.9**3)

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ((1, 1), "members: 1 is not between 2 and 12"),
            ((4, 4), "name 1 to 3"),
            ((4, 0), "name 1 to 3"),
            ((4, 2), "no honest majority: name at least 5 members"),
        ],
    )
    def test_impossible_ones_are_refused(self, settings, reason):
        with pytest.raises(ValueError, match=reason):
            Committee(*settings)

    def test_three_members_are_told_what_they_are_for(self):
        assert any("against both at once, name 4 members" in note for note in Committee(3, 1).notes())
        assert "5.2%" in Committee().notes()[0]
