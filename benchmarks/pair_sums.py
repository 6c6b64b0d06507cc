"""Plays attacks on the sums of pairs of rule ``item_item``, on real ratings: what a curious user reads.

FEDMF_DATA=... python benchmarks/pair_sums.py [--sizes 300,500,1000] [--caps 200,100,0] [--co-ratings]

The tables are those of a run in the clear, which every user of an encrypted run reads, too. A line per size
and cap: pairs with a positive sum, how many of them one user alone makes up (only the truth knows), how many
of these the table gives away for certain, how many users and ratings these belong to; then, for an adversary
who knows five likings of a person, drawn at random, how many of the ten items that it guesses the person
likes, beside the ten most-rated items, and how many items it can exclude. The last column: levels of one user
that was there in one round and absent in the next, recovered exactly.

With --co-ratings the sums are those of errors under rule ``ridge``, after five rounds: pairs that one user
alone rated both of, how many ratings of how many users these are; the same guesses, of what somebody rated;
then triples of such pairs whose products fit one user, how many of them are of one user, and for how many of
these the three errors are right (but for their signs).
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from fedmf_ray.learning.blocks import inner
from fedmf_ray.learning.items import user_side
from fedmf_ray.learning.rules.co_ratings import CO_RATINGS
from fedmf_ray.learning.rules.item_item import PAIRS, ItemItem
from fedmf_ray.learning.rules.most_rated import places_of, square, top
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy import pairs
from fedmf_ray.protocol.round import Local
from fedmf_ray.scenario import file as scenario_file

SCENARIO = Path(__file__).parent.parent / "scenarios" / "quality-lists.yaml"
KNOWN, GUESSED, ABSENT, TRIPLES = 5, 10, 100, 5000

Floats = NDArray[np.float64]


def trained(model: dict[str, object], rounds: int) -> Local:
    """All users of ml-latest-small before their first round, nothing held out."""
    tree = scenario_file.read(SCENARIO)
    del tree["sweep"]
    tree |= {"test": {}, "model": model, "stop": {"rounds": rounds}, "name": "pairs"}
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


def play_co_ratings(sizes: list[int]) -> None:
    """A line for each number of items."""
    click.echo(
        "| M | pairs | rated by one user | users, ratings in these | "
        f"{GUESSED} guesses from {KNOWN} ratings | most rated | excluded | fitting triples | "
        "of one user | errors right |\n"
        f"|{'---:|' * 10}"
    )
    for size in sizes:
        local = trained({"rule": "ridge", "ridge": {"co_ratings": size}}, 6)
        for _ in range(6):
            local.round()
        products, raters = (square(column, size) for column in local.items.shared[CO_RATINGS].T)
        truth = errors(local, size)
        rated = ~np.isnan(truth)
        assert np.array_equal(rated.T.astype(float) @ rated, raters)
        certain = pairs.lone(raters)
        named = named_by(certain, rated)
        guessed, popular, barred = guesses(raters, rated.astype(float))
        triples, levels_ = pairs.triangles(products, raters, TRIPLES)
        owners = [np.flatnonzero(rated[:, three].all(axis=1)) for three in triples]
        ours = [at for at, who in enumerate(owners) if len(who)]
        right = sum(np.array_equal(np.abs(truth[owners[at][0], triples[at]]), levels_[at]) for at in ours)
        count = int((np.triu(raters, 1) > 0).sum())
        click.echo(
            f"| {size} | {count:,} | {len(certain):,} | {len({user for user, _ in named})}, {len(named):,} | "
            f"{100 * guessed:.1f} % | {100 * popular:.1f} % | {100 * barred:.1f} % | {len(triples):,} | "
            f"{len(ours):,} | {right:,} |"
        )


def errors(local: Local, size: int) -> Floats:
    """(users, M) the truth: the levels of error that everybody added, NaN where it rated nothing."""
    setting, users = local.terms.setting, local.users
    places = places_of(top(local.items, size), setting.items)
    found = np.full((len(users), size), np.nan)
    for user, vector in enumerate(user_side(users.vectors, setting.biases)):
        mine = users.train.part(user, user + 1)
        here = places[mine.items] >= 0
        missed = mine.values - inner(vector, local.items.vectors[mine.items])
        low, high = setting.scale
        missed = np.clip(missed, (low - high) / 2, (high - low) / 2)
        found[user, places[mine.items[here]]] = np.rint(8 * missed[here])
    return found


@click.command(help=__doc__)
@click.option("--sizes", default="300,500,1000")
@click.option("--caps", default="200,100,0", help="0 for none.")
@click.option("--co-ratings", is_flag=True, help="Of errors under rule ridge instead.")
def main(sizes: str, caps: str, co_ratings: bool) -> None:
    if co_ratings:
        play_co_ratings([int(size) for size in sizes.split(",")])
        return
    click.echo(
        "| M | cap | pairs | made up by one user | certain | users, ratings in these | "
        f"{GUESSED} guesses from {KNOWN} likings | most rated | excluded | levels from a difference |\n"
        f"|{'---:|' * 10}"
    )
    for size in map(int, sizes.split(",")):
        for cap in map(int, caps.split(",")):
            local = trained({"rule": "item_item", "item_item": {"top_items": size, "cap": cap or None}}, 2)
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
