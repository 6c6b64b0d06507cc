"""Test RMSE and MAE on seeded folds of real ratings, beside the models of scikit-surprise on the same folds.

python benchmarks/quality.py [SCENARIO] [KEY=VALUE...] [--rounds 2,10,25] [--models SVD,SVD++]

All models train on the same ratings and predict the same test ratings. The folds are those of `test.folds`;
test ratings of items that nobody rated in training count, too. Figures are means and standard deviations
over folds. Seconds are wall seconds of one process for training and predicting one fold.

scikit-surprise runs in its own environment (pip; kept in --envs; needs a C compiler). It clips its
predictions to the scale of the ratings, 0.5 to 5 stars; `unclipped` is the RMSE without clipping. SVD++
takes half a minute per fold, KNN over items 3.3 GB.

Settings can be chosen without the test folds. `--choose model.reg_user=20,30 --choose model.reg_item=4,6`
tries every combination within each fold's own training part (`test.validation`: the next fold is the
validation set), selects the best for that fold, and only then evaluates on its test set. The choice may
differ between folds.

Our models run unencrypted, which gives the same model as under encryption to the last bit. Their
predictions are not clipped. There is a row for each of the chosen numbers of rounds.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pandas as pd
from orchestration.environments import CannotInstall, python_of

from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.scenario.schema import Scenario

SCENARIO = Path(__file__).parent.parent / "scenarios" / "movielens-quality.yaml"
MODELS = (
    "BaselineOnly",
    "SVD",
    "SVD tuned",
    "SVD++",
    "KNNBaseline",
    "KNNBaseline Pearson",
    "KNNBaseline Pearson items",
    "BaselineOnly tuned",
    "KNNBaseline tuned",
)
FIGURES = ("rmse", "mae", "unclipped", "seconds")
Row = dict[str, str | float]


def in_the_clear(
    path: Path, overrides: Sequence[str], folds: int, fold: int, seed: int, validation: int | None = None
) -> Scenario:
    """The scenario with one fold held out, without encryption and processes, which change no figure."""
    parts = f"folds: {folds}, fold: {fold}" + ("" if validation is None else f", validation: {validation}")
    given = [
        "protocol.scheme=plain",
        "protocol.charge=null",
        "cluster={backend: serial, users_per_actor: auto, checkpoint_every: never}",
        *overrides,
        f"seed={seed}",
        f"test={{{parts}}}",
    ]
    return scenario_file.load(path, given)


def export(scenarios: Sequence[Scenario], file: Path) -> None:
    """Write user, item, rating, and the fold whose test set contains the rating, sorted by ids."""
    parts = []
    for fold, scenario in enumerate(scenarios):
        population = Population.of(scenario)
        for user in population.all_ratings():
            items = population.item_ids[user.test_items]
            columns = {"user": user.user_id, "item": items, "rating": user.test_values, "fold": fold}
            parts.append(pd.DataFrame(columns))
    pd.concat(parts).sort_values(["user", "item"]).to_csv(file, index=False)


def ours(scenario: Scenario, rounds: Sequence[int], results: Path) -> Iterator[Row]:
    """Figures of one fold, after each of the given numbers of rounds of one run."""
    table = pd.read_csv(run(scenario, results, Silent()) / "rounds.csv")
    table["seconds"] = table["wall_s"].cumsum()
    least = scenario.protocol.min_raters
    name = scenario.name + (f", min_raters {least}" if least > 1 else "")
    for count in rounds:
        row = table.loc[table["round"] == count - 1].iloc[0]
        yield {
            "model": f"{name}, {count} round{'' if count == 1 else 's'}",
            "rmse": row["test_rmse"],
            "mae": row["test_mae"],
            "unclipped": row["test_rmse"],
            "seconds": row["seconds"],
        }


def theirs(python: Path, model: str, file: Path, fold: int, seed: int) -> Row:
    """Figures of one scikit-surprise model on one fold, in a separate process."""
    script = Path(__file__).with_name("quality_surprise.py")
    command = [str(python), str(script), model, str(file), str(fold), str(seed)]
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environ)
    if ended.returncode:
        raise click.ClickException(f"{model} failed on fold {fold}:\n{ended.stderr[-2000:]}")
    return {"model": model, **json.loads(ended.stdout)}


def summary(rows: Sequence[Row]) -> pd.DataFrame:
    """A row per model, in order of appearance: mean and standard deviation over folds of each figure."""
    groups = pd.DataFrame(rows).groupby("model", sort=False)[list(FIGURES)]
    means, deviations = groups.mean(), groups.std().add_suffix("_sd")
    both = pd.concat([groups.size().rename("folds"), means, deviations], axis=1)
    order = [name for figure in FIGURES for name in (figure, f"{figure}_sd")]
    return both[["folds", *order]].reset_index()


def printed(table: pd.DataFrame) -> str:
    """The table as text, with mean and deviation of each figure in one column."""
    shown = table[["model", "folds"]].copy()
    for figure in FIGURES:
        digits = 1 if figure == "seconds" else 4
        pairs = zip(table[figure], table[f"{figure}_sd"], strict=True)
        shown[figure] = [f"{mean:.{digits}f} ± {sd:.{digits}f}" for mean, sd in pairs]
    return shown.to_string(index=False)


def choose(
    scenario: Path,
    overrides: Sequence[str],
    grid: dict[str, list[str]],
    split: tuple[int, int, int],
    results: Path,
) -> list[str]:
    """Overrides of the setting with the least validation error after a run; split: folds, fold, seed."""
    folds, fold, seed = split
    best, chosen = float("inf"), list[str]()
    for values in itertools.product(*grid.values()):
        words = [f"{key}={value}" for key, value in zip(grid, values, strict=True)]
        part = in_the_clear(scenario, [*overrides, *words], folds, fold, seed, validation=(fold + 1) % folds)
        error = float(pd.read_csv(run(part, results, Silent()) / "rounds.csv")["test_rmse"].iloc[-1])
        if error < best:
            best, chosen = error, words
    click.echo(f"fold {fold}: chose {' '.join(chosen)}, validation rmse {best:.4f}", err=True)
    return chosen


def note(row: Row, fold: int) -> None:
    """Print a line of progress."""
    click.echo(f"fold {fold}: {row['model']}: rmse {row['rmse']:.4f}, {row['seconds']:.1f} s", err=True)


def names(_context: click.Context, _option: click.Parameter, text: str) -> list[str]:
    """Parse names of models, separated by commas."""
    words = text.split(",") if text else []
    if unknown := set(words) - set(MODELS):
        raise click.BadParameter(f"{unknown.pop()} is not one of {', '.join(MODELS)}")
    return words


def numbers(_context: click.Context, _option: click.Parameter, text: str) -> list[int]:
    """Parse whole numbers of at least 1, separated by commas."""
    words = text.split(",") if text else []
    if not all(word.isdigit() and int(word) for word in words):
        raise click.BadParameter("must be whole numbers of at least 1, separated by commas")
    return sorted(map(int, words))


@click.command(help=__doc__)
@click.argument("words", nargs=-1, metavar="[SCENARIO] [KEY=VALUE...]")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Seed of the folds and of all initial values.")
@click.option(
    "--rounds",
    callback=numbers,
    default="1,2,3,10,25",
    show_default=True,
    help="After which our models are evaluated; empty for none.",
)
@click.option(
    "--models",
    callback=names,
    default=",".join(MODELS),
    show_default=True,
    help="Models of scikit-surprise; empty for none.",
)
@click.option(
    "--choose",
    "grid",
    multiple=True,
    metavar="KEY=V,V...",
    help="Values of one of our settings to choose from.",
)
@click.option("--after", default=10, show_default=True, help="Rounds of the runs that choose settings.")
@click.option("--envs", type=Path, default=Path.home() / ".cache" / "fedmf-ray" / "bench", show_default=True)
@click.option("-o", "--output", type=Path, help="Also write a row per model and fold as CSV.")
def main(
    words: tuple[str, ...],
    folds: int,
    seed: int,
    rounds: list[int],
    models: list[str],
    grid: tuple[str, ...],
    after: int,
    envs: Path,
    output: Path | None,
) -> None:
    scenario, overrides = SCENARIO, words
    if words and "=" not in words[0]:
        scenario, overrides = Path(words[0]), words[1:]
    if not (rounds or models):
        raise click.UsageError("nothing to do: --rounds and --models are both empty")
    if rounds:
        overrides = (*overrides, f"stop.rounds={rounds[-1]}", "stop.tolerance=null")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            parts = [in_the_clear(scenario, overrides, folds, fold, seed) for fold in range(folds)]
            python = python_of("surprise", envs) if models else None
            export(parts, folder / "ratings.csv")
            for model in models:
                for fold in range(folds):
                    rows.append(theirs(python, model, folder / "ratings.csv", fold, seed))
                    note(rows[-1], fold)
            options = {key: values.split(",") for key, _, values in (word.partition("=") for word in grid)}
            for fold, part in enumerate(parts if rounds else []):
                if options:
                    short = (*overrides, f"stop.rounds={after}")
                    words = choose(scenario, short, options, (folds, fold, seed), folder / "choosing")
                    part = in_the_clear(scenario, (*overrides, *words), folds, fold, seed)
                for row in ours(part, rounds, folder / "results"):
                    rows.append(row)
                    note(row, fold)
        except (FedMFError, CannotInstall) as error:
            raise click.ClickException(str(error)) from None
        finally:
            if output and rows:
                pd.DataFrame(rows).to_csv(output, index=False)
    click.echo(printed(summary(rows)))


if __name__ == "__main__":
    main()
