"""Plays attacks on the sums of pairs of rule ``item_item``, on real ratings: what a curious user reads.

FEDMF_DATA=... python benchmarks/pair_sums.py [--sizes 300,500,1000] [--caps 200,100,0]

The tables are those of a run in the clear, which every user of an encrypted run reads, too. A line per size
and cap: pairs with a positive sum, how many of them one user alone makes up (only the truth knows), how many
of these the table gives away for certain, how many users and ratings these belong to; then, for an adversary
who knows five likings of a person, drawn at random, how many of the ten items that it guesses the person
likes, beside the ten most-rated items, and how many items it can exclude. The last column: levels of one user
that was there in one round and absent in the next, recovered exactly.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.rules.item_item import PAIRS, ItemItem
from fedmf_ray.learning.rules.most_rated import places_of, square, top
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy import pairs
from fedmf_ray.protocol.round import Local
from fedmf_ray.scenario import file as scenario_file

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quality-lists.yaml"
KNOWN, GUESSED, ABSENT = 5, 10, 100

Floats = NDArray[np.float64]


def federation(size: int, cap: int | None) -> Local:
    """All users of ml-latest-small before their first round, nothing held out."""
    tree = scenario_file.read(SCENARIO)
    del tree["sweep"]
    own = {"rule": "item_item", "item_item": {"top_items": size, "cap": cap}}
    tree |= {"test": {}, "model": own, "stop": {"rounds": 2}, "name": "pairs"}
    plan = Plan.of(scenario_file.parse(tree, "pairs"))
    assert plan.population.slices is not None
    return Local(plan.scheme, plan.terms, plan.population.slices)


def levels(local: Local, size: int) -> Floats:
    """(users, M) the truth: the levels that everybody added."""
    rule, setting = local.terms.rule, local.terms.setting
    assert isinstance(rule, ItemItem)
    places, users = places_of(top(local.items, size), setting.items), local.users
    found = np.zeros((len(users), size))
    for user in range(len(users)):
        mine = users.train.part(user, user + 1)
        counted = rule.capped(rule.levels_of(mine.values, setting), places[mine.items])
        found[user, places[mine.items][counted > 0]] = counted[counted > 0]
    return found


def guesses(matrix: Floats, truth: Floats) -> tuple[float, float, float]:
    """Precision of ten guesses by the table, of the ten most-rated ones, and the share of items excluded."""
    random, rows = np.random.default_rng(0), []
    for liked in truth > 0:
        mine = np.flatnonzero(liked)
        if len(mine) < KNOWN + GUESSED:
            continue
        known = random.choice(mine, KNOWN, replace=False)
        guessed = np.argsort(-pairs.likely(matrix, known), kind="stable")[:GUESSED]
        popular = np.setdiff1d(np.arange(len(liked)), known)[:GUESSED]
        rows.append((liked[guessed].mean(), liked[popular].mean(), pairs.excluded(matrix, known).mean()))
    return tuple(np.mean(rows, axis=0).tolist())  # type: ignore[return-value]


def named_by(certain: NDArray[np.int64], liked: NDArray[np.bool_]) -> set[tuple[int, int]]:
    """User and item of each liking in one of these pairs."""
    return {
        (user, item)
        for user, mine in enumerate(liked)
        for pair in certain
        if mine[pair].all()
        for item in pair.tolist()
    }


@click.command(help=__doc__)
@click.option("--sizes", default="300,500,1000")
@click.option("--caps", default="200,100,0", help="0 for none.")
def main(sizes: str, caps: str) -> None:
    click.echo(
        "| M | cap | pairs | made up by one user | certain | users, ratings in these | "
        f"{GUESSED} guesses from {KNOWN} likings | most rated | excluded | levels from a difference |\n"
        f"|{'---:|' * 10}"
    )
    for size in map(int, sizes.split(",")):
        for cap in map(int, caps.split(",")):
            local = federation(size, cap or None)
            local.round()
            local.round()
            matrix = square(local.items.shared[PAIRS][:, 0], size)
            truth = levels(local, size)
            assert np.array_equal(truth.T @ truth, matrix)
            raters = (truth > 0).T.astype(float) @ (truth > 0)
            by_one = int((np.triu(raters, 1) == 1).sum())
            certain = pairs.lone(matrix)
            named = named_by(certain, truth > 0)
            local.round(absent=(ABSENT,))
            later = square(local.items.shared[PAIRS][:, 0], size)
            recovered = pairs.of_one_user(matrix, later)
            exact = recovered is not None and np.array_equal(recovered, truth[ABSENT])
            count = int((truth[ABSENT] > 0).sum())
            guessed, popular, barred = guesses(matrix, truth)
            users, positive = len({user for user, _ in named}), int((np.triu(matrix, 1) > 0).sum())
            click.echo(
                f"| {size} | {cap or 'none'} | {positive:,} | {by_one:,} | {len(certain):,} | "
                f"{users}, {len(named):,} | {100 * guessed:.1f} % | {100 * popular:.1f} % | "
                f"{100 * barred:.1f} % | {count if exact else 0} of {count} |"
            )


if __name__ == "__main__":
    main()
