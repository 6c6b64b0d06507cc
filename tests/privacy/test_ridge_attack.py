"""What the ridge rule gives away: all of it to who reads uploads, lone raters to who reads V."""

import numpy as np
import pytest

from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.rules import Memory, Setting
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.learning.rules.ridge_steps import RaterSums
from fedmf_ray.privacy import ridge as attack

STEPS = Steps(1.0, reg_user=2.0, reg_item=3.0, reg_user_bias=2.0, reg_item_bias=1.0, mean=3.5)
GRID = np.arange(1, 11) / 2
FACTORS, ITEMS = 6, 60


class Planted:
    """Users with known ratings who upload once. counted: they are in n_j; known: and in L_j, too."""

    def __init__(self, counts, bias=True, known=True, seed=0, sole=False, counted=True):
        random = np.random.default_rng(seed)
        point = FixedPoint(20, 64.0, 64.0, contributors=len(counts))
        self.setting = setting = Setting(ITEMS, FACTORS, bias, STEPS, 1, point)
        rule, learned = Ridge(), setting.predictors
        pool = random.permutation(ITEMS)
        self.rated = [random.choice(ITEMS, count, replace=False) for count in counts]
        if sole:
            self.rated = np.split(pool[: sum(counts)], np.cumsum(counts)[:-1])
        self.ratings = [random.choice(GRID, count) for count in counts]
        self.rows = np.zeros((ITEMS, learned + 2))
        self.rows[:, :learned] = random.normal(0, 0.4, (ITEMS, learned))
        if counted:
            np.add.at(self.rows[:, -1], np.concatenate(self.rated), 1.0)
            self.rows[:, :learned] *= RaterSums.of(setting).weights(self.rows[:, -1])
        block = RatingBlock.of(
            [(rows, values - STEPS.mean) for rows, values in zip(self.rated, self.ratings, strict=True)]
        )
        vectors = rule.solve(rule.read([self.rows], setting, counted), block, setting)
        nobody = Memory(np.zeros(len(counts)), np.zeros((len(block.items), 1)))
        now = rule.learn(vectors, rule.read([self.rows], setting, False), block, nobody, setting).parts
        part = now * (known and counted)
        np.add.at(self.rows[:, -2], block.items, part[:, 0])
        memory = Memory(np.full(len(counts), float(counted)), part)
        learns = rule.learn(vectors, rule.read([self.rows], setting, counted), block, memory, setting)
        new = np.full((len(block.items), 1), float(not counted))
        self.added = np.hstack([learns.steps, learns.parts - part, new])
        self.starts = block.starts

    def upload(self, user):
        return self.added[self.starts[user] : self.starts[user + 1]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "when",
    [{"known": True}, {"known": False}, {"counted": False}],
    ids=["later", "after a census", "first"],
)
def test_one_round_of_uploads_gives_every_rating(bias, when):
    planted, first = Planted([5, 20, 40, 12], bias, **when), not when.get("counted", True)
    for user, (rows, ratings) in enumerate(zip(planted.rated, planted.ratings, strict=True)):
        seen = planted.upload(user), planted.rows[rows]
        assert attack.recover(*seen, planted.setting, GRID, first).tolist() == ratings.tolist()


def test_errors_are_read_from_the_column_of_biases():
    planted = Planted([20])
    rows = planted.rows[planted.rated[0]]
    seen = attack.read_steps(planted.upload(0), rows, planted.setting)
    vector = np.sum(seen.error[:, None] * seen.vectors, axis=0) / STEPS.reg_user
    assert seen.product == pytest.approx(seen.error[:, None] * vector, abs=1e-9)
    bias = seen.error.sum() / STEPS.reg_user_bias
    expected = planted.ratings[0] - (STEPS.mean + bias + seen.biases + seen.vectors @ vector)
    assert seen.error == pytest.approx(expected, abs=1e-9)


def after(planted):
    rows = planted.rows.copy()
    np.add.at(rows, np.concatenate(planted.rated), planted.added)
    return rows


@pytest.mark.parametrize("counted", [True, False])
def test_another_user_reads_rows_with_one_rater(counted):
    planted = Planted([15, 20, 10], sole=True, counted=counted)
    found = attack.recover_from_changes(planted.rows, after(planted), planted.setting, GRID)
    truth = {
        row: (user, rating)
        for user in range(3)
        for row, rating in zip(planted.rated[user], planted.ratings[user], strict=True)
    }
    assert sum(len(group.rows) for group in found) > 40
    for group in found:
        assert len({truth[row][0] for row in group.rows}) == 1
        off = [truth[row][1] - rating for row, rating in zip(*group, strict=True)]
        assert max(off) - min(off) <= 0.5, "right but for a common offset, and the ends of the scale"


@pytest.mark.parametrize("counted", [True, False])
def test_one_of_two_raters_reads_the_other(counted):
    """It knows what it has added itself."""
    planted = Planted([ITEMS, 40], known=False, counted=counted)
    mine = RatingBlock.of([(planted.rated[0], planted.ratings[0] - STEPS.mean)])
    seen = planted.rows, after(planted), planted.setting, GRID
    (found,) = attack.recover_beside([mine], *seen)
    truth = dict(zip(planted.rated[1], planted.ratings[1], strict=True))
    assert sorted(found.rows) == sorted(truth)
    off = [truth[row] - rating for row, rating in zip(*found, strict=True)]
    assert max(off) - min(off) <= 0.5, "right but for a common offset, and the ends of the scale"


def test_three_raters_hide_each_other_from_one_of_them():
    planted = Planted([ITEMS, ITEMS, ITEMS], known=False)
    mine = RatingBlock.of([(planted.rated[0], planted.ratings[0] - STEPS.mean)])
    seen = planted.rows, after(planted), planted.setting, GRID
    assert attack.recover_beside([mine], *seen) == []


def test_rows_with_two_raters_are_left_alone():
    planted = Planted([ITEMS, ITEMS])
    assert attack.recover_from_changes(planted.rows, after(planted), planted.setting, GRID) == []
    assert attack.linked_by_curvature(after(planted), planted.setting) == []


def test_equal_curvature_links_the_rows_of_a_lone_rater():
    planted = Planted([15, 20, 10], sole=True)
    groups = attack.linked_by_curvature(after(planted), planted.setting)
    assert sorted(map(len, groups)) == [10, 15, 20]
    assert {tuple(sorted(group)) for group in groups} == {tuple(sorted(rows)) for rows in planted.rated}
