"""Processes that die at exactly chosen moments, without processes: every failure can be tried, quickly.

Works like Ray where it matters: actors share no memory with anybody, a reference may be passed only as an
argument by itself, errors show when a value is asked for, and a value may be gone.
"""

import pickle
from collections import Counter

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import checkpoints_of
from fedmf_ray.planning.plan import Plan
from tests.support.small_runs import LOSSES

BEFORE, AFTER, MACHINE = "before", "after", "machine"
"""Ways to die in a call: without having done what was asked; having done it, without an answer; with an
answer, but then with the machine and everything that the process has answered since it began."""

CTRL_C = "ctrl-c"
"""Nobody dies; a person interrupts the program when it makes the call."""


KILLED = "killed"
"""Nobody is interrupted politely: it is the last thing that the program does."""


class Killed(BaseException):
    """What nobody handles stands for SIGKILL."""


class Reference:
    """To a value, to the error that came instead, or to nothing any more."""

    def __init__(self, value=None, error=None):
        self.value, self.error = pickle.dumps(value), error

    def lose(self):
        self.error = Lost("the value is gone")


class Actor:
    def __init__(self, kind):
        self.kind, self.alive, self.answers, self.it = kind, True, [], None


class MortalBackend(SerialBackend):
    """deaths: the number of a call (starting an actor and running a function count, too) to how its callee
    dies, or a function of method and earlier calls of it that says how."""

    name, cpus, apart = "processes that die", 2, True
    one_node = False
    """Whether all actors share a node that is one of several: then one sum leaves it."""

    def __init__(self, deaths=None):
        self._deaths = deaths if callable(deaths) else lambda *_: (deaths or {}).get(len(self.made) - 1)
        self.made, self._counts, self.killed = [], Counter(), []

    def by_node(self, actors):
        return [list(actors)] if self.one_node else super().by_node(actors)

    def run(self, function, *args):
        return self.run_split(1, function, *args)[0]

    def run_split(self, returns, function, *args):
        task = Actor(function)
        task.it = function
        return self._do(task, function.__name__, function, args, returns)

    def start(self, kind, *args):
        actor = Actor(kind)

        def begin(*values):
            actor.it = kind(*values)

        (reference,) = self._do(actor, "start " + kind.__name__, begin, args, 1)
        if reference.error is not None:
            actor.alive = False
        return actor

    def call(self, actor, method, *args):
        return self.call_split(1, actor, method, *args)[0]

    def call_split(self, returns, actor, method, *args):
        return self._do(actor, method, lambda *values: getattr(actor.it, method)(*values), args, returns)

    def get(self, references):
        if isinstance(references, list):
            return [self.get(reference) for reference in references]
        if references.error is not None:
            raise references.error
        return pickle.loads(references.value)

    def alive(self, actor):
        return actor.alive

    def end(self, actor):
        actor.alive = False

    def _do(self, actor, method, function, args, returns):
        count = self._counts[method]
        self._counts[method] += 1
        self.made.append((method, count))
        how = self._deaths(method, count)
        if how == CTRL_C:
            raise KeyboardInterrupt
        if how == KILLED:
            raise Killed
        if how:
            self.killed.append((method, count, how))
        references = self._answers(actor, function, args, returns, how)
        if how:
            actor.alive = False
        if how == MACHINE:
            for reference in (*actor.answers, *references):
                reference.lose()
        actor.answers += references
        return tuple(references)

    def _answers(self, actor, function, args, returns, how):
        if not actor.alive or how == BEFORE:
            return [Reference(error=Lost("the process died")) for _ in range(returns)]
        try:
            values = [self.get(arg) if isinstance(arg, Reference) else _copy(arg) for arg in args]
            result = function(*values)
        except Exception as error:
            return [Reference(error=error) for _ in range(returns)]
        if how == AFTER:
            return [Reference(error=Lost("the process died")) for _ in range(returns)]
        results = (result,) if returns == 1 else result
        assert len(results) == returns
        return [Reference(value) for value in results]


def _copy(value):
    return pickle.loads(pickle.dumps(value))


def survive(scenario, deaths, tmp_path, resume=False):
    """V after the last round, the losses of every round, the events, and the backend."""
    events, backend = [], MortalBackend(deaths)
    checkpoints = checkpoints_of(tmp_path, scenario)
    if not resume and checkpoints is not None:
        checkpoints.clear()  # of another test whose folder has the same name
    federation = Federation(
        scenario,
        Plan.of(scenario),
        backend,
        Silent(),
        checkpoints,
        lambda event, **facts: events.append((event, facts)),
        resume,
    )
    done = list(federation.rounds())
    assert [one.row["round"] for one in done] == list(range(len(done))), "each round is written once"
    living = next(actor for actor in federation._crew.users if actor.alive)
    items = living.it.items_in_the_clear()
    return items, [[one.row[loss] for loss in LOSSES] for one in done], events, backend
