"""What a user of a run would be shown, before training and after it, from the users' own checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.engine.answers import Hosting
from fedmf_ray.engine.server_actor import load_items
from fedmf_ray.engine.state import check_state, checkpoints_of
from fedmf_ray.engine.user_actor import UserActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.ratings.movielens import cache_folder, titles
from fedmf_ray.ratings.names import shortened
from fedmf_ray.ratings.table import UserRatings
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.sources import FileSource, MovieLensSource
from fedmf_ray.schemes import IN_THE_CLEAR
from fedmf_ray.storage.checkpoint_files import CheckpointError
from fedmf_ray.storage.checkpoints import Checkpoint, Checkpoints
from fedmf_ray.storage.run_tables import RunTables

_ALONE = Hosting(together=False, combine=False)


@dataclass(frozen=True)
class Shown:
    """A title and its stars. held_out: what the user gave it, if that is known and was not trained on."""

    title: str
    stars: float
    held_out: float | None = None


@dataclass(frozen=True)
class Recommendations:
    """Of one user, by its id in the file. rounds: after how many. liked: what it rated highest, of what it
    trained on. scored: the numbers of ``before`` and ``after`` are scores of a rule that predicts no ratings.

    before, after: what its actor would show with the first item matrix, and with the latest. popularity: the
    stars for it by which ``after`` is sorted, beside those that are expected.
    """

    user: str
    rounds: int
    liked: list[Shown]
    before: list[Shown]
    after: list[Shown]
    popularity: float
    scored: bool = False


def recommend(path: Path, who: int | str, count: int) -> Recommendations:
    """The best ``count`` titles for a user of the run in a folder; who: its id in the data set or file.

    Does what the user's own actor does: it restores the user from the checkpoint on the users' side, with the
    key that lies beside it, and decrypts the server's matrix. Raises :class:`FedMFError` if there are no
    titles, no such user, or no checkpoint to read.
    """
    path = path.expanduser().absolute()
    if not (path / "scenario.yaml").is_file():
        raise FedMFError(f"{path}: is no run folder: a run prints the path of its own when it ends")
    scenario = scenario_file.load(path / "scenario.yaml")
    source = scenario.ratings
    if not isinstance(source, MovieLensSource | FileSource):
        raise FedMFError(
            f"{path}: its ratings have no titles: recommend needs a MovieLens data set, or a file of ratings"
        )
    checkpoints = checkpoints_of(path, scenario, RunTables(path))
    if checkpoints is None:
        raise FedMFError(f"{path}: ran without checkpoints: nothing is left of its users")
    check_state(checkpoints, path, scenario)
    plan = Plan.of(scenario)
    films = titles(source.dataset, cache_folder()) if isinstance(source, MovieLensSource) else {}
    user, names = _user_of(plan, str(who), path), plan.population.names

    def shown(rows: NDArray[np.int64], stars: NDArray[np.float64]) -> list[Shown]:
        known = dict(zip(user.test_items.tolist(), user.test_values.tolist(), strict=True))
        ids = plan.population.item_ids[rows].tolist()
        return [
            Shown(films.get(item) or f"item {names.item(item)}", value, known.get(row))
            for row, item, value in zip(rows.tolist(), ids, stars.tolist(), strict=True)
        ]

    best = np.argsort(-user.values, kind="stable")[:count]
    liked = shown(user.items[best], user.values[best])
    wanted = user.user_id, count, scenario.metrics.popularity
    before = shown(*_untrained(plan, user).recommend(*wanted))
    rounds, actor = _trained(plan, user, checkpoints)
    after = shown(*actor.recommend(*wanted))
    return Recommendations(
        names.user(user.user_id),
        rounds,
        liked,
        before,
        after,
        scenario.metrics.popularity,
        scored=not plan.terms.rule.predicts,
    )


def _user_of(plan: Plan, who: str, path: Path) -> UserRatings:
    assert plan.population.slices is not None
    names = plan.population.names
    user_id = names.user_id(who)
    for user in plan.population.slices:
        if user.user_id == user_id:
            return user
    ids = plan.population.user_ids
    first, last = names.show_user(ids[0]), names.show_user(ids[-1])
    raise FedMFError(f"{path}: has no user {shortened(who)[1:-1]}: {len(ids)} users, {first} to {last}")


def _untrained(plan: Plan, user: UserRatings) -> UserActor:
    """As before the first round. What everybody starts from is no secret: in the clear it is the same."""
    actor = UserActor(plan.terms, _ALONE)
    actor.set_up([user], sides=IN_THE_CLEAR.sides(plan.terms.blocks.shape))
    *messages, _ = actor.encrypt_initial_items()
    actor.open_round(0, *messages)
    return actor


def _trained(plan: Plan, user: UserRatings, checkpoints: Checkpoints) -> tuple[int, UserActor]:
    """As of the newest checkpoint that can be read, and its round."""
    reason: CheckpointError | None = None
    for number in checkpoints.rounds():
        try:
            return number, _restored(plan, user, checkpoints, checkpoints.read(number))
        except CheckpointError as error:
            reason = error
    raise checkpoints.none(reason) from reason


def _restored(plan: Plan, user: UserRatings, checkpoints: Checkpoints, checkpoint: Checkpoint) -> UserActor:
    if checkpoint.population != plan.population.digest():
        raise FedMFError(f"{checkpoints.folder}: the ratings have changed since it was written")
    servers = range(checkpoint.servers)
    items = [load_items(checkpoints.items(checkpoint.round, at, checkpoint)) for at in servers]
    position = int(np.searchsorted(plan.population.user_ids, user.user_id))
    file = next(at for at, (first, stop) in enumerate(checkpoint.groups) if first <= position < stop)
    actor = UserActor(plan.terms, _ALONE)
    actor.load_keys(plan.scheme, plan.terms.blocks.shape, checkpoints.key)
    actor.set_up([user], [checkpoints.users(checkpoint.round, file, checkpoint)])
    try:
        actor.open_round(checkpoint.round, *items)
    except OverflowError as error:
        raise CheckpointError(f"{checkpoints.folder}: was written with other settings: {error}") from error
    return actor
