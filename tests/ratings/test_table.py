"""Selection and split, in the order that the published experiment needs."""

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import movielens
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.table import Ratings, per_user, select, split_user
from fedmf_ray.scenario import file as scenario_file


def table(rows):
    """(user, item, rating, timestamp) rows as a table."""
    users, items, values, times = zip(*rows, strict=True)
    return Ratings(np.array(users), np.array(items), np.array(values, float), np.array(times))


@st.composite
def tables(draw):
    pairs = draw(
        st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=40, unique=True)
    )
    return table([(u, i, draw(st.integers(1, 10)) / 2, draw(st.integers(0, 5))) for u, i in pairs])


def test_the_published_experiment_has_7_users_109_training_and_21_test_ratings(movielens_small):
    ratings, item_ids, user_ids = select(
        movielens.load("ml-latest-small", movielens_small), items=40, users=10, min_ratings=5
    )
    users = per_user(ratings, item_ids, user_ids, 0, Split(last=3))
    assert len(item_ids) == 40
    assert len(users) == 7
    assert sum(len(user.items) for user in users) == 109
    assert sum(len(user.test_items) for user in users) == 21


def test_most_rated_items_come_first_and_ties_by_first_appearance():
    ratings = table(
        [(1, 50, 3, 0), (1, 40, 3, 0), (1, 30, 3, 0), (2, 30, 3, 0), (2, 40, 3, 0), (3, 20, 3, 0)]
    )
    assert select(ratings)[1].tolist() == [40, 30, 50, 20]
    assert select(ratings, items=2)[1].tolist() == [40, 30]


def test_items_are_chosen_over_all_users_and_users_before_the_smallest_count():
    ratings = table([(1, 7, 3, 0), (2, 8, 3, 0), (2, 9, 3, 0), (10, 9, 3, 0), (11, 9, 3, 0), (11, 8, 3, 0)])
    chosen, item_ids, user_ids = select(ratings, items=2, users=3, min_ratings=2)
    assert user_ids.tolist() == [2]
    assert item_ids.tolist() == [9, 8]
    # Users 1, 2 and 10 are the first three; 1 rated no chosen item and 10 only one; 11 is not considered.
    assert np.unique(chosen.user_ids).tolist() == [2]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"items": 5}, "ratings.select.items: 5 asked for, ratings has 2"),
        ({"users": 4}, "ratings.select.users: 4 asked for, ratings has 2"),
        ({"min_ratings": 3}, "no user of ratings has 3 ratings"),
    ],
)
def test_asking_for_more_than_there_is_says_how_much_there_is(wish, message):
    with pytest.raises(FedMFError, match=message):
        select(table([(1, 7, 3, 0), (2, 7, 3, 0), (2, 8, 3, 0)]), **wish)


@given(tables(), st.integers(2, 4), st.integers(0, 4))
def test_both_smallest_counts_hold_in_the_end(ratings, min_raters, min_ratings):
    """8 of 300 random tables had items with fewer raters: users were dropped after the items were counted."""
    with contextlib.suppress(FedMFError):  # nobody is left
        kept, item_ids, user_ids = select(ratings, min_raters=min_raters, min_ratings=min_ratings)
        assert all((kept.item_ids == item).sum() >= min_raters for item in item_ids)
        assert all((kept.user_ids == user).sum() >= min_ratings for user in user_ids)


@given(tables(), st.integers(2, 4), st.integers(1, 4))
def test_the_selection_is_the_largest_in_which_both_hold(ratings, min_raters, min_ratings):
    pairs = set(zip(ratings.user_ids.tolist(), ratings.item_ids.tolist(), strict=True))
    while True:
        users, items = ([pair[side] for pair in pairs] for side in (0, 1))
        rest = {
            (user, item)
            for user, item in pairs
            if users.count(user) >= min_ratings and items.count(item) >= min_raters
        }
        if rest == pairs:
            break
        pairs = rest
    if pairs:
        kept = select(ratings, min_raters=min_raters, min_ratings=min_ratings)[0]
        assert set(zip(kept.user_ids.tolist(), kept.item_ids.tolist(), strict=True)) == pairs
    else:
        with pytest.raises(FedMFError, match="no user of ratings has"):
            select(ratings, min_raters=min_raters, min_ratings=min_ratings)


@given(st.one_of(st.floats(0, 0.9999), st.integers(1, 10**4).map(lambda n: 1 - 1 / n)))
def test_the_fewest_ratings_are_those_that_counting_finds(fraction):
    split = Split(fraction=fraction)
    least = next(count for count in itertools.count(1) if count > split.held_out(count))
    assert split.fewest == least


def test_no_share_or_number_is_counted_up_to_for_ever():
    assert Split(fraction=0.999999).fewest == 500_001
    assert Split(last=10**15).fewest == 10**15 + 1
    for keys, message in (
        ({"fraction": 0.9999999999}, "fraction: 0.9999999999 leaves nothing to train on: at most 0.999999"),
        ({"folds": 10**30}, "test.folds"),
    ):
        tree = {"name": "x", "ratings": {"source": "synthetic", "users": 3, "items": 9}, "test": keys}
        with pytest.raises(FedMFError, match=message):
            scenario_file.parse(tree, "x.yaml")


@given(tables(), st.integers(0, 2**16))
def test_every_rating_lands_in_exactly_one_slice(ratings, seed):
    kept, item_ids, user_ids = select(ratings)
    users = per_user(
        kept, item_ids, user_ids, seed, Split(fraction=0.4)
    )  # rounds to none of one, never to all
    triples = [
        (user.user_id, int(item_ids[row]), value)
        for user in users
        for row, value in zip(np.concatenate([user.items, user.test_items]),
                              np.concatenate([user.values, user.test_values]), strict=True)
    ]  # fmt: skip
    expected = zip(ratings.user_ids.tolist(), ratings.item_ids.tolist(), ratings.values.tolist(), strict=True)
    assert sorted(triples) == sorted(expected)
    assert [user.user_id for user in users] == sorted(set(ratings.user_ids.tolist()))


def test_the_last_ratings_by_time_are_held_out_and_ties_keep_file_order():
    user = split_user(1, np.arange(5), np.arange(5.0), np.array([9, 3, 5, 9, 3]), 0, Split(last=2))
    assert user.items.tolist() == [1, 4, 2]
    assert user.test_items.tolist() == [0, 3]
    assert user.values.tolist() == [1.0, 4.0, 2.0]


def test_a_random_fraction_depends_on_seed_and_user_only():
    def held(user_id, seed, values=1.0):
        split = Split(fraction=0.25)
        return split_user(
            user_id, np.arange(40), np.full(40, values), np.arange(40), seed, split
        ).test_items.tolist()

    assert len(held(1, 1)) == 10
    assert held(1, 1) == held(1, 1, values=2.0)
    assert held(1, 1) != held(2, 1)
    assert held(1, 1) != held(1, 2)


def test_training_ratings_stay_in_time_order_under_a_random_split():
    times = np.array([5, 1, 4, 2, 3, 0])
    user = split_user(3, np.arange(6), np.arange(6.0), times, 1, Split(fraction=0.5))
    assert (np.diff(times[user.items]) > 0).all()


def dealt(user_id, count, folds=5, seed=1):
    """The test items of each fold of a user who rated items 0 to count - 1."""
    return [
        split_user(
            user_id,
            np.arange(count),
            np.ones(count),
            np.arange(count),
            seed,
            Split(folds=folds, fold=fold),
        ).test_items.tolist()
        for fold in range(folds)
    ]


@given(st.integers(2, 60), st.integers(2, 9), st.integers(1, 10**6), st.integers(0, 2**16))
def test_folds_hold_every_rating_once_in_parts_that_differ_by_one_at_most(count, folds, user_id, seed):
    parts = dealt(user_id, count, folds, seed)
    assert sorted(itertools.chain(*parts)) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert max(map(len, parts)) < count


def test_a_fold_and_the_rest_are_a_users_ratings_in_time_order():
    times = np.random.default_rng(0).permutation(23)
    user = split_user(3, np.arange(23), times / 2, times, 1, Split(folds=4, fold=2))
    assert sorted([*user.items, *user.test_items]) == list(range(23))
    for items, values in ((user.items, user.values), (user.test_items, user.test_values)):
        assert (np.diff(times[items]) > 0).all()
        assert (values == times[items] / 2).all()


def test_settings_are_chosen_without_the_fold_that_judges_them():
    """Training and validation sets together are the training set of the fold that judges."""
    whole = split_user(3, np.arange(23), np.ones(23), np.arange(23), 1, Split(folds=5, fold=2))
    inner = [
        split_user(3, np.arange(23), np.ones(23), np.arange(23), 1, Split(folds=5, fold=2, validation=part))
        for part in (0, 1, 3, 4)
    ]
    for chosen in inner:
        assert not set(chosen.items) & set(chosen.test_items)
        assert set(chosen.items) | set(chosen.test_items) == set(whole.items)
    assert sorted(np.concatenate([chosen.test_items for chosen in inner])) == sorted(whole.items)
    split = Split(folds=5, fold=2, validation=0)
    assert {split.held_out(23, first) for first in range(5)} <= {9, 10}
    with pytest.raises(FedMFError, match="has 2 ratings, too few"):
        split_user(3, np.arange(2), np.ones(2), np.arange(2), 0, split)


def test_folds_depend_on_seed_and_user_only():
    assert dealt(1, 40) == dealt(1, 40)
    assert dealt(1, 40) != dealt(2, 40)
    assert dealt(1, 40) != dealt(1, 40, seed=2)


def test_no_fold_gets_the_surplus_of_all_users():
    """Dealt always from fold 0, fold 4 would hold 1,000 of these ratings less than fold 0."""
    sizes = sum(np.array([len(part) for part in dealt(user_id, 7)]) for user_id in range(1, 1001))
    assert sizes.sum() == 7000
    assert abs(sizes - 1400).max() < 80  # 15.5 is the standard deviation


def test_a_user_who_cannot_keep_a_training_rating_is_refused_in_every_fold():
    for fold in range(5):
        with pytest.raises(FedMFError, match=r"user 12 has 1 ratings, too few .*\.min_ratings to 2"):
            split_user(12, np.arange(1), np.ones(1), np.arange(1), 1, Split(folds=5, fold=fold))
    nothing = split_user(12, *[np.empty(0, np.int64)] * 3, 1, Split(folds=5, fold=0))
    assert len(nothing.items) == len(nothing.test_items) == 0


def test_a_user_without_training_ratings_is_named_with_the_remedy():
    with pytest.raises(FedMFError, match=r"user 12 has 3 ratings, .*\.min_ratings to 4"):
        split_user(12, np.arange(3), np.ones(3), np.arange(3), 0, Split(last=3))
    with pytest.raises(FedMFError, match=r"user 12 has 2 ratings, .*\.min_ratings to 6"):
        split_user(12, np.arange(2), np.ones(2), np.arange(2), 0, Split(last=5))


def test_a_pair_that_appears_twice_is_named():
    with pytest.raises(FedMFError, match="user 2 rated item 8 more than once"):
        table([(2, 8, 3, 0), (2, 9, 3, 0), (2, 8, 4, 1)])


def test_ratings_must_be_finite():
    with pytest.raises(FedMFError, match=r"rating 2 \(user 2, item 9\) is nan"):
        table([(2, 8, 3, 0), (2, 9, float("nan"), 0)])
