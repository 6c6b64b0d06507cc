"""Keys of a committee, and attacks at set-up: on the list of users, on who is drawn, on what they share."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.schemes import Committee, Council, Shape, listed_digest, run_of
from fedmf_ray.schemes.committee import kem, keys

SCHEME = Committee()


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
        beacon = key.beacon(listed_digest(user_ids, entries))
        run = run_of(listed_digest(user_ids, entries), beacon)
        seats = user_ids[Council(4, 1).drawn(user_ids, beacon)].tolist()
        appointed = [key.appoint(number, user_id, run) for number, user_id in enumerate(seats)]
        named = entries[:, :64]
        assert key.check_committee(user_ids, user_ids, named, beacon, appointed) == run
        _, another = SCHEME.sides(Shape(4, 26))
        for mine in (
            [another.appoint(number, user_id, run) for number, user_id in enumerate(seats)],
            [key.appoint(number, user_id, run) for number, user_id in enumerate([1, *seats[1:]], start=0)]
            if seats[0] != 1
            else [appointed[1], *appointed[1:]],
            [key.appoint(number, user_id, b"another run") for number, user_id in enumerate(seats)],
        ):
            with pytest.raises(ValueError, match=r"was drawn as member 0, and has not signed its key"):
                key.check_committee(user_ids, user_ids, named, beacon, mine)
        with pytest.raises(ValueError, match="another number of members"):
            key.check_committee(user_ids, user_ids, named, beacon, appointed[:3])

    def test_a_user_who_is_listed_with_another_key_says_so(self, published):
        """Or somebody else would be drawn in its name."""
        key, user_ids, entries = published
        _, another = SCHEME.sides(Shape(4, 26))
        named = entries[:, :64].copy()
        named[2] = another.introduce(user_ids)[2, :64]
        beacon = key.beacon(listed_digest(user_ids, named))
        seats = user_ids[Council(4, 1).drawn(user_ids, beacon)].tolist()
        run = run_of(listed_digest(user_ids, named), beacon)
        appointed = [
            (another if user_id == 3 else key)
            .keys.user_signs(user_id)
            .sign(keys.member_text(number, user_id, run, key.public.members[number]))
            for number, user_id in enumerate(seats)
        ]
        others = np.array([1, 2, 4, 5])
        assert key.check_committee(others, user_ids, named, beacon, appointed) == run
        with pytest.raises(ValueError, match="user 3 is not there with its own keys"):
            key.check_committee(user_ids, user_ids, named, beacon, appointed)
        with pytest.raises(ValueError, match="user 9 is not there"):
            key.check_committee(np.array([9]), user_ids, named, beacon, appointed)
        with pytest.raises(ValueError, match="there are not two keys for each"):
            key.check_committee(others, user_ids, named[:4], beacon, appointed)

    def test_a_groups_key_that_the_server_put_there_is_refused(self, published):
        key, *_ = published
        mine = keys.public_of(keys.agreeing(bytes(range(32))))
        public = dataclasses.replace(key.public, group_keys=(*key.public.group_keys[:3], mine))
        with pytest.raises(ValueError, match="the key of group 3 is not signed by all of its members"):
            public.check_groups(Council(4, 1))

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
