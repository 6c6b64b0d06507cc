"""A committee's heads, keys and rules: what its members sign, and what they do not."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.schemes import Committee, Council, Shape, listed_digest, run_of
from fedmf_ray.schemes.committee import kem, keys
from tests.support.masked import agreed, federation_of
from tests.support.small_protocol import Federation, agreed_terms

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
        with pytest.raises(ValueError, match="no quorum of members has signed the next tables"):
            federation.evaluator.certified(federation.key.run, draft, lives, words[:2])
        twice = [words[0], words[1], dataclasses.replace(words[1], member=2)]
        with pytest.raises(ValueError, match="no quorum"):
            federation.evaluator.certified(federation.key.run, draft, lives, twice)
        federation.evaluator.certified(federation.key.run, draft, lives, words[:3])

    def drafted(self, federation):
        key, known = federation.key, federation.ledger.known()
        closed = federation.servers[0].close()
        signatures = agreed(federation, closed)
        parts = [key.members[who[0]].part(at, closed, known, signatures) for at, who in enumerate(key.groups)]
        draft = federation.evaluator.assemble(closed, parts)
        lives = tuple(one.life for one in key.members)
        return draft, lives, [one.certify(draft, known, lives) for one in key.members]

    def test_members_do_not_sign_other_lives_than_their_own(self):
        federation = federation_of(scheme=SCHEME)
        draft, lives, _ = self.drafted(federation)
        others = (lives[1], *lives[1:])
        with pytest.raises(ValueError, match="does not name the life of member 0"):
            federation.key.members[0].certify(draft, federation.ledger.known(), others)

    def test_a_part_that_was_changed_names_its_group(self):
        federation = federation_of(scheme=SCHEME)
        closed = federation.servers[0].close()
        known, key = federation.ledger.known(), federation.key
        signatures = agreed(federation, closed)
        parts = [key.members[who[0]].part(at, closed, known, signatures) for at, who in enumerate(key.groups)]
        words = parts[2].words.copy()
        words[0, 0] ^= 1
        with pytest.raises(ValueError, match="the part of group 2"):
            federation.evaluator.assemble(
                closed, [*parts[:2], dataclasses.replace(parts[2], words=words), parts[3]]
            )
        with pytest.raises(ValueError, match="nobody of group 1"):
            federation.evaluator.assemble(closed, [parts[0], *parts[2:]])

    def test_tables_with_another_head_are_those_that_were_read(self):
        federation = Federation(SCHEME, agreed_terms())
        federation.play()
        key, message = federation.key, federation.messages[0]
        lives = tuple(one.life for one in key.members)
        signatures = {one.number: one.renew(message, lives) for one in key.members}
        few = {number: signatures[number] for number in (0, 1)}
        federation.messages = [federation.evaluator.renewed(key.run, message, lives, few)]
        with pytest.raises(TamperedError):
            federation.open()
        federation.messages = [federation.evaluator.renewed(key.run, message, lives, signatures)]
        federation.open()
        federation.start_servers()
        federation.play()


class TestSetUp:
    @pytest.fixture
    def published(self):
        _, key = SCHEME.sides(Shape(4, 26))
        user_ids = np.arange(1, 6)
        return key, user_ids, key.introduce(user_ids).copy()

    def test_members_take_what_users_published(self, published):
        key, user_ids, entries = published
        key.enrol(user_ids, entries, run_of(listed_digest(user_ids, entries), b"beacon"))
        key.members[1].take_seat(user_ids, entries, b"beacon")

    def test_another_list_than_users_have_is_refused(self, published):
        """The server shows members a list without somebody, or with somebody of its own."""
        key, user_ids, entries = published
        key.enrol(user_ids, entries, run_of(listed_digest(user_ids, entries), b"beacon"))
        for shown in ((user_ids[1:], entries[1:], b"beacon"), (user_ids, entries, b"another")):
            with pytest.raises(ValueError, match="is not the one that names the run"):
                key.members[1].take_seat(*shown)

    def test_swapped_keys_are_refused(self, published):
        key, user_ids, entries = published
        entries[[0, 1], :32] = entries[[1, 0], :32]
        with pytest.raises(ValueError, match="user 1 has not signed its entry"):
            key.members[0].take_seat(user_ids, entries, b"beacon")

    def test_a_copied_public_key_is_refused(self, published):
        """Signed by whoever copied it."""
        key, user_ids, entries = published
        sign = keys.signing(bytes(range(32)))
        said = entries[0, :32].tobytes() + keys.public_of(sign) + entries[1, 64:-64].tobytes()
        entry = said + sign.sign(keys._entry_text(2, said))
        entries[1] = np.frombuffer(entry, np.uint8)
        with pytest.raises(ValueError, match="users 1 and 2 have the same key"):
            key.members[0].take_seat(user_ids, entries, b"beacon")

    def test_a_groups_key_that_the_server_put_there_is_refused(self, published):
        key, *_ = published
        mine = keys.public_of(keys.agreeing(bytes(range(32))))
        public = dataclasses.replace(key.public, group_keys=(*key.public.group_keys[:3], mine))
        with pytest.raises(ValueError, match="the key of group 3 is not signed by all of its members"):
            public.check_groups()

    def test_a_key_that_gives_nothing_secret_is_refused(self):
        with pytest.raises(ValueError):  # noqa: PT011
            keys.shared_key(keys.agreeing(bytes(range(32))), bytes(32), 1, bytes(32), 0, bytes(32))

    def test_a_stranger_is_on_no_list(self, published):
        key, user_ids, entries = published
        key.enrol(user_ids, entries, run_of(listed_digest(user_ids, entries), b"beacon"))
        key.members[0].take_seat(user_ids, entries, b"beacon")
        with pytest.raises(ValueError, match="user 9 is not on the list of users"):
            key.members[0]._key_with(0, 9)


def shared(scheme, spoil=lambda entries: None):
    """What user 3 and a member think they share for group 0, once both have agreed."""
    _, key = scheme.sides(Shape(4, 26), {"secret": np.frombuffer(bytes(range(32)), np.uint8)})
    user_ids = np.arange(1, 6)
    entries = key.introduce(user_ids).copy()
    run = run_of(listed_digest(user_ids, entries), b"beacon")
    key.enrol(user_ids, entries, run)
    spoil(entries)
    key.members[0].take_seat(user_ids, entries, b"beacon")
    return key._agree(3)[0], key.members[0]._key_with(0, 3)


class TestTwoSecrets:
    """ML-KEM-768 beside X25519."""

    @pytest.fixture(autouse=True)
    def _there(self):
        if not kem.available():
            pytest.skip("this cryptography has no ML-KEM")

    def test_both_sides_agree_and_each_time_on_another_key(self):
        users, members = shared(Committee())
        assert users == members
        assert shared(Committee())[0] != users  # the second secret is fresh

    def test_without_the_second_secret_the_key_is_another(self):
        """X25519 alone gives the same key each time: both secrets are in the other one."""
        users, members = shared(Committee(hybrid=False))
        assert users == members == shared(Committee(hybrid=False))[0]
        assert users != shared(Committee())[0]

    def test_a_changed_ciphertext_is_not_signed(self):
        def spoil(entries):
            entries[2, 100] ^= 1

        with pytest.raises(ValueError, match="user 3 has not signed its entry"):
            shared(Committee(), spoil)

    def test_entries_of_another_length_are_refused(self):
        _, key = Committee(hybrid=False).sides(Shape(4, 26))
        user_ids = np.arange(3)
        with pytest.raises(ValueError, match="not of the agreed length"):
            keys.check_entries(user_ids, key.introduce(user_ids), ciphertexts=4)

    def test_a_library_without_it_agrees_by_x25519(self, monkeypatch):
        monkeypatch.setattr(kem, "available", lambda: False)
        users, members = shared(Committee())
        assert users == members == shared(Committee(hybrid=False))[0]
        assert Committee().council.key_agreement == "X25519"


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
