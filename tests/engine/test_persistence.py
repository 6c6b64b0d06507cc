"""The one loop that does work again: how often, what mends in between, and what is passed on."""

import pytest

from fedmf_ray.engine.persistence import ATTEMPTS, Gone, Lost, persist, persist_in_round
from fedmf_ray.errors import FedMFError


class Work:
    """Fails as it is told, and writes down what is done with it. fates: an error or a result, in order."""

    def __init__(self, *fates):
        self._fates, self.done = list(fates), []

    def __call__(self):
        self.done.append("work")
        fate = self._fates.pop(0)
        if isinstance(fate, BaseException):
            raise fate
        return fate

    def mend(self, error):
        self.done.append(str(error))

    def give_up(self, error):
        return FedMFError(f"gave up: {error}")


def test_work_that_succeeds_is_done_once_and_nothing_is_mended():
    work = Work(7)
    assert persist(work, work.mend, work.give_up) == 7
    assert work.done == ["work"]


def test_every_failure_is_mended_before_the_next_attempt():
    work = Work(Lost("a"), Lost("b"), None)
    assert persist(work, work.mend, work.give_up) is None
    assert work.done == ["work", "a", "work", "b", "work"]


def test_after_the_last_attempt_it_gives_up_with_the_last_failure():
    work = Work(*(Lost(str(number)) for number in range(100)))
    with pytest.raises(FedMFError, match=f"^gave up: {ATTEMPTS}$") as caught:
        persist(work, work.mend, work.give_up)
    assert work.done.count("work") == ATTEMPTS + 1
    assert len(work.done) == 2 * ATTEMPTS + 1, "what is given up is not mended"
    assert isinstance(caught.value.__cause__, Lost)


def test_mending_that_fails_counts_as_an_attempt_and_is_tried_again():
    work, mends = Work(Lost("a"), 7), []

    def mend(error):
        mends.append(str(error))
        if len(mends) < 3:
            raise Lost(f"mend {len(mends)}")

    assert persist(work, mend, work.give_up) == 7
    assert mends == ["a", "mend 1", "mend 2"]
    assert work.done == ["work", "work"]


def test_mending_that_always_fails_gives_up():
    work, mends = Work(Lost("a")), []

    def mend(error):
        mends.append(error)
        raise Lost("cannot be mended")

    with pytest.raises(FedMFError, match="gave up: cannot be mended"):
        persist(work, mend, work.give_up)
    assert (len(mends), work.done) == (ATTEMPTS, ["work"])


@pytest.mark.parametrize("error", [ValueError("a defect"), FedMFError("bad input"), KeyboardInterrupt()])
def test_what_is_no_loss_is_not_repeated(error):
    work = Work(error)
    with pytest.raises(type(error)):
        persist(work, work.mend, work.give_up)
    assert work.done == ["work"]


class TestInARound:
    def test_what_only_an_earlier_checkpoint_mends_is_passed_on_at_once(self):
        work, mends = Work(Lost("a")), []

        def mend(error):
            mends.append(error)
            raise Gone("the matrix is gone")

        with pytest.raises(Gone, match="the matrix is gone"):
            persist_in_round(work, mend)
        assert len(mends) == 1

    def test_work_that_finds_so_is_not_repeated(self):
        work = Work(Gone("the matrix is gone"))
        with pytest.raises(Gone):
            persist_in_round(work, work.mend)
        assert work.done == ["work"]

    def test_too_many_failures_are_for_an_earlier_checkpoint_too(self):
        work = Work(*(Lost(str(number)) for number in range(100)))
        with pytest.raises(Gone, match=f"^{ATTEMPTS}$"):
            persist_in_round(work, work.mend)

    def test_a_round_mends_it_as_any_other_failure(self):
        work = Work(Gone("a"), 7)
        assert persist(work, work.mend, work.give_up) == 7
        assert work.done == ["work", "a", "work"]
