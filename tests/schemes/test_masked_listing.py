"""Lists of nonces: sorted in pieces, they are what sorting everything at once gives."""

import numpy as np
import pytest

from fedmf_ray.schemes.masked import compiled, listing, streams
from fedmf_ray.schemes.masked import wire as wires
from fedmf_ray.schemes.masked.listing import Listing, Run, each_row

ROWS = 40


def uploads(count, seed=0):
    random = np.random.default_rng(seed)
    for _ in range(count):
        rows = np.sort(random.choice(ROWS, int(random.integers(1, ROWS)), replace=False))
        yield rows, random.integers(0, 256, (len(rows), 12)).astype(np.uint8)


@pytest.fixture(params=[(1, 1), (7, 5), (300, 90), (1 << 19, 1 << 18)])
def pieces(request, monkeypatch):
    """Sizes of runs and of what is joined at once."""
    monkeypatch.setattr(listing, "_RUN", request.param[0])
    monkeypatch.setattr(listing, "_AT_ONCE", request.param[1])


def noted(some):
    whole = Listing()
    for rows, nonces in some:
        whole.note(rows, nonces)
    return whole


def flat(some):
    return (np.concatenate(parts) for parts in zip(*some, strict=True))


@pytest.mark.usefixtures("pieces")
class TestClosed:
    def test_is_sorted_by_rows_and_in_each(self):
        rows, nonces = flat(list(uploads(50)))
        order = wires.order_of(rows, nonces)
        whole = noted(uploads(50))
        for _ in range(2):  # asked again, the same again
            counts, found = whole.closed(ROWS)
            assert np.array_equal(counts, np.bincount(rows, minlength=ROWS))
            assert np.array_equal(found, nonces[order])

    def test_is_the_same_from_several_listings(self):
        everything = list(uploads(60))
        alone, joined = noted(everything), noted(everything[:20])
        for part in (everything[20:45], everything[45:]):
            for run in noted(part).runs():
                joined.take(run)
        for one, other in zip(alone.closed(ROWS), joined.closed(ROWS), strict=True):
            assert np.array_equal(one, other)

    def test_lacks_what_was_taken_out(self):
        everything = list(uploads(30))
        whole = noted(everything)
        for at in (3, 17, 29):
            whole.forget(*everything[at])
        kept = [one for at, one in enumerate(everything) if at not in (3, 17, 29)]
        for one, other in zip(whole.closed(ROWS), noted(kept).closed(ROWS), strict=True):
            assert np.array_equal(one, other)
        whole.forget(*everything[4])
        assert whole.closed(ROWS)[0].sum() == sum(len(rows) for rows, _ in kept) - len(everything[4][0])

    def test_pieces_name_the_row_of_each(self):
        counts, nonces = noted(uploads(50)).closed(ROWS)
        rows, seen = [], 0
        for some, mine in each_row(counts):
            assert some.start == seen
            assert some.stop - some.start == len(mine)
            seen = some.stop
            rows.append(mine)
        assert seen == len(nonces)
        assert np.array_equal(np.concatenate(rows), np.repeat(np.arange(ROWS), counts))

    def test_of_nothing(self):
        counts, nonces = Listing().closed(ROWS)
        assert not counts.any()
        assert nonces.shape == (0, 12)
        assert list(each_row(counts)) == []


def test_what_was_never_added_cannot_be_taken_out():
    everything = list(uploads(5))
    whole = noted(everything)
    rows, nonces = everything[2]
    for wrong in ((rows, nonces ^ 1), ((rows + 1) % ROWS, nonces), (rows + ROWS, nonces)):
        with pytest.raises(ValueError, match="never added"):
            whole.forget(*wrong)
    assert whole.closed(ROWS)[0].sum() == sum(len(some) for some, _ in everything)


def test_a_listing_says_whether_it_holds_anything():
    whole, (one,) = Listing(), list(uploads(1))
    assert not whole
    whole.note(*one)
    assert whole
    whole.forget(*one)
    assert not whole
    whole.take(Run.of(*one))
    assert whole


@pytest.mark.parametrize("count", [2, 100, 5000])
def test_nonces_that_begin_alike_are_told_apart(monkeypatch, count):
    """Four bytes of them are compared first."""
    monkeypatch.setattr(compiled, "repeated", lambda nonces: None)
    monkeypatch.setattr(wires, "_CHUNK", 700)
    nonces = np.random.default_rng(count).integers(0, 256, (count, 12)).astype(np.uint8)
    nonces[1::2, :4] = nonces[::2, :4]
    assert not wires.repeated(nonces)
    nonces[-1] = nonces[0]
    assert wires.repeated(nonces)


class TestRepeatedInMany:
    """Numbers of 32 bits that meet by chance are told apart from nonces that come twice."""

    @pytest.fixture(autouse=True)
    def _sorted(self, monkeypatch):
        monkeypatch.setattr(compiled, "repeated", lambda nonces: None)

    def nonces(self):
        random = np.random.default_rng(5)
        nonces = random.integers(0, 256, (20_000, 12)).astype(np.uint8)
        nonces[:6000, :4] = nonces[6000:12_000, :4]  # half of them begin like another
        return nonces

    def test_those_that_begin_alike_are_no_repetition(self):
        assert not wires.repeated(self.nonces())

    @pytest.mark.parametrize("which", [0, 5999, 6000, 15_000, 19_998])
    def test_one_that_comes_twice_is_found(self, which):
        nonces = self.nonces()
        nonces[19_999] = nonces[which]
        assert wires.repeated(nonces)


@pytest.mark.parametrize("first", [0, 7])
def test_pads_of_many_tags_are_those_of_each(first):
    user_ids, nonces = [1, 0, -3, 2**62, -(2**63)], streams.fresh_nonces(5)
    expected = [
        int.from_bytes(streams.mac(b"k" * 32, user_id, 4, first, nonce.tobytes()), "little")
        for user_id, nonce in zip(user_ids, nonces, strict=True)
    ]
    assert streams.pads(b"k" * 32, user_ids, 4, first, nonces) == expected
    assert streams.pads(b"k" * 32, [], 4, first, nonces[:0]) == []
