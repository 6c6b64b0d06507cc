"""A committee's heads, keys and rules: what its members sign, and what they do not."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.protocol.items import TamperedError, encrypt_items, initial_tables
from fedmf_ray.schemes import Committee, Council, Shape, listed_digest, run_of
from fedmf_ray.schemes.committee import kem, keys
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

    def test_a_user_who_is_listed_twice_would_have_two_lots(self, published):
        key, user_ids, entries = published
        again = key.introduce(user_ids)
        ids, entries = np.append(user_ids, 3), np.concatenate([entries, again[2:3]])
        key.enrol(user_ids, again, run_of(listed_digest(ids, entries), b"beacon"))
        with pytest.raises(ValueError, match="one of them is there twice"):
            key.members[0].take_seat(ids, entries, b"beacon")
        with pytest.raises(ValueError, match="has one of them twice"):
            Council(4, 1).drawn(ids, b"beacon")

    def test_a_copied_key_with_a_bit_that_nobody_reads_is_refused(self, published):
        key, user_ids, entries = published
        sign, copied = keys.signing(bytes(range(32))), bytearray(entries[0, :32].tobytes())
        copied[31] ^= 0x80
        said = bytes(copied) + keys.public_of(sign) + entries[1, 64:-64].tobytes()
        entries[1] = np.frombuffer(said + sign.sign(keys._entry_text(2, said)), np.uint8)
        with pytest.raises(ValueError, match="the key of user 2 is not in its only form"):
            key.members[0].take_seat(user_ids, entries, b"beacon")

    def test_a_committee_of_the_servers_own_is_refused(self, published):
        """Its keys are signed by each other, and by nobody who was drawn."""
        key, user_ids, entries = published
        run = run_of(listed_digest(user_ids, entries), b"beacon")
        seats = user_ids[Council(4, 1).drawn(user_ids, b"beacon")].tolist()
        appointed = [key.appoint(number, user_id, run) for number, user_id in enumerate(seats)]
        named = entries[:, :64]
        assert key.check_committee(user_ids, named, b"beacon", appointed) == run
        _, another = SCHEME.sides(Shape(4, 26))
        for mine in (
            [another.appoint(number, user_id, run) for number, user_id in enumerate(seats)],
            [key.appoint(number, user_id, run) for number, user_id in enumerate([1, *seats[1:]], start=0)]
            if seats[0] != 1
            else [appointed[1], *appointed[1:]],
            [key.appoint(number, user_id, b"another run") for number, user_id in enumerate(seats)],
        ):
            with pytest.raises(ValueError, match=r"was drawn as member 0, and has not signed its key"):
                key.check_committee(user_ids, named, b"beacon", mine)
        with pytest.raises(ValueError, match="another number of members"):
            key.check_committee(user_ids, named, b"beacon", appointed[:3])

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
