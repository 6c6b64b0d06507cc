"""Settings under which nobody could learn anything are refused before a run."""

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from tests.support.small_runs import small


def test_more_raters_than_there_are_users_are_refused():
    few = {"model__rule": "ridge", "ratings__users": 7}
    assert Plan.of(small(**few, protocol__min_raters=7)).terms.setting.min_raters == 7
    with pytest.raises(FedMFError, match=r"^protocol\.min_raters: 8, and there are 7 users"):
        Plan.of(small(**few, protocol__min_raters=8))
