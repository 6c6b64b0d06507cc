"""One run folder as an object: its tables, its pictures, and on request what its users know."""

from __future__ import annotations

import html
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fedmf_ray.api.own_ids import OwnIds
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from fedmf_ray.engine.users_side import UsersSide
    from fedmf_ray.scenario.schema import Scenario

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Run:
    """A run, by its folder.

    ``rounds``, ``users``, ``summary``, ``environment`` and ``scenario`` are what the folder says, read once.
    :meth:`items`, :meth:`user_vector`, :meth:`predict`, :meth:`recommend`, :meth:`rmse` of pairs and
    :meth:`export` read what the run folder does not have: the checkpoint on the users' side, with their key.
    Neither a server nor an experimenter could do that, and what they return is private to the users. Runs of
    central baselines, cells of studies, and runs with ``cluster.checkpoint_every: never`` have no such side.

    A pickled run is the path of its folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises :class:`FedMFError` if the folder is no run's."""
        self.path = Path(path).expanduser().absolute()
        """The run folder, absolute."""
        if (self.path / "study.yaml").is_file():
            raise FedMFError(f"{self.path}: is the folder of a study: fedmf_ray.Study(path) opens it")
        if not (self.path / "scenario.yaml").is_file():
            raise FedMFError(
                f"{self.path}: is no run folder (no scenario.yaml): give the path that a run printed"
            )

    @cached_property
    def scenario(self) -> Scenario:
        """What was simulated, every key spelled out; :func:`fedmf_ray.run` takes it again."""
        from fedmf_ray.scenario import file as scenario_file

        return scenario_file.load(self.path / "scenario.yaml")

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """``rounds.csv``: a row per round, numbered from 0, with the bits that were written."""
        from fedmf_ray.api.tables import read_exactly

        try:
            return read_exactly(self.path / "rounds.csv")
        except FileNotFoundError:
            raise FedMFError(f"{self.path}: no round has ended yet (no rounds.csv)") from None
        except (OSError, ValueError) as error:
            raise FedMFError(f"{self.path / 'rounds.csv'}: cannot be read: {_line(error)}") from error

    @cached_property
    def users(self) -> pd.DataFrame:
        """``users.csv.gz``, or the Parquet files in ``users``: a row per user and round with its costs; empty
        for central baselines, and where ``results.users`` is ``sums``."""
        import pandas as pd

        file, folder = self.path / "users.csv.gz", self.path / "users"
        if folder.is_dir():
            try:
                return pd.concat(map(pd.read_parquet, sorted(folder.glob("*.parquet"))), ignore_index=True)
            except ImportError:
                raise FedMFError(f"{folder}: needs pyarrow: pip install 'fedmf-ray[parquet]'") from None
            except (OSError, ValueError) as error:
                raise FedMFError(f"{folder}: cannot be read: {_line(error)}") from error
        if not file.is_file():
            return pd.DataFrame()
        try:
            return pd.read_csv(file)
        except (OSError, ValueError, EOFError) as error:
            raise FedMFError(f"{file}: cannot be read: {_line(error)}") from error

    @cached_property
    def summary(self) -> dict[str, Any]:
        """``summary.json``: how the run ended; empty while it is going on."""
        from fedmf_ray.storage.run_folder import read_json

        return read_json(self.path / "summary.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """``environment.json``: where and how it ran."""
        from fedmf_ray.storage.run_folder import read_json

        return read_json(self.path / "environment.json")

    def plot(self) -> Figure:
        """Losses after each round, as a figure of Matplotlib; ``run.plot().savefig("losses.png")``."""
        from fedmf_ray.api.watching import draw_in_notebooks
        from fedmf_ray.report.convergence import convergence
        from fedmf_ray.report.runs import read_run

        figure = convergence([read_run(self.path)])
        draw_in_notebooks(figure)
        return figure

    def report(self, output: str | os.PathLike[str] | None = None) -> Path:
        """Write one self-contained page about the run, and return its path (``report.html`` in it)."""
        from fedmf_ray.report.page import report

        return report(self.path, None if output is None else Path(output))

    def items(self) -> pd.DataFrame:
        """V as users see it: a row per item, under the users' own ids.

        Columns: ``title`` if titles are known, ``bias`` if the model has biases, ``raters`` if users count
        them, ``factor_0`` and so on if the rule has factors (``item_item`` has none). Items that too few have
        rated (``protocol.min_raters``) are zeros.
        """
        import pandas as pd

        side, items = self._side, self._side.items()
        has_factors = side.plan.terms.rule.has_factors
        factors = side.scenario.model.factors if has_factors else 0
        columns: dict[str, Any] = {}
        if self._titled:
            columns["title"] = self._titles(np.arange(len(items.vectors)))
        if side.scenario.model.biases and has_factors:
            columns["bias"] = items.vectors[:, factors + 1]
        if items.raters is not None:
            columns["raters"] = items.raters.astype(np.int64)
        columns |= {f"factor_{at}": items.vectors[:, at] for at in range(factors)}
        return pd.DataFrame(columns, index=self._item_ids.index.rename("item"))

    def user_vector(self, user: Any) -> Floats:
        """(factors,) u of one user, by its own id; with biases (factors + 1,), the last number is its bias.

        A rating is predicted as ``mean + user bias + item bias + <u, v>``, with ``scenario.model.mean``.
        """
        vector: Floats = self._side.vectors(self._user_ids.known([user], self.path))[0].copy()
        return vector

    def predict(self, pairs: Any, *, unknown: Literal["raise", "nan"] = "raise") -> Floats:
        """(n,) the ratings that users are expected to give, in the order of the pairs; not cut to the scale.

        Parameters
        ----------
        pairs
            A DataFrame with ``user`` and ``item`` (other columns are ignored), or rows of (user, item).
        unknown
            What a pair gets whose user or item did not take part: ``raise`` raises :class:`UnknownIdError`,
            which names the first and how many there are; ``nan`` leaves a NaN there.
        """
        from fedmf_ray.api.tables import frame_of

        if unknown not in ("raise", "nan"):
            raise FedMFError(f"unknown: {unknown!r}: give 'raise' or 'nan'")
        frame = frame_of(pairs, "pairs", ("user", "item"))
        if unknown == "raise":
            return self._side.expected(*self._places(frame))
        users, rows = self._user_ids.positions(frame["user"]), self._item_ids.positions(frame["item"])
        there = (users >= 0) & (rows >= 0)
        found = np.full(len(frame), np.nan)
        found[there] = self._side.expected(users[there], rows[there])
        return found

    def rmse(self, pairs: Any = "test") -> float:
        """The root of the mean squared error, in stars.

        Parameters
        ----------
        pairs
            ``"test"`` or ``"train"``: of the held-out or the training ratings after the last round, as in
            ``rounds``. Or a DataFrame with ``user``, ``item`` and ``rating``, or rows of these: of given
            ratings. Of exactly the test set, in whatever order, both say the same to the last bit.
        """
        from fedmf_ray.api.tables import frame_of

        if isinstance(pairs, str):
            if pairs not in ("test", "train"):
                raise FedMFError(f"rmse: {pairs!r}: give 'test', 'train', or a DataFrame of ratings")
            last = self.rounds.iloc[-1]
            found = float(last["test_rmse"]) if pairs == "test" else float(np.sqrt(last["train_mse"]))
            if found != found:
                raise FedMFError(f"{self.path}: held out no ratings (test): give rmse some")
            return found
        frame = frame_of(pairs, "pairs", ("user", "item", "rating"))
        if frame.empty:
            raise FedMFError("rmse: there are no pairs")
        return self._side.rmse(*self._places(frame), frame["rating"].to_numpy(np.float64))

    def recommend(self, user: Any, n: int = 10) -> pd.DataFrame:
        """The items that a user would be shown, the best first; those that it trained on are left out.

        Columns: ``item`` (its own id), ``title`` (``item ID`` if it has none), ``expected`` (stars; of rules
        that predict no ratings it is ``score``), and ``held_out``, what the user gave it if it is in its test
        set, else NaN. Sorted by ``expected``, and by the number of raters if ``metrics.popularity`` says so.
        """
        import pandas as pd

        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise FedMFError(f"n: {n!r} must be a whole number from 1")
        position = int(self._user_ids.known([user], self.path)[0])
        rows, stars = self._side.recommended(position, int(n))
        ratings = self._side.ratings_of(position)
        known = dict(zip(ratings.test_items.tolist(), ratings.test_values.tolist(), strict=True))
        return pd.DataFrame(
            {
                "item": self._item_ids.index[rows],
                "title": self._titles(rows),
                "expected" if self._side.plan.terms.rule.predicts else "score": stars,
                "held_out": [known.get(row, np.nan) for row in rows.tolist()],
            }
        )

    def export(self, folder: str | os.PathLike[str], format: Literal["csv", "parquet"] = "csv") -> Path:
        """Write items, users' vectors and predictions of the test set into a folder that is not there yet,
        for its owner alone (mode 0600), whole or not at all; returns the folder."""
        from fedmf_ray.api.exported import export

        return export(self, Path(folder), format)

    def _places(self, frame: pd.DataFrame) -> tuple[Integers, Integers]:
        users = self._user_ids.known(frame["user"], self.path)
        return users, self._item_ids.known(frame["item"], self.path)

    def _titles(self, rows: Integers) -> list[str]:
        names, ids = self._side.plan.population.names, self._side.plan.population.item_ids
        return [names.title(item) for item in ids[rows].tolist()]

    @property
    def _titled(self) -> bool:
        return bool(self._side.plan.population.names.titles)

    @cached_property
    def _side(self) -> UsersSide:
        from fedmf_ray.engine.users_side import UsersSide

        return UsersSide(self.path)

    @cached_property
    def _user_ids(self) -> OwnIds:
        from fedmf_ray.api.handed import text_ids

        population = self._side.plan.population
        text = text_ids(self._side.scenario)[0]
        return OwnIds("user", population.user_ids, population.names.users, text)

    @cached_property
    def _item_ids(self) -> OwnIds:
        from fedmf_ray.api.handed import text_ids

        population = self._side.plan.population
        text = text_ids(self._side.scenario)[1]
        return OwnIds("item", population.item_ids, population.names.items, text)

    def _brief(self) -> dict[str, str]:
        """What there is to say in a few words."""
        brief = {"status": str(self.summary.get("status", "has not ended"))}
        if (self.path / "rounds.csv").is_file():
            brief["rounds"] = str(len(self.rounds))
            last: Any = self.rounds.iloc[-1] if len(self.rounds) else {}
            for column, label in (("test_rmse", "test RMSE"), ("train_mse", "train MSE")):
                if column in last and last[column] == last[column]:
                    brief[label] = f"{last[column]:.4f}"
                    break
        return brief

    def __repr__(self) -> str:
        brief = ", ".join(f"{key} {value}" for key, value in self._brief().items())
        return f"<Run {self.path.parent.name}/{self.path.name}: {brief}>"

    def _repr_html_(self) -> str:
        rows = {"run": f"{self.path.parent.name}/{self.path.name}", **self._brief(), "folder": str(self.path)}
        cells = (
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
            for key, value in rows.items()
        )
        return f"<table>{''.join(cells)}</table>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Run, (str(self.path),)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
