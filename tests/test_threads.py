"""Work on several threads: the same results in the same order, and all CPU seconds are counted."""

import threading
import time

import pytest

from fedmf_ray import threads


def worker(seen):
    def make():
        seen.append(threading.get_ident())
        return lambda piece: piece * piece

    return make


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("pieces", [0, 1, 2, 3, 40])
def test_results_come_in_the_order_of_pieces(most, pieces):
    seen = []
    with threads.up_to(most):
        assert threads.spread(worker(seen), iter(range(pieces))) == [at * at for at in range(pieces)]
    assert len(seen) == (most if pieces > 1 else 1)


def test_threads_have_work_of_their_own_and_share_the_pieces():
    meet, made = threading.Barrier(3, timeout=20), []

    def make():
        made.append(threading.get_ident())
        return lambda piece: (meet.wait(), threading.get_ident())[1]

    with threads.up_to(3):
        who = threads.spread(make, range(3))  # no thread gets two: each waits for the others
    assert sorted(who) == sorted(made)
    assert len(set(who)) == 3


def test_without_leave_everything_stays_in_one_thread():
    assert threads.spread(lambda: lambda _: threading.get_ident(), range(5)) == [threading.get_ident()] * 5
    with threads.up_to(3):
        pass
    assert threads.spread(lambda: lambda _: threading.get_ident(), range(5)) == [threading.get_ident()] * 5


def test_what_work_raises_is_raised():
    def fail(piece):
        raise ValueError(f"piece {piece}")

    for most in (1, 3):
        with threads.up_to(most), pytest.raises(ValueError, match="piece"):
            threads.spread(lambda: fail, range(9))


def test_others_stop_soon_when_work_fails_and_what_they_did_is_counted():
    done = []

    def work(piece):
        if piece == 1:
            raise ValueError("no")
        started = time.thread_time()
        while time.thread_time() - started < 0.02:
            pass
        done.append(piece)

    started = threads.cpu_clock()
    with threads.up_to(2), pytest.raises(ValueError, match="no"):
        threads.spread(lambda: work, range(60))
    assert len(done) < 10
    assert threads.cpu_clock() - started >= 0.02 * len(done)


def test_the_clock_counts_what_threads_did_for_this_one():
    burnt = []

    def burn(_):
        started = time.thread_time()
        while time.thread_time() - started < 0.05:
            pass
        burnt.append(time.thread_time() - started)

    with threads.up_to(2):
        started, own = threads.cpu_clock(), time.thread_time()
        threads.spread(lambda: burn, range(6))
        counted, alone = threads.cpu_clock() - started, time.thread_time() - own
    assert sum(burnt) <= counted < sum(burnt) + 0.05
    assert alone < sum(burnt)
