"""How much users will upload, estimated before anybody does."""

import re

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import Steps
from fedmf_ray.learning.rules import Setting
from fedmf_ray.learning.rules.gradient import Batch
from fedmf_ray.planning import uploads
from fedmf_ray.planning.layout import layout_line
from fedmf_ray.planning.plan import Plan
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.ratings.split import Split
from fedmf_ray.ratings.synthetic import Synthetic, SyntheticUsers
from fedmf_ray.schemes import Rows
from fedmf_ray.schemes.paillier.scheme import Packed
from tests.support.small_runs import rounds_of, small

SPLIT = Split()


def population(users=300, items=500, sparsity=0.9, skew=0.8):
    """The recipe of so many users."""
    return SyntheticUsers(Synthetic(users, items, sparsity, popularity_skew=skew), 3, SPLIT)


def blocks_of(items, rows):
    """An item table with rows of four factors, so many to a block."""
    setting = Setting(items, 4, False, Steps(1e-3, 0.0, 0.0), 1, FixedPoint(20, 16.0, 1.0, 300))
    return Blocks(Batch().tables(setting), rows)


def really(recipe, layout, sparsity, seed=0):
    """Blocks that users of the recipe do touch, decoys drawn at random: (users,)."""
    random, counts, spec = np.random.default_rng(seed), [], recipe.spec
    for user in range(1, spec.users + 1):
        rated = recipe.user(user).items
        wanted = uploads.uploaded_count(len(rated), spec.items, sparsity)
        others = np.setdiff1d(np.arange(spec.items), rated)
        decoys = random.choice(others, wanted - len(rated), replace=False)
        counts.append(len(np.unique(np.concatenate([rated, decoys]) // layout.rows)))
    return np.array(counts)


@pytest.mark.parametrize("rows", [1, 3, 7])
@pytest.mark.parametrize("sparsity", [1.0, 0.8])
@pytest.mark.parametrize("skew", [0.0, 1.2])
def test_synthetic_users_are_estimated_on_average(rows, sparsity, skew):
    recipe = population(skew=skew)
    layout = blocks_of(recipe.spec.items, rows)
    (estimated,) = uploads.of_recipe(recipe, range(1, 301), layout, sparsity)
    assert estimated.blocks.mean() == pytest.approx(really(recipe, layout, sparsity).mean(), rel=0.03)
    assert (estimated.blocks <= np.minimum(estimated.rows, layout.count)).all()


def bisected(weights, rated, rows, layout):
    """Likely blocks by 60 bisections, as an earlier version found them."""
    low, high = 0.0, 1.0
    while np.sum(-np.expm1(-weights * high)) < rated and high < 1e12:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.sum(-np.expm1(-weights * middle)) < rated else (low, middle)
    missed = np.exp(-high * np.add.reduceat(weights, np.arange(0, layout.items, layout.rows)))
    if rows > rated:
        missed *= (1 - (rows - rated) / (layout.items - rated)) ** uploads._sizes(layout)
    return round(float(np.sum(1 - missed)))


@pytest.mark.parametrize("items", [1, 2, 50, 501])
@pytest.mark.parametrize("skew", [0.0, 0.8, 3.0, 12.0])
def test_the_root_is_the_one_that_bisection_finds(items, skew):
    """From one rating to all of them, where there is no root."""
    weights = population(items=items, skew=skew).popularity()
    layout = blocks_of(items, min(items, 7))
    for rated in sorted({0, 1, min(2, items), items // 3, items - 1, items}):
        for rows in sorted({rated, (rated + items) // 2, items}):
            wanted = bisected(weights, rated, rows, layout)
            assert uploads._likely_blocks(weights, rated, rows, layout) == wanted, (rated, rows)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_users_at_hand_are_counted_and_only_decoys_estimated(rows):
    recipe = population()
    layout, slices = blocks_of(500, rows), [recipe.user(user) for user in range(1, 301)]
    exact = uploads.of_slices(slices, layout, 1.0)
    assert exact.blocks.tolist() == really(recipe, layout, 1.0).tolist()
    assert exact.ratings.tolist() == exact.rows.tolist()
    padded = uploads.of_slices(slices, layout, 0.8)
    assert padded.blocks.mean() == pytest.approx(really(recipe, layout, 0.8).mean(), rel=0.02)
    full = uploads.of_slices(slices, layout, 0.0)
    assert (full.blocks == layout.count).all()


def test_a_run_uploads_what_was_estimated(tmp_path):
    scenario = small(ratings__items=60, ratings__sparsity=0.8)
    plan = Plan.of(scenario)
    assert plan.terms.blocks.rows > 3
    users = pd.read_csv(run(scenario, tmp_path, Silent()) / "users.csv.gz").query("round == 1")
    slices = plan.population.all_ratings()
    exact = uploads.of_slices(slices, plan.terms.blocks, 1.0)
    assert users["upload_blocks"].tolist() == exact.blocks.tolist()
    assert users["upload_rows"].tolist() == exact.rows.tolist()
    assert (exact.blocks < exact.rows).any()


class TestRowsThatShareACiphertext:
    @pytest.mark.parametrize(
        ("slot_bits", "width", "most", "rows"),
        [(30, 33, 9999, 3), (30, 100, 9999, 1), (31, 100, 9999, 1), (23, 33, 9999, 4), (23, 33, 3, 3)],
    )
    def test_in_part_text_a_block_is_one_ciphertext(self, slot_bits, width, most, rows):
        assert Packed(3072).rows_per_block(Rows(9999, width, slot_bits, most, full_text=False)) == rows

    def test_in_full_text_rows_may_share_several(self):
        assert Packed(2048).rows_per_block(Rows(9999, 100, 30, 9999, full_text=False)) == 1
        assert Packed(2048).rows_per_block(Rows(9999, 100, 30, 9999, full_text=True)) > 1

    def test_every_server_keeps_a_block(self):
        assert Plan.of(small(cluster__server_shards=12)).terms.blocks.rows == 1
        assert Plan.of(small(cluster__server_shards=3)).terms.blocks.rows == 4

    def test_the_layout_line_says_what_is_saved(self):
        line = layout_line(Plan.of(small(ratings__items=60)))
        assert "1 ciphertext per 9 rows: 7 for all items instead of 60" in line

    @pytest.mark.parametrize("sparsity", [0.0, 1.0])
    def test_advice_is_true(self, sparsity):
        """Who follows it has as many ciphertexts as it says; where a column of counts sets the width of
        slots, there is none."""
        changes = {"ratings__items": 60, "model__factors": 40, "protocol__part_text_sparsity": sparsity}
        line = layout_line(Plan.of(small(**changes)))
        then, now, fewer = re.search(
            r"\((\d+) instead of (\d+) with .*fraction_bits lower by (\d)", line
        ).groups()
        followed = Plan.of(small(**changes, protocol__fraction_bits=20 - int(fewer)))
        blocks = followed.terms.blocks
        assert blocks.count * followed.scheme.pieces(blocks.shape) == int(then) < int(now)
        ridge = {"model__rule": "ridge", "protocol__fraction_bits": 9}
        assert "fraction_bits" not in layout_line(Plan.of(small(**changes | ridge)))

    def test_they_change_cost_and_nothing_else(self, tmp_path):
        """Twelve servers hold a row each, one server holds them all in two blocks."""
        shared = rounds_of(tmp_path, protocol__scheme="packed")
        alone = rounds_of(tmp_path, protocol__scheme="packed", cluster__server_shards=12)
        losses = ["train_mse", "test_rmse", "test_mae"]
        assert shared[losses].equals(alone[losses])
        assert (shared["download_bytes_total"] * 3 < alone["download_bytes_total"]).all()
        assert (shared["upload_bytes_total"] * 2 < alone["upload_bytes_total"]).all()
