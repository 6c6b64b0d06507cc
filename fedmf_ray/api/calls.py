"""The functions about one run: run a scenario, go on with a run, open its folder.

Each call reads its scenario in the same way (:data:`~fedmf_ray.api.keys.ScenarioLike`), raises
:class:`~fedmf_ray.errors.FedMFError` with one line for whatever a caller can put right, and is silent unless
it is told otherwise.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmf_ray.api import handed
from fedmf_ray.api.keys import Overrides, ScenarioLike, tree_of, words
from fedmf_ray.api.runs import Run
from fedmf_ray.api.watching import OnRound, check_callback, watching
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    from fedmf_ray.scenario.schema import Scenario

PathLike = str | os.PathLike[str]


def run(
    scenario: ScenarioLike,
    overrides: Overrides = None,
    *,
    ratings: Any = None,
    test: Any = None,
    titles: Any = None,
    results: PathLike = "results",
    on_round: OnRound | None = None,
    progress: bool = False,
) -> Run:
    """Run a scenario and return its run.

    Parameters
    ----------
    scenario
        The path of a scenario file, a dict of the same keys, or the ``scenario`` of another run. Relative
        paths in a dict start at the working directory.
    overrides
        Values by dotted key, as in ``{"protocol.scheme": "plain", "stop.rounds": 20}``.
    ratings
        A DataFrame with the columns ``user``, ``item``, ``rating`` and, if it has one, ``timestamp``, instead
        of the scenario's ratings. Ids are numbers or text. It is written to a file on the users' side
        (``FEDMF_STATE``, mode 0600), so that :func:`resume` and :meth:`Run.recommend` work later;
        ``fedmf-ray clean`` removes it when no run folder names it.
    test
        A DataFrame with the same columns: the ratings that are held out, instead of a split of ``ratings``.
    titles
        What items are called: a dict or Series by item, or a DataFrame with ``item`` and ``title``.
    results
        The folder in which the run folder is made.
    on_round
        Called with each row of ``rounds.csv``, a dict, when it is on disk. If it raises, the run ends with a
        :class:`FedMFError` that names what it raised, and :func:`resume` goes on with it.
    progress
        Whether to show a bar, in a terminal or in a notebook.

    Raises
    ------
    FedMFError
        For anything wrong with the scenario, the data or the machine, before a folder exists.
    DivergenceError
        If training diverged; the run folder has the rounds before.
    KeyboardInterrupt
        After Ctrl-C, or a stopped cell: the run folder is there, and :func:`resume` goes on with it.

    Examples
    --------
    >>> import fedmf_ray
    >>> scenario = {
    ...     "ratings": {"source": "synthetic", "users": 30, "items": 20, "sparsity": 0.5},
    ...     "test": {"last": 2},
    ...     "model": {"rule": "ridge", "factors": 2, "biases": True, "mean": 3, "reg_user": 2, "reg_item": 2},
    ...     "protocol": {"update_bound": 2},
    ...     "cluster": {"backend": "serial"},
    ... }
    >>> run = fedmf_ray.run(scenario, {"protocol.scheme": "plain", "stop.rounds": 5})
    >>> len(run.rounds)
    5
    >>> run.summary["status"]
    'complete'

    With ratings of your own:

    >>> import pandas as pd
    >>> rated = [("ann", "tea", 9), ("ann", "rum", 2), ("bob", "tea", 3), ("bob", "rum", 8), ("cy", "tea", 8)]
    >>> frame = pd.DataFrame(rated, columns=["user", "item", "rating"])
    >>> del scenario["test"]
    >>> changes = {"protocol.scheme": "plain", "model.mean": 5.5, "protocol.update_bound": 8}
    >>> own = fedmf_ray.run(scenario, changes, ratings=frame)
    >>> own.recommend("cy")["item"].tolist()
    ['rum']
    """
    from fedmf_ray.engine.run import run_into
    from fedmf_ray.engine.state import check_outside
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.storage import frames
    from fedmf_ray.storage.run_folder import check_writable, new_path

    check_callback(on_round)
    tree, told = tree_of(scenario, overrides)
    if "sweep" in tree:
        raise FedMFError(f"{told}: holds a sweep: run it with fedmf_ray.sweep")
    folder = results_folder(results)
    files = handed.put_into(tree, ratings, test, titles)
    with handed.called_by_name(files):
        chosen = scenario_file.parse(tree, told)
        _warn(chosen)
        folder = check_writable(folder)
        check_outside(chosen, folder)
        if files:
            frames.check_outside(folder)
        path = new_path(folder, chosen)
        with (
            frames.named_by(path, list(files.values())),
            watching(chosen.name, progress, on_round, lambda: _in_python(path)) as watcher,
        ):
            return Run(run_into(path, chosen, watcher, _in_python))


def resume(
    run_or_path: Run | PathLike,
    overrides: Overrides = None,
    *,
    on_round: OnRound | None = None,
    progress: bool = False,
) -> Run:
    """Go on with a run from its newest checkpoint; the results are those of a run that never stopped.

    Parameters
    ----------
    run_or_path
        A :class:`Run`, or the path of its folder.
    overrides
        May change keys of ``stop`` and ``cluster`` alone: more rounds, other machines.
    on_round, progress
        As of :func:`run`. Rows that were on disk already are not shown again.

    Raises
    ------
    FedMFError
        If there is nothing to go on from, or the run folder is not as the run has left it.

    Examples
    --------
    >>> import fedmf_ray
    >>> run = fedmf_ray.run(
    ...     {"ratings": {"source": "synthetic", "users": 5, "items": 9, "sparsity": 0.5},
    ...      "model": {"factors": 2}, "protocol": {"scheme": "plain"},
    ...      "stop": {"rounds": 2}, "cluster": {"backend": "serial"}})
    >>> longer = fedmf_ray.resume(run, {"stop.rounds": 4})
    >>> len(longer.rounds)
    4
    """
    from fedmf_ray.engine.run import resume as resume_run

    check_callback(on_round)
    path = Run(run_or_path).path if not isinstance(run_or_path, Run) else run_or_path.path
    with watching(path.parent.name, progress, on_round, lambda: _in_python(path)) as watcher:
        return Run(resume_run(path, watcher, words(overrides), _in_python))


def load(path: PathLike) -> Run:
    """The run of a folder, wherever it was run; ``Study(path)`` opens the folder of a study.

    Examples
    --------
    >>> import fedmf_ray
    >>> run = fedmf_ray.run(
    ...     {"ratings": {"source": "synthetic", "users": 5, "items": 9}, "protocol": {"scheme": "plain"},
    ...      "model": {"factors": 2}, "stop": {"rounds": 1}, "cluster": {"backend": "serial"}})
    >>> again = fedmf_ray.load(run.path)
    >>> bool(again.rounds.equals(run.rounds))
    True
    """
    return Run(path)


def results_folder(results: PathLike) -> Path:
    """Absolute; raises :class:`FedMFError` for a URI."""
    if "://" in os.fspath(results):
        raise FedMFError(
            f"results: {os.fspath(results)}: give a folder of this machine; `fedmf-ray run --results URI` "
            "copies to a URI"
        )
    return Path(results).expanduser().absolute()


def _in_python(path: Path) -> str:
    return f"fedmf_ray.resume({str(path)!r})"


def _warn(scenario: Scenario) -> None:
    """What makes the protection of a scenario weaker than it looks."""
    warning = None if scenario.model.central else scenario.protocol.costed.warning()
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=3)
