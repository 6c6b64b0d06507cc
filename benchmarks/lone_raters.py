"""Plays an attack on rows of rule ``implicit`` of which one user is the only rater, on real ratings.

FEDMF_DATA=... python benchmarks/lone_raters.py [--min-raters 1,2,3] [--rounds 1,5]

Any user reads the number of raters, B and L of each item. Prints, after each number of rounds: ratings of
lone raters, how many of their likings are recovered to the exact half star, of how many users, and how many
pairs of such rows are found to be of one user, because their vectors point in one direction. Then the same
for items with more raters, of whom one alone likes it: the adversary does not know which these are, and takes
rows whose liking comes out within a tenth of a half star of a rating.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import click
import numpy as np

from fedmf_ray.learning.likings import likings
from fedmf_ray.learning.rules.implicit import SIZE, SUMS, Implicit
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.lone_raters import likings_of_lone_raters
from fedmf_ray.protocol.round import Local
from fedmf_ray.scenario import file as scenario_file

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quality-lists.yaml"
HALF_STAR = 1 / 6
PARALLEL = 1 - 1e-4


@click.command(help=__doc__)
@click.option("--min-raters", default="1,2,3")
@click.option("--rounds", default="1,5")
def main(min_raters: str, rounds: str) -> None:
    click.echo(
        "| min_raters | rounds | lone ratings liked | recovered | users | pairs of rows linked: right "
        "| rows with one liker of several raters | guessed to be such: right |"
    )
    click.echo("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for least in map(int, min_raters.split(",")):
        tree = scenario_file.read(SCENARIO)
        del tree["sweep"]
        tree["protocol"]["min_raters"] = least
        tree |= {"test": {}, "model": {"rule": "implicit", "factors": 30}, "name": "lone"}
        plan = Plan.of(scenario_file.parse(tree, "lone"))
        assert plan.population.slices is not None
        local, done = Local(plan.scheme, plan.terms, plan.population.slices), 0
        for count in map(int, rounds.split(",")):
            while done < count + (least > 1):  # the census comes first
                local.round()
                done += 1
            click.echo(f"| {least} | {count} | {_attacked(local)} | {_one_likes(local)} |")


def _attacked(local: Local) -> str:
    rule, train = local.terms.rule, local.users.train.whole
    assert isinstance(rule, Implicit)
    assert local.items.raters is not None
    lone = np.flatnonzero(local.items.raters == 1)
    columns = local.items.columns
    found, vectors = likings_of_lone_raters(columns[SUMS][lone], columns[SIZE][lone, 0], rule.alpha)
    # The truth, from here on.
    owners = np.repeat(np.arange(len(local.users)), np.diff(train.starts))
    at = np.searchsorted(train.items, lone, sorter=np.argsort(train.items, kind="stable"))
    ratings = np.argsort(train.items, kind="stable")[at]
    truth = likings(train.values[ratings], local.terms.setting.steps.mean, local.terms.setting.scale)
    liked = truth > 0
    right = liked & (np.abs(found - truth) < HALF_STAR / 2)
    known = np.flatnonzero(np.isfinite(found) & (found > 0))
    directions = vectors[known] / np.linalg.norm(vectors[known], axis=1, keepdims=True)
    parallel = np.triu(directions @ directions.T > PARALLEL, 1)
    linked = [owners[ratings[known[a]]] == owners[ratings[known[b]]] for a, b in np.argwhere(parallel)]
    share = f"{100 * np.mean(linked):.1f} % of {len(linked):,}" if linked else ""
    recovered = f"{int(right.sum()):,} ({100 * right.sum() / max(1, liked.sum()):.1f} %)"
    users = len(set(itertools.compress(owners[ratings].tolist(), right.tolist())))
    return f"{int(liked.sum()):,} | {recovered} | {users} | {share}"


def _one_likes(local: Local) -> str:
    """Rows of several raters of whom one likes the item: how many there are, and right guesses of them."""
    rule, items, train = local.terms.rule, local.items, local.users.train
    assert isinstance(rule, Implicit)
    assert items.raters is not None
    several = np.flatnonzero(items.raters > 1)
    sums, sizes = (items.columns[name][several] for name in (SUMS, SIZE))
    found, _ = likings_of_lone_raters(sums, sizes[:, 0], rule.alpha)
    steps = found / HALF_STAR
    guessed = (np.abs(steps - np.rint(steps)) < 0.1) & (found < 1 + HALF_STAR / 2)
    liked = likings(train.values, local.terms.setting.steps.mean, local.terms.setting.scale) > 0
    likers = np.bincount(train.items[liked], minlength=len(items.raters))[several]
    there = likers == 1 if items.learned is None else (likers == 1) & items.learned[several]
    right = int((guessed & there).sum())
    return f"{int(there.sum()):,} | {right:,} of {int(guessed.sum()):,}"


if __name__ == "__main__":
    main()
