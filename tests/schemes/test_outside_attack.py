"""Attacks on ``committee`` that somebody from outside found, and that stay possible, played as what they are:
``SECURITY.md`` names them under *Assumptions* and *Not protected*."""

import dataclasses

import numpy as np
import pytest

from fedmf_ray.learning.blocks import Steps
from fedmf_ray.protocol.items import TamperedError
from fedmf_ray.protocol.messages import Upload
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.schemes import Committee, Piece
from fedmf_ray.schemes.committee.members import CommitteeMember
from tests.support.masked import agreed, certificates, federation_of, parts_of
from tests.support.small_protocol import ITEMS, NOTHING, Federation, agreed_terms

SCHEME = Committee()
USERS, HELPER, VICTIM = 8, 7, 0
"""Positions: one user works with the server, no member does."""

RAW = Steps(0.02, 25.0, 5.0, 4.0, 3.0, 0.0)
BIAS, CURVATURE, RATERS = 4, 5, 6


class Helped:
    """A federation under ``ridge`` (as in the docs: biases, full text, ``min_raters: 3``) whose server works
    with one user. It uses what that user may: V, and an upload of its own with whatever numbers it likes."""

    def __init__(self, ratings=None, users=USERS, items=ITEMS):
        random, rated, self.items, self.helper = np.random.default_rng(1), items * 2 // 3, items, users - 1
        terms = agreed_terms(
            rule="ridge", users=users, items=items, sparsity=0.0, biases=True, steps=RAW, fraction_bits=12,
            value_bound=16, update_bound=8, min_raters=3,
        )  # fmt: skip
        ratings = ratings or [
            UserRatings(
                one,
                np.sort(random.choice(items, rated, replace=False)),
                random.integers(1, 11, rated) / 2 - 3,
                *NOTHING,
            )
            for one in range(1, users + 1)
        ]  # fmt: skip
        self.federation = Federation(SCHEME, terms, ratings)

    @property
    def tables(self):
        return self.federation.terms.blocks.join(self.federation.tables)

    def play(self, added=None, out=()):
        """A round in which the helper adds these integers (its honest step if none), and the server leaves
        some users out. Returns what all others have added."""
        federation, before = self.federation, self.tables
        uploads = federation.uploads()
        if added is not None:
            blocks, heads = np.arange(self.items), federation.ledger.heads
            user_id = self.helper + 1
            whole = [Piece(user_id, 0, 0, self.items)]
            wire, (tag,) = federation.key.protect(federation.round, added, blocks, whole, heads, True)
            uploads[self.helper] = [Upload(federation.round, user_id, blocks, wire, tag, heads[0])]
        federation.deliver([one for at, one in enumerate(uploads) if at not in out])
        federation.publish()
        federation.open()  # all checks of users pass
        return self.tables - before - (0 if added is None else added)

    def hold(self, wanted):
        """Steer tables until they stay where they are: then what all others send is the same each round, and
        known. Nobody is left out."""
        steps, known = np.zeros_like(wanted), dict[bytes, np.ndarray]()
        for at in range(60):
            now = self.tables
            steps = known.get(now.tobytes(), steps)  # what others answered last, or to these very tables
            added = wanted - now - steps
            if at:
                added[:, BIAS] = -steps[:, BIAS]  # biases stay where they are
            added[:, RATERS] = 0
            answer = known[now.tobytes()] = self.play(added)
            if (self.tables == now).all() and (answer == steps).all():
                return steps
            steps = answer
        raise AssertionError("it did not settle")

    def probe(self, wanted, shown, out):
        """What all others answer to tables that were chosen freely, after the same past each time."""
        steps = self.hold(wanted)
        self.play(shown - self.tables - steps)
        assert np.array_equal(self.tables, shown)
        return self.federation.steps_of(VICTIM), self.play(np.zeros_like(shown), out)


class TestOneUserMakesAllOthersRepeatThemselves:
    """Not protected. Members compute tables, so the server cannot show those of before again; but the uploads
    of *one user* choose them, some rounds later. Others then send the same steps twice, and who is left out
    the second time is the difference."""

    @pytest.mark.parametrize(("users", "items"), [(8, 9), (40, 60)])
    def test_the_server_with_one_user_and_no_member_reads_an_upload(self, users, items):
        one = Helped(users=users, items=items)
        for _ in range(2):  # a census, and a round that learns
            one.play()
        still, shown = one.tables, one.tables
        still[:, :CURVATURE], still[:, CURVATURE] = 0, 8 * users << 7  # long L_j: others take short steps
        shown[:, :BIAS] = np.random.default_rng(5).integers(-2000, 2000, (items, BIAS))
        shown[:, BIAS], shown[:, CURVATURE] = 0, 10 << 7
        assert (shown[:, RATERS] >= 3).all()  # ``min_raters`` is kept
        steps, everybody = one.probe(still, shown, out=())
        _, others = one.probe(still, shown, out=[VICTIM])  # the only round in which anybody is left out
        assert steps.any()
        assert np.array_equal(everybody - others, steps)  # exactly what the victim had under its masks
        assert one.federation.round < 50

    def test_a_set_of_one_honest_user_and_helpers_is_opened(self):
        """Assumption 3: fewer helpers upload than a set must have. ``min_raters`` counts who ever rated, not
        who is in the set."""
        one = Helped()
        one.play()
        federation, before = one.federation, one.tables
        assert (before[:, RATERS] >= 3).all()
        steps, helpers = federation.steps_of(VICTIM), [5, 6, 7]
        known = sum(federation.steps_of(at) for at in helpers)
        federation.deliver([federation.uploads()[at] for at in (VICTIM, *helpers)])
        closed = [server.close() for server in federation.servers]
        openings = federation.ledger.open(closed, least=4)
        federation.messages = [
            server.publish(o) for server, o in zip(federation.servers, openings, strict=True)
        ]
        federation.number += 1
        federation.open()
        assert np.array_equal(one.tables - before - known, steps)

    def test_one_user_who_did_not_rate_it_makes_a_lone_rater_answer(self):
        """``min_raters`` holds against users who follow the protocol: a census believes whatever one adds."""
        rows = [np.array([0, 1, 2])] + [np.array([1, 2])] * (USERS - 1)  # row 0: the victim alone
        ratings = [UserRatings(at + 1, mine, np.ones(len(mine)), *NOTHING) for at, mine in enumerate(rows)]
        for more in (0, 2):
            one = Helped(ratings=ratings)
            added = one.federation.steps_of(HELPER)
            added[0, RATERS] += more
            one.play(added)
            steps = one.federation.steps_of(VICTIM)
            changes = one.play(np.zeros_like(added))
            assert np.array_equal(changes[0], steps[0])
            assert steps[0].any() == (more > 0)


class TestMembersThatForgetOneAfterTheOther:
    def test_a_member_signs_again_for_tables_before_those_it_has_certified(self):
        """It opens nothing: of one head there is one set."""
        federation = Federation(SCHEME, agreed_terms())
        federation.play()
        old = federation.messages[0]
        federation.play()  # all members have certified the tables after ``old``
        key = federation.key
        lives = (b"x" * 16, *(one.life for one in key.members[1:]))
        for member in key.members[1:]:
            assert member.renew(old, lives)

    def test_two_sets_of_a_round_are_opened_with_one_corrupt_member(self):
        """Assumption 2: two members that have started again, and have not agreed on a set of the newest head
        since, count with the corrupt one, though nobody started again in the middle of a round."""
        federation = federation_of(scheme=SCHEME, sparsity=0.5)
        key, known = federation.key, federation.ledger.known()
        (message,), steps = federation.messages, federation.steps_of(0)
        ((piece,), *_) = federation.uploaded
        federation.publish()
        federation.open()  # the round is over; everybody has read what follows
        first = self.unmasked(federation, federation.messages[0])
        federation_known = known  # of members that are restored from a checkpoint of that round

        def restart(number):
            key.members[number] = CommitteeMember(key, number)

        def renew(numbers):
            lives = tuple(one.life for one in key.members)
            return lives, {number: key.members[number].renew(message, lives) for number in numbers}

        restart(0)
        renew([0])  # member 0 has "signed something since"
        restart(1)
        restart(3)  # is corrupt: it forgets on purpose
        lives, signatures = renew([0, 1, 3])
        for number in (0, 1, 3):
            key.members[number].acknowledge(federation.evaluator.renewed(message, lives, signatures))

        federation.messages = [message]
        federation.start_servers()  # the server goes back, too, and leaves a user out
        federation.deliver(federation.uploaded[1:])
        less = federation.servers[0].close()
        words = {number: key.members[number].agree(less, federation_known) for number in (0, 1, 3)}
        parts = [
            key.members[next(one for one in who if one in words)].part(group, less, federation_known, words)
            for group, who in enumerate(key.groups)
        ]
        draft = federation.evaluator.assemble(less, parts)
        second = key.unmasked(draft.sums, draft.closed, 0, np.arange(ITEMS))
        assert np.array_equal((first - second)[piece.blocks], steps)

    @staticmethod
    def unmasked(federation, message):
        past = federation.key.past_of(message.head)
        return federation.key.unmasked(message.ciphertexts, past.closed, 0, np.arange(ITEMS))


class TestDenialThatIsNotNamed:
    def test_an_upload_that_the_server_could_refuse_ends_the_run(self):
        """Rows under other nonces than that of the tag: the server takes it, members refuse the whole set
        and name nobody, and those who have agreed cannot agree on a set without it."""
        federation = Federation(SCHEME, agreed_terms(sparsity=0.5))
        uploads = federation.uploads()
        ((piece,), *rest) = uploads
        wire = piece.ciphertexts.copy()
        wire[:, 0, 1] ^= 1
        federation.deliver([[dataclasses.replace(piece, ciphertexts=wire)], *rest])
        with pytest.raises(TamperedError, match="a row is of no credited user's upload"):
            federation.ledger.open([federation.servers[0].close()])

    def test_a_list_that_some_groups_accept_splits_members_for_good(self):
        """A_g is right for groups of member 0 only: it signs, others do not, and the round has no set."""
        federation = Federation(SCHEME, agreed_terms(sparsity=0.5))
        ((piece,), *rest) = federation.uploads()
        tag = piece.tag.copy()
        bad = next(at for at, who in enumerate(federation.key.groups) if 0 not in who)
        tag[28 + 16 * bad] ^= 1
        federation.deliver([[dataclasses.replace(piece, tag=tag)], *rest])
        (server,), known, members = federation.servers, federation.ledger.known(), federation.key.members
        whole = server.close()
        assert members[0].agree(whole, known)
        with pytest.raises(ValueError, match="did not upload the rows"):  # does not say who
            members[1].agree(whole, known)
        server.retract(dataclasses.replace(piece, tag=tag))
        with pytest.raises(ValueError, match="has agreed on another set of this head"):
            members[0].agree(server.close(), known)


def test_parts_and_certificates_of_an_honest_round_still_fit():
    """That the helpers above are used as the others use them."""
    federation = federation_of(scheme=SCHEME)
    closed = federation.servers[0].close()
    assert agreed(federation, closed)
    assert len(certificates(federation, closed, parts_of(federation, closed))[1]) == 4
