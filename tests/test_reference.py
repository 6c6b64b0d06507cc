"""The page to read first and the fast path give the same item matrix, to the last bit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedmf_ray import reference
from fedmf_ray.fixed_point import FixedPoint
from fedmf_ray.learning.blocks import RatingBlock, Steps
from fedmf_ray.learning.rules import RULES, Memory, Setting
from fedmf_ray.learning.rules.ridge import Ridge
from fedmf_ray.learning.start import Start
from fedmf_ray.protocol.blocks import Blocks
from fedmf_ray.protocol.round import Local
from fedmf_ray.protocol.terms import Terms
from fedmf_ray.schemes.paillier.scheme import Packed
from fedmf_ray.testing.federations import people

ITEMS, FACTORS, USERS = 9, 3, people((3, 5, 1, 4, 2), 9)
START = Start("normal", 0.3, seed=3)


def fast_path(rule, steps, rounds, biases=False, part_text=True):
    """U and V of the same users under the protocol, with packed ciphertexts."""
    point = FixedPoint(20, value_bound=16.0, update_bound=8.0, contributors=len(USERS))
    setting = Setting(ITEMS, FACTORS, biases, steps, min_raters=1, point=point)
    rule = RULES.get(rule)()
    blocks, sparsity = Blocks(rule.tables(setting)), 1.0 if part_text else 0.0
    local = Local(Packed(1024), Terms(np.arange(ITEMS), rule, setting, blocks, sparsity, START), USERS)
    for _ in range(rounds):
        local.round()
    return local.users.vectors, rule.values(local.tables[0], blocks.tables[0], setting)


def page(rule, steps, rounds, **more):
    weights = dataclasses.asdict(steps)
    if rule == "ridge":
        del weights["learning_rate"]
    else:
        del weights["reg_user_bias"], weights["reg_item_bias"]
    return reference.fedmf(
        [(user.items, user.values) for user in USERS],
        np.stack([START.user(user.user_id, FACTORS) for user in USERS]),
        START.items(ITEMS, FACTORS),
        rounds=rounds,
        rule=rule,
        **weights,
        **more,
    )


@pytest.mark.parametrize("part_text", [True, False], ids=["part", "full"])
@pytest.mark.parametrize("rule", ["sequential", "batch"])
def test_gradient_rules_agree(rule, part_text):
    steps = Steps(0.02, 0.01, 0.03)
    found = page(rule, steps, rounds=2, part_text=part_text)
    expected = fast_path(rule, steps, rounds=2, part_text=part_text)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    assert np.ptp(found[1] - START.items(ITEMS, FACTORS)) > 0.01, "nothing was learned"


@pytest.mark.parametrize("biases", [False, True], ids=["alone", "biases"])
@pytest.mark.parametrize("weights", [(2.0, 0.3, 0.7, 1.5), (0.05, 4.0, 0.1, 60.0)], ids=str)
def test_ridge_agrees(biases, weights):
    """Users' vectors are solved for by other operations, so these agree to rounding; V on its grid does not
    show it. With the second weights vectors are long, and biases on another grid."""
    steps = Steps(1.0, *weights, mean=3.0)
    found, expected = page("ridge", steps, 3, biases=biases), fast_path("ridge", steps, 3, biases)
    assert found[0] == pytest.approx(expected[0], abs=1e-9)
    assert np.array_equal(found[1], expected[1])
    assert np.ptp(found[1][:, :FACTORS] - START.items(ITEMS, FACTORS)) > 0.01, "nothing was learned"


@given(
    seed=st.integers(0, 10_000), biases=st.booleans(), joined=st.booleans(), scale=st.sampled_from([0, 1, 9])
)
def test_ridge_learns_the_same_from_any_table(seed, biases, joined, scale):
    """Without encryption: also what a few rounds of five users do not come to."""
    random, steps = np.random.default_rng(seed), Steps(1.0, 0.3, 1.4, 0.2, 0.9)
    setting = Setting(6, FACTORS, biases, steps, 1, FixedPoint(20, 64.0, 8.0, contributors=9))
    rule, counts = Ridge(), random.integers(1, 10, 6) * joined
    table = scale * random.normal(size=(6, setting.predictors + 2))
    table[:, -1], table[:, -2] = counts, counts * random.uniform(0.1, 9, 6)
    rows, ratings, part = random.permutation(6)[:4], random.normal(0, 2, 4), random.uniform(0, 5) * joined
    block, memory = (
        RatingBlock.of([(rows, ratings)]),
        Memory(np.array([float(joined)]), np.full((4, 1), part)),
    )
    items = rule.read([table], setting, counted=joined)
    vectors = rule.solve(items, block, setting)
    learned = rule.learn(vectors, items, block, memory, setting)
    ours = np.column_stack([learned.steps, learned.parts - part, np.full(4, 1.0 - joined)])
    weights = {name: value for name, value in dataclasses.asdict(steps).items() if name.startswith("reg")}
    user = reference.Ridge(
        np.zeros(FACTORS), rows, ratings, biases=biases, part=part, joined=joined, **weights
    )
    theirs = user.learn(table)
    assert user.vector == pytest.approx(vectors[0], rel=1e-9, abs=1e-9)
    assert theirs == pytest.approx(ours, rel=1e-7, abs=1e-9)


def test_a_rule_that_is_not_on_the_page_is_refused():
    with pytest.raises(ValueError, match="rule 'adam' is not on .* page, which has sequential, batch, ridge"):
        page("adam", Steps(0.02, 0.01, 0.03), 1)
