"""Synthetic users make their own ratings, alone and alike every time."""

import subprocess
import sys
import time

import numpy as np
import pytest

from fedmf_ray.ratings import synthetic
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import Synthetic, likely_counts, user_ratings

SEED = 5
SPEC = Synthetic(users=200, items=80, sparsity=0.75)


def everybody(spec=SPEC, split=Split()):  # noqa: B008
    return [user_ratings(spec, SEED, user_id, split) for user_id in range(1, spec.users + 1)]


def test_a_user_is_the_same_whoever_else_was_made_before():
    (alone,) = [user_ratings(SPEC, SEED, 77, Split())]
    among = everybody()[76]
    assert np.array_equal(alone.items, among.items)
    assert np.array_equal(alone.values, among.values)


def test_seeds_and_users_differ():
    a, b = user_ratings(SPEC, SEED, 1, Split()), user_ratings(SPEC, SEED, 2, Split())
    c = user_ratings(SPEC, 6, 1, Split())
    assert not np.array_equal(a.items, b.items)
    assert not np.array_equal(a.items, c.items)


def test_the_share_of_missing_ratings_is_the_sparsity():
    rated = sum(len(user.items) for user in everybody())
    assert rated / (200 * 80) == pytest.approx(0.25, abs=0.01)


def test_ratings_lie_on_the_half_star_grid_or_between():
    values = np.concatenate([user.values for user in everybody()])
    assert np.array_equal(values * 2, np.rint(values * 2))
    free = np.concatenate([user.values for user in everybody(Synthetic(200, 80, 0.75, half_stars=False))])
    assert np.mean(free * 2 == np.rint(free * 2)) < 0.2
    for stars in (values, free):
        assert stars.min() >= 0.5
        assert stars.max() <= 5.0


def test_skew_makes_some_items_popular_and_zero_makes_none():
    def top_tenth(skew):
        users = everybody(Synthetic(400, 100, 0.9, popularity_skew=skew))
        counts = np.bincount(np.concatenate([user.items for user in users]), minlength=100)
        return np.sort(counts)[-10:].sum() / counts.sum()

    assert top_tenth(0.0) < 0.15
    assert top_tenth(1.2) > 0.3


def test_the_last_ratings_are_of_items_as_popular_as_the_others():
    users = everybody(Synthetic(400, 100, 0.8), Split(last=3))
    held, kept = (np.concatenate([getattr(u, name) for u in users]) for name in ("test_items", "items"))
    popularity = np.bincount(np.concatenate([held, kept]), minlength=100)
    assert popularity[held].mean() == pytest.approx(popularity[kept].mean(), rel=0.05)


def test_without_noise_the_ratings_have_the_given_rank():
    spec = Synthetic(60, 40, 0.0, rank=2, noise=0.0, half_stars=False)
    matrix = np.empty((60, 40))
    for row, user in zip(matrix, everybody(spec), strict=True):
        row[user.items] = user.values
    inside = matrix[:, ((matrix > 0.5) & (matrix < 5)).all(axis=0)]
    singular = np.linalg.svd(inside - 3.5, compute_uv=False)
    assert inside.shape[1] >= 3
    assert singular[2] < 1e-9 * singular[0]


def test_even_the_sparsest_user_keeps_a_training_rating():
    for split in (Split(last=3), Split(fraction=0.6), Split(fraction=0.95), Split(folds=5, fold=2)):
        assert all(len(user.items) >= 1 for user in everybody(Synthetic(50, 60, 0.999), split))


@pytest.mark.parametrize("split", [Split(), Split(last=3), Split(fraction=0.3), Split(folds=5, fold=2)])
def test_estimates_draw_numbers_of_ratings_from_the_law_of_users(split):
    spec = Synthetic(4000, 60, 0.9)
    real = np.array([len(user.items) for user in everybody(spec, split)])
    likely = likely_counts(spec, SEED, np.arange(1, 4001), split)
    assert likely.mean() == pytest.approx(real.mean(), abs=0.15)
    assert likely.std() == pytest.approx(real.std(), rel=0.06)
    assert abs(np.bincount(likely, minlength=70)[:70] - np.bincount(real, minlength=70)[:70]).max() < 200


def test_what_every_actor_imports_does_not_bring_pandas():
    code = (
        "import sys, fedmf_ray.engine.user_actor, fedmf_ray.engine.server_actor; "
        "print({'pandas', 'pydantic', 'ray', 'scipy'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def shares_of_items(monkeypatch, few):
    """(items,) how often each is rated by 4,000 users with 3 of 16 items. few: as of the generator."""
    monkeypatch.setattr(synthetic, "_FEW", few)
    users = everybody(Synthetic(4000, 16, 0.8, popularity_skew=1.5))
    return np.bincount(np.concatenate([user.items for user in users]), minlength=16) / 4000


def test_drawing_few_items_has_the_law_of_drawing_from_all(monkeypatch):
    quick, whole = shares_of_items(monkeypatch, 0), shares_of_items(monkeypatch, 1000)
    assert quick == pytest.approx(whole, abs=0.035)  # four standard deviations
    assert quick.max() > 5 * quick.min()


def test_no_item_is_rated_twice_however_unequal_their_weights(monkeypatch):
    monkeypatch.setattr(synthetic, "_FEW", 0)
    for skew in (0.0, 2.0, 40.0):
        for user in everybody(Synthetic(20, 60, 0.3, popularity_skew=skew)):
            assert len(np.unique(user.items)) == len(user.items) >= 20


def test_the_cost_of_a_user_follows_its_ratings_and_not_the_items():
    """A thousand users of 400,000 items: drawing a number for each item would take some seconds."""
    spec = Synthetic(1000, 400_000, 1 - 20 / 400_000, popularity_skew=0.8)
    everybody(Synthetic(1, 400_000, 1 - 20 / 400_000, popularity_skew=0.8))
    started = time.thread_time()
    everybody(spec)
    assert time.thread_time() - started < 1.5
