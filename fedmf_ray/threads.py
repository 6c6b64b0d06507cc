"""Work of one process on several CPUs, and a clock of all CPU seconds that it takes.

For what one user does while everybody waits for it, such as opening the sums of a round. Threads gain where
the work lets go of the interpreter's lock: in AES and compiled code.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Here(threading.local):
    """Of each thread: how many may work for it, and the CPU seconds of those that have."""

    most = 1
    helped_s = 0.0


_HERE = _Here()


def cpu_clock() -> float:
    """CPU seconds of this thread, and of threads that have worked for it."""
    return time.thread_time() + _HERE.helped_s


@contextmanager
def up_to(most: int) -> Iterator[None]:
    """Within, :func:`spread` may use so many threads of this process."""
    before, _HERE.most = _HERE.most, most
    try:
        yield
    finally:
        _HERE.most = before


def spread(make: Callable[[], Callable[[T], R]], pieces: Iterable[T]) -> list[R]:
    """What some work makes of each piece, in their order. make: called once in each thread, gives the work;
    what it holds is not shared.

    Raises what the work raises.
    """
    numbered, lock = enumerate(pieces), threading.Lock()
    first = list(itertools.islice(numbered, 2))
    waiting = itertools.chain(first, numbered)

    failed = list[BaseException]()

    def work_off() -> tuple[list[tuple[int, R]], float]:
        started, done = time.thread_time(), list[tuple[int, R]]()
        try:
            work = make()
            while not failed:
                with lock:
                    found = next(waiting, None)
                if found is None:
                    break
                done.append((found[0], work(found[1])))
        except BaseException as error:
            failed.append(error)  # the others stop at the next piece
        return done, time.thread_time() - started

    helpers = _HERE.most - 1 if len(first) > 1 else 0
    if helpers < 1:
        done, _ = work_off()
    else:
        with ThreadPoolExecutor(helpers) as pool:
            helping = [pool.submit(work_off) for _ in range(helpers)]
            done, _ = work_off()
            for theirs, cpu_s in (one.result() for one in helping):
                done += theirs
                _HERE.helped_s += cpu_s
    if failed:
        raise failed[0]
    return [result for _, result in sorted(done, key=lambda pair: pair[0])]
