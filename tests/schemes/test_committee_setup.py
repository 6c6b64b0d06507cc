"""What users check when a committee is set up: their own entry, the draw, the form of it, and the run."""

import dataclasses
import itertools

import numpy as np
import pytest

from fedmf_ray.schemes import Committee, Council, Shape, listed_digest, run_of
from fedmf_ray.schemes.committee import kem, keys
from fedmf_ray.schemes.committee.merkle import climbed, leaves_of

SCHEME = Committee()
IDS = np.arange(1, 31)


@pytest.fixture
def published():
    _, key = SCHEME.sides(Shape(4, 26))
    return key, key.introduce(IDS).copy()


def appointed(key, beacon, named):
    run = run_of(listed_digest(IDS, named), beacon)
    seats = Council(4, 1).drawn(IDS, beacon)
    return run, [key.appoint(number, int(IDS[at]), run) for number, at in enumerate(seats)]


class TestWhatUsersCheckAtSetUp:
    @pytest.mark.skipif(not kem.available(), reason="no ML-KEM")
    @pytest.mark.parametrize("how", ["without ciphertexts", "with the server's ciphertexts", "another's"])
    def test_an_entry_that_is_not_their_own_is_refused(self, published, how):
        """The user would agree by X25519 alone, or on second secrets of the server's. Members would notice
        when round 0 has come, and is kept for a quantum computer."""
        key, entries = published
        run, _ = appointed(key, b"beacon", np.ascontiguousarray(entries[:, :64]))
        mine = IDS[2:3]
        handed = np.concatenate([entries[2:3, :64], entries[2:3, -64:]], axis=1)
        if how == "with the server's ciphertexts":
            second = [kem.encapsulated(public[32:]) for public in key.public.group_keys]
            sent = np.frombuffer(b"".join(text for _, text in second), np.uint8)[None]
            handed = np.concatenate([entries[2:3, :64], sent, entries[2:3, -64:]], axis=1)
        elif how == "another's":
            _, another = SCHEME.sides(Shape(4, 26))
            handed = another.introduce(mine)
        with pytest.raises(ValueError, match="the list of (keys|users): "):
            key.enrol(mine, handed, run)

    def test_a_draw_by_another_number_than_everybody_sees_is_refused(self, published):
        """A server could try numbers until three users of thirty get two seats of four."""
        key, entries = published
        named, corrupt = np.ascontiguousarray(entries[:, :64]), {28, 29, 30}
        beacon = next(
            text
            for text in (at.to_bytes(4, "little") for at in itertools.count())
            if len(corrupt & set(IDS[Council(4, 1).drawn(IDS, text)].tolist())) >= 2
        )
        _, signed = appointed(key, beacon, named)
        with pytest.raises(ValueError, match="not by the public randomness"):
            key.check_committee(IDS, IDS, named, beacon, signed)

    def test_a_user_that_starts_again_takes_no_other_run(self, published):
        """Its checkpoint has the run."""
        key, entries = published
        named = np.ascontiguousarray(entries[:, :64])
        key.run, _ = appointed(key, b"beacon", named)  # as of ``user_files.load``
        before, (run, _) = key.run, appointed(key, b"another", named)
        with pytest.raises(ValueError, match="belong to another run"):
            key.enrol(IDS, entries, run)
        key.enrol(IDS, entries, before)

    @pytest.mark.parametrize("forged", ["groups", "colluding", "members", "one key twice"])
    def test_a_committee_of_another_form_is_refused(self, published, forged):
        """Whatever its keys say of themselves."""
        key, entries = published
        named = np.ascontiguousarray(entries[:, :64])
        beacon = key.beacon(listed_digest(IDS, entries))
        run, signed = appointed(key, beacon, named)
        assert key.check_committee(IDS, IDS, named, beacon, signed) == run
        public, corrupt = key.public, key.keys.member(3)
        if forged == "groups":  # one group, of the corrupt member alone: no mask of anybody else
            alone = keys.public_of(keys.agreeing(bytes(range(32))))
            dealt = ((corrupt.sign(keys.group_text(0, (3,), alone)),),)
            other = dataclasses.replace(public, groups=((3,),), group_keys=(alone,), dealt=dealt)
        elif forged == "colluding":
            other = dataclasses.replace(public, colluding=3)
            assert other.has_quorum(b"x", {3: corrupt.sign(b"x")})  # it alone is a quorum
        elif forged == "members":  # ten more, whom nobody has drawn
            own = [keys.signing(bytes([at] * 32)) for at in range(10)]
            other = dataclasses.replace(public, members=public.members + tuple(map(keys.public_of, own)))
            signed += [b""] * len(own)
            assert other.has_quorum(b"x", {4 + at: one.sign(b"x") for at, one in enumerate(own)})
        else:
            other = dataclasses.replace(public, members=(public.members[3],) * 4)
        key.keys.__dict__["public"] = other
        with pytest.raises(ValueError, match="other members or groups|with the same key"):
            key.check_committee(IDS, IDS, named, beacon, signed)

    def test_a_key_of_low_order_is_named(self, published):
        key, entries = published
        sign = key.keys.user_signs(5)
        said = bytes(32) + keys.public_of(sign) + entries[4, 64:-64].tobytes()
        entries[4] = np.frombuffer(said + sign.sign(keys._entry_text(5, said)), np.uint8)
        with pytest.raises(ValueError, match="nothing is secret under the key of user 5"):
            keys.check_entries(IDS, entries, key.keys.ciphertexts)

    def test_a_leaf_that_is_not_there_has_no_path(self):
        (leaf,) = leaves_of(np.zeros((1, 1, 8), np.uint8))
        assert climbed(leaf, 0, 1, []) == leaf
        for at in (1, -1):
            with pytest.raises(ValueError, match="there is no leaf"):
                climbed(leaf, at, 1, [])
