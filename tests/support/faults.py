"""Real processes that really die: a Ray backend that kills its own actors at chosen moments."""

import os
import random
import signal
import time
from collections import Counter

import numpy as np

from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.persistence import Lost
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.ray_backend import RayBackend
from fedmf_ray.engine.run import checkpoints_of
from fedmf_ray.planning.plan import Plan
from tests.support.small_runs import LOSSES

MOMENTS = {
    "train": "UserActor",
    "receive": "ServerActor",
    "merge": "ServerActor",
    "close": "ServerActor",
    "publish": "ServerActor",
    "read_share": "UserActor",
    "open_round": "UserActor",
    "save": "UserActor",
}
"""Calls in which somebody may die, and who answers them."""


class FaultyBackend(RayBackend):
    """Sends processes a signal. faults: (method, how many calls of it before, who dies).

    who: the class of the victim; it is drawn from the seed, as is the moment within a few milliseconds.
    """

    def __init__(self, faults=(), seed=0, address=None, how=signal.SIGKILL, **options):
        super().__init__(address, **options)
        self._how = how
        self._faults, self._random, self._made = list(faults), random.Random(seed), Counter()
        self._pids, self.killed = {}, []

    def start(self, kind, *args):
        actor = super().start(kind, *args)
        self._pids[actor] = (kind.__name__, actor.ping.remote())
        return actor

    def call(self, actor, method, *args):
        reference = super().call(actor, method, *args)
        self._strike(method)
        return reference

    def call_split(self, returns, actor, method, *args):
        references = super().call_split(returns, actor, method, *args)
        self._strike(method)
        return references

    def _strike(self, method):
        self._made[method] += 1
        for fault in list(self._faults):
            when, count, who = fault
            if method == when and self._made[method] > count:
                self._faults.remove(fault)
                self.kill(who)

    def kill(self, who):
        """End one process of this class as the kernel does when memory runs out."""
        victims = [actor for actor in self._actors if self._pids[actor][0] == who]
        self._random.shuffle(victims)
        for victim in victims:
            try:
                pid = self._ray.get(self._pids[victim][1])
                time.sleep(self._random.random() * 0.02)
                os.kill(pid, self._how)
            except (self._ray.exceptions.RayError, ProcessLookupError):
                continue  # it is dead already
            self.killed.append(f"{who} in {dict(self._made)}")
            return


def random_faults(seed, number, rounds, calls_a_round):
    """So many faults at seeded moments all over a run, but not before it has begun."""
    chosen = random.Random(seed)
    faults = []
    for _ in range(number):
        moment = chosen.choice([m for m in MOMENTS if calls_a_round.get(m)])
        per_round = calls_a_round[moment]
        faults.append((moment, chosen.randrange(per_round, rounds * per_round), MOMENTS[moment]))
    return faults


def train(scenario, backend, tmp_path, resume=False):
    """V after the last round, the losses of every round, and what was handled on the way."""
    events = []
    checkpoints = checkpoints_of(tmp_path, scenario)
    try:
        federation = Federation(
            scenario,
            Plan.of(scenario),
            backend,
            Silent(),
            checkpoints,
            lambda event, **facts: events.append((event, facts)),
            resume,
        )
        losses = [[done.row[loss] for loss in LOSSES] for done in federation.rounds()]
        items = _items_of(federation, backend)
    finally:
        backend.close()
    return np.array(items), losses, events


def _items_of(federation, backend):
    """V in the end. A process, or a machine, may die as late as now."""

    def read():
        return backend.get(backend.call(federation._crew.users[0], "items_in_the_clear"))

    try:
        return federation._healing(federation._crew.round, read)
    except Lost as error:  # what a new process needs is gone, too
        federation._go_back(error)
        for _ in federation.rounds():
            pass
        return read()
