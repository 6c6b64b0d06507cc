"""The page about lists and the fast path have the same sums of pairs, and the same scores."""

import numpy as np
import pytest

from fedmf_ray import reference_lists
from fedmf_ray.learning.rules.item_item import PAIRS, ItemItem
from fedmf_ray.learning.rules.most_rated import top
from fedmf_ray.testing.federations import federation, people, setting_of

COUNTS, ITEMS = (3, 5, 1, 4, 2), 9


@pytest.mark.parametrize("size", [4, 6])
def test_sums_and_scores_are_those_of_the_rule(size):
    users = [(user.items, user.values) for user in people(COUNTS, ITEMS)]
    chosen, sums, scores = reference_lists.lists(users, ITEMS, size, reg=2.0)
    setting = setting_of(1, False, items=ITEMS, users=len(COUNTS))
    local = federation(ItemItem(top_items=size, reg=2.0), setting, COUNTS)
    for _ in range(2):
        local.round()
    assert top(local.items, size).tolist() == chosen.tolist()
    assert local.items.shared[PAIRS][:, 0].tolist() == sums[np.triu_indices(size)].tolist()
    assert sums.any()
    for user in range(len(COUNTS)):
        if (scores[user] != 0).any():
            found = local.users.scores(user, local.items, local.terms)[chosen]
            assert found == pytest.approx(scores[user], abs=1e-8)
