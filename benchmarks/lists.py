"""NDCG and hit rate of lists of ten on seeded folds of real ratings, beside models of `implicit` on the same
folds.

    python benchmarks/lists.py [KEY=VALUE...] [--models "item_item, M = 500; ALS"] [--folds 5]

All models train on the same ratings. Candidates are all items that the user did not train on; what it held
out and gave four stars or more should be found. Settings of every model are chosen within each fold's own
training part: the next fold is held out, too, and the setting with the best NDCG on it is trained again on
all of the training part. Figures are means and standard deviations over folds; seconds are wall seconds of
one process to train the chosen model once and make all lists. `implicit` runs in an environment of its own
(kept in --envs), and its lists are measured by the same code as ours. It gets the same likings, clip((r - 2)
/ 3, 0, 1).

Our rules run unencrypted, which gives the same lists as under encryption, to the last bit."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from orchestration.environments import CannotInstall, python_of
from quality import export, in_the_clear

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.learning.blocks import RatingBlock
from fedmf_ray.learning.ranking import Lists, ranking_sums
from fedmf_ray.planning.population import Population
from fedmf_ray.scenario.schema import Scenario

SCENARIO = Path(__file__).parent.parent / "scenarios" / "movielens-lists.yaml"
LISTS = Lists(10, 4.0)
FIGURES = ("ndcg", "hit_rate")

EVERYWHERE = "metrics.top_k=10", "metrics.relevant_from=4", "protocol.min_raters=1"

ITEM_ITEM = {"model.rule": ["item_item"], "model.item_item.reg": [50, 100, 200, 400], "stop.rounds": [2]}
IMPLICIT = {
    "model": [f"{{rule: implicit, factors: 30, implicit: {{reg: {reg}}}}}" for reg in (20, 40, 80)],
    "stop.rounds": [6],
}
OURS: dict[str, dict[str, list[Any]]] = {
    "item_item, M = 500": ITEM_ITEM | {"model.item_item.top_items": [500]},
    "item_item, M = 1000": ITEM_ITEM | {"model.item_item.top_items": [1000]},
    "implicit rule, d = 30": IMPLICIT,
    "EASE, central": {"model.algorithm": ["ease"], "model.ease.reg": [50, 100, 200, 400]},
    "iALS, central, d = 100": {
        "model.algorithm": ["ials"],
        "model.factors": [100],
        "model.ials.alpha": [5, 10, 20],
        "model.ials.reg": [20, 40, 80],
        "stop.rounds": [10],
    },
    "popularity, central": {"model.algorithm": ["popularity"], "stop.rounds": [1]},
}
NEIGHBOURS: dict[str, list[Any]] = {"K": [20, 50, 100, 200, 400]}
THEIRS: dict[str, dict[str, list[Any]]] = {
    "ALS": {"factors": [64, 128], "alpha": [2.0, 10.0, 40.0], "regularization": [1.0, 10.0, 40.0, 160.0]},
    "BPR": {
        "factors": [64],
        "learning_rate": [0.01, 0.05],
        "regularization": [0.01, 0.1],
        "iterations": [100],
    },
    "cosine kNN": NEIGHBOURS,
    "TF-IDF kNN": NEIGHBOURS,
    "BM25 kNN": NEIGHBOURS | {"B": [0.2, 0.6]},
}


def settings_of(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def measured(scenario: Scenario, lists: dict[int, list[int]]) -> dict[str, float]:
    """What lists of other tools are worth to the users of a scenario. lists: items, the best first."""
    population = Population.of(scenario)
    users = list(population.all_ratings())
    rows = {item: row for row, item in enumerate(population.item_ids.tolist())}
    train = RatingBlock.of([(user.items, user.values) for user in users])
    test = RatingBlock.of([(user.test_items, user.test_values) for user in users])

    def scores(at: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        found, mine = np.zeros(len(rows)), [rows[item] for item in lists.get(users[at].user_id, [])]
        found[mine] = np.arange(len(mine), 0, -1)
        return found

    sums = ranking_sums(scores, train, test, LISTS)
    return {name: float(sums.measures[name].sum() / sums.counts.sum()) for name in FIGURES}


class Folds:
    """The folds of a scenario, each trained on and looked at in the same way by all models."""

    def __init__(self, overrides: Sequence[str], folds: int, seed: int, folder: Path) -> None:
        self.overrides, self.folds, self.seed, self.folder = overrides, folds, seed, folder

    def scenario(self, fold: int, words: Sequence[str] = (), validation: bool = False) -> Scenario:
        other = (fold + 1) % self.folds if validation else None
        given = [*EVERYWHERE, *self.overrides, *words]
        return in_the_clear(SCENARIO, given, self.folds, fold, self.seed, other)

    def ours(self, setting: dict[str, Any], fold: int, validation: bool) -> dict[str, float]:
        words = [f"{key}={value}" for key, value in setting.items()]
        started = time.perf_counter()
        folder = run(self.scenario(fold, words, validation), self.folder / "runs", Silent())
        seconds = time.perf_counter() - started
        found = json.loads((folder / "summary.json").read_text())["ranking"]
        return {name: found[name] for name in FIGURES} | {"seconds": seconds}

    def theirs(
        self, python: Path, model: str, settings: list[dict[str, Any]], fold: int, validation: bool
    ) -> list[dict[str, float]]:
        held_out = [fold, (fold + 1) % self.folds] if validation else [fold]
        script = Path(__file__).with_name("lists_implicit.py")
        words = [model, json.dumps(settings), str(self.folder / "ratings.csv"), ",".join(map(str, held_out))]
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environ |= {"OPENBLAS_NUM_THREADS": "1"}
        command = [str(python), str(script), *words, "2", "5", str(self.seed)]
        ended = subprocess.run(command, capture_output=True, text=True, env=environ)
        if ended.returncode:
            raise click.ClickException(f"{model} failed on fold {fold}:\n{ended.stderr[-2000:]}")
        scenario, found = self.scenario(fold, validation=validation), []
        for line in ended.stdout.splitlines():
            told = json.loads(line)
            lists = {int(user): items for user, items in told["lists"].items()}
            found.append(measured(scenario, lists) | {"seconds": told["seconds"]})
        return found


def best_of(settings: list[dict[str, Any]], found: Sequence[dict[str, float]]) -> dict[str, Any]:
    return settings[int(np.argmax([one["ndcg"] for one in found]))]


def names(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    """Parse names of models, separated by semicolons."""
    known = [*OURS, *THEIRS]
    words = [word.strip() for word in text.split(";")] if text else known
    if unknown := set(words) - set(known):
        raise click.BadParameter(f"{unknown.pop()!r} is not one of: {'; '.join(known)}")
    return words


@click.command(help=__doc__)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE...]")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of the folds and of all initial values.")
@click.option("--models", callback=names, default="", help="Separated by semicolons; all if not given.")
@click.option("--envs", type=Path, default=Path.home() / ".cache" / "fedmf-ray" / "bench", show_default=True)
def main(overrides: tuple[str, ...], folds: int, seed: int, models: list[str], envs: Path) -> None:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        splits = Folds(overrides, folds, seed, Path(temporary))
        try:
            python = python_of("implicit", envs) if set(models) & set(THEIRS) else Path()
            export([splits.scenario(fold) for fold in range(folds)], splits.folder / "ratings.csv")
            for model, fold in itertools.product(models, range(folds)):
                if model in OURS:
                    settings = settings_of(OURS[model])
                    tried = [splits.ours(one, fold, validation=True) for one in settings]
                    chosen = best_of(settings, tried)
                    found = splits.ours(chosen, fold, validation=False)
                else:
                    settings = settings_of(THEIRS[model])
                    chosen = best_of(settings, splits.theirs(python, model, settings, fold, validation=True))
                    (found,) = splits.theirs(python, model, [chosen], fold, validation=False)
                rows.append({"model": model, **found})
                told = ", ".join(f"{key} {value}" for key, value in chosen.items())
                click.echo(f"fold {fold}: {model}: NDCG {found['ndcg']:.4f} with {told}", err=True)
        except (FedMFError, CannotInstall) as error:
            raise click.ClickException(str(error)) from None
    groups = pd.DataFrame(rows).groupby("model", sort=False)[[*FIGURES, "seconds"]]
    means, deviations = groups.mean(), groups.std()
    for name in means.sort_values("ndcg", ascending=False).index:
        figures = "  ".join(f"{means[f][name]:.4f} ± {deviations[f][name]:.4f}" for f in FIGURES)
        click.echo(f"{name:26}{figures}  {means['seconds'][name]:6.1f} s")


if __name__ == "__main__":
    main()
