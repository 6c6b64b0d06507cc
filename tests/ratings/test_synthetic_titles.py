"""Made-up titles: they agree with who likes what, and change nothing."""

import numpy as np
import pytest

from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import Synthetic, _items
from fedmf_ray.ratings.synthetic_titles import Titles

SPEC = Synthetic(users=30, items=500, sparsity=0.5, rank=3, noise=0.5)


@pytest.fixture(scope="module")
def users():
    return SPEC.population(7, Split())


def test_titles_come_from_the_seed_and_the_item_alone_and_no_two_are_alike(users):
    titles = users.names.titles
    assert len({titles[item] for item in titles}) == len(titles) == 500
    vectors = _items(SPEC, 7)[0]
    assert Titles(vectors, 7)[17] == titles[17] == users.names.title(17)
    assert Titles(vectors, 8)[17] != titles[17]
    assert titles[17].partition(" (")[2] == Titles(vectors, 8)[17].partition(" (")[2]  # the kind stays


def test_items_that_are_not_there_have_no_title(users):
    assert users.names.titles.get(0) is None
    assert users.names.titles.get(501) is None
    assert users.names.title(501) == "item 501"


def test_a_user_who_likes_a_kind_dislikes_its_opposite(users):
    """Mean ratings of opposite kinds go apart: their correlation over users is clearly negative."""
    titles = users.names.titles
    kinds = {item: titles[item].partition("(")[2][:-1] for item in titles}
    means = []
    for user_id in users.user_ids:
        mine = users.ratings.user(user_id)
        kind = np.array([kinds[int(users.item_ids[row])] for row in mine.items])
        means.append([mine.values[kind == name].mean() for name in ("space opera", "family drama")])
    liked, disliked = np.array(means).T
    assert np.corrcoef(liked, disliked)[0, 1] < -0.8
    assert np.abs(liked - disliked).max() > 1  # stars


def test_more_coordinates_than_kinds_are_named_by_the_first_ones():
    vectors = np.zeros((2, 10))
    vectors[0, 9], vectors[0, 1], vectors[1, 5] = 5.0, -1.0, 1.0
    titles = Titles(vectors, 1)
    assert titles.kind(1)[0] == "thriller"
    assert titles.kind(2)[0] == "heist"
