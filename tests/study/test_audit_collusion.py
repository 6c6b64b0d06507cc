"""Who helps an adversary, and what that is worth under each scheme."""

import numpy as np
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.privacy.views import ClearView, SealedView, load
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.audit import audit_run
from tests.study.test_audit import GRID, chosen
from tests.study.test_audit_ridge import ridge


def attacked(tmp_path, scenario):
    folder = run(scenario, tmp_path, Silent())
    return folder, {(one.adversary, one.attack): one for one in audit_run(folder, GRID)}


@pytest.mark.parametrize("scheme", ["packed", "masked", pytest.param("elementwise", marks=pytest.mark.slow)])
@pytest.mark.parametrize("helpers", [1, 3, [2]])
def test_one_users_key_opens_everything_where_all_share_one(tmp_path, scheme, helpers):
    folder, found = attacked(tmp_path, chosen({"who": "server", "collusion": helpers}, scheme))
    _, views = load(folder / "view")
    assert all(isinstance(view, ClearView) for view in views)
    name = "server with 3 users" if helpers == 3 else "server with a user's key"
    assert found[name, "grid"].recovered == 1


class TestUnderACommittee:
    """Four members, one of whom may collude."""

    @pytest.mark.parametrize(
        ("helpers", "name"),
        [
            (0, "server"),
            (1, "server with a user's key"),
            (5, "server with 5 users"),
            (["member"], "server with 1 member"),
            (["member", 1, 2, 3], "server with 1 member and 3 users"),
        ],
    )
    def test_uploads_stay_closed(self, tmp_path, helpers, name):
        folder, found = attacked(tmp_path, chosen({"who": "server", "collusion": helpers}, "committee"))
        _, views = load(folder / "view")
        assert all(isinstance(view, SealedView) for view in views)
        assert found[name, "ciphertexts"].recovered == 0
        assert ((name, "changes of V") in found) == bool(helpers)  # any user can show V

    @pytest.mark.parametrize("backend", ["serial", "ray"])
    def test_two_members_open_everything(self, tmp_path, request, backend):
        """Also what users of other processes have uploaded."""
        if backend == "ray":
            request.getfixturevalue("local_ray")
        observe = {"who": "server", "collusion": ["member", "member"]}
        tree = chosen(observe, "committee").model_dump(mode="json")
        tree["cluster"] |= {"backend": backend, "users_per_actor": 4}
        together = attacked(tmp_path, scenario_file.parse(tree, "x.yaml"))
        clear = attacked(tmp_path, chosen("server", "plain"))
        assert together[1]["server with 2 members", "grid"].recovered == 1
        for ours, theirs in zip(load(together[0] / "view")[1], load(clear[0] / "view")[1], strict=True):
            assert np.array_equal(ours.items, theirs.items)
            uploads = {one.user_id: one.values for one in ours.uploads}
            assert all(np.array_equal(uploads[one.user_id], one.values) for one in theirs.uploads)

    def test_the_masks_that_are_left_are_noise(self, tmp_path):
        """What a server with one member makes of uploads, if it takes them for numbers."""
        from fedmf_ray.engine import observation

        scenario = chosen({"who": "server", "collusion": ["member"]}, "committee")
        monkey = pytest.MonkeyPatch()
        monkey.setattr(observation, "in_the_clear", lambda *_: True)
        folder = run(scenario, tmp_path, Silent())
        monkey.undo()
        values = np.concatenate([upload.values for upload in load(folder / "view")[1][0].uploads])
        bound = np.abs(values).max()
        assert np.abs(values.mean()) < 0.05 * bound  # uniform over all that a slot can hold
        assert np.abs(np.histogram(values, 8)[0] / values.size - 1 / 8).max() < 0.02


@pytest.mark.parametrize(("least", "helpers"), [(1, 3), (2, 3), (3, 1), (3, 3), (5, 3)])
def test_raters_who_work_together_read_the_only_other_one(tmp_path, least, helpers):
    """min_raters hides a rater from fewer helpers than min_raters - 1."""
    learning = int(least > 1)
    observe = {"who": "user", "rounds": [learning, learning + 1], "collusion": helpers - 1}
    tree = ridge(observe, min_raters=least).model_dump(mode="json")
    tree["ratings"] |= {"sparsity": 0.5, "items": 120, "popularity_skew": 0.2, "users": 6}
    _, found = attacked(tmp_path, scenario_file.parse(tree, "x.yaml"))
    name = f"{helpers} users" if helpers > 1 else "curious user"
    attack = "changes of V, less their own" if helpers > 1 else "pairs of raters, less its own"
    together = found[name, attack]
    if least <= helpers + 1 and not (helpers == 1 and least == 3):
        assert together.rated_precision == 1
        assert together.recovered > 0.02
    else:
        assert together.recovered == 0


def test_who_helps_follows_from_the_seed(tmp_path):
    folder = run(chosen({"who": "server", "collusion": 3}, "masked"), tmp_path, Silent())
    first = load(folder / "view")[0].helpers
    again = load(run(chosen({"who": "server", "collusion": 3}, "packed"), tmp_path, Silent()) / "view")[0]
    assert len(first) == 3
    assert again.helpers == first
