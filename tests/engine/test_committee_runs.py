"""Whole runs under a committee: the bits of plain runs, who sits in it, and members who come and go."""

import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from tests.engine.test_masked_runs import CASES
from tests.support.small_runs import LOSSES, losses_of, rounds_of, small

CASES = CASES | {
    "three members": {"protocol__committee": {"members": 3, "colluding": 1}},
    "two of seven": {"protocol__committee": {"members": 7, "colluding": 2}},
}


@pytest.mark.parametrize("case", CASES)
def test_every_round_has_the_losses_of_a_plain_run(tmp_path, case):
    how = CASES[case]
    if "participation" in how:
        how = how | {"participation": {"share": 0.8, "late": 0.0, "dropout": 0.0, "minimum": 0.0}}
    together = rounds_of(tmp_path, protocol__scheme="committee", **how)
    how = {key: value for key, value in how.items() if key != "protocol__committee"}
    plain = rounds_of(tmp_path, protocol__scheme="plain", **how)
    assert together[LOSSES].equals(plain[LOSSES])
    assert together[["uploads", "refused"]].equals(plain[["uploads", "refused"]])


@pytest.mark.parametrize("apart", [1, 3])
def test_a_run_that_goes_on_is_as_if_it_had_never_stopped(tmp_path, apart):
    here = {"protocol__scheme": "committee", "cluster__users_per_actor": apart, "cluster__server_shards": 2}
    folder = run(small(**here), tmp_path, Silent())
    resume(folder, Silent(), ["stop.rounds=6", "cluster.users_per_actor=7"])
    whole = run(small(stop__rounds=6, protocol__scheme="plain"), tmp_path / "whole", Silent())
    assert losses_of(folder).equals(losses_of(whole))
