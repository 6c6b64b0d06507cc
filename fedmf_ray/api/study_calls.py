"""The functions about several runs, and about none: sweep, audit, estimate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fedmf_ray.api.calls import PathLike, results_folder
from fedmf_ray.api.keys import Overrides, ScenarioLike, tree_of
from fedmf_ray.api.runs import Run
from fedmf_ray.api.studies import Study
from fedmf_ray.api.watching import watching
from fedmf_ray.errors import FedMFError

if TYPE_CHECKING:
    import pandas as pd

    from fedmf_ray.study.estimate import Estimate


def sweep(
    scenario: ScenarioLike,
    overrides: Overrides = None,
    *,
    results: PathLike = "results",
    progress: bool = False,
) -> Study:
    """Run every cell of a study, a scenario with a ``sweep``; called again, those that are missing.

    A cell that fails does not stop the others: ``study.cells`` says how each ended. Cells keep no
    checkpoints, so their users' side cannot be read afterwards.

    Raises
    ------
    FedMFError
        Before anything runs, if a cell could not run.

    Examples
    --------
    >>> import fedmf_ray
    >>> study = fedmf_ray.sweep(
    ...     {"ratings": {"source": "synthetic", "users": 6, "items": 9, "sparsity": 0.5},
    ...      "protocol": {"scheme": "plain"}, "stop": {"rounds": 1}, "cluster": {"backend": "serial"},
    ...      "sweep": {"model.factors": [2, 4]}})
    >>> study.cells[["model.factors", "status"]].to_numpy().tolist()
    [[2, 'complete'], [4, 'complete']]
    """
    from fedmf_ray.study import cells
    from fedmf_ray.study.sweep import run_study

    study = cells.of_tree(*tree_of(scenario, overrides))
    with watching(study.name, progress, None, lambda: "") as watcher:
        return Study(run_study(study, results_folder(results), watcher).path)


def estimate(scenario: ScenarioLike, overrides: Overrides = None) -> Estimate | list[Estimate]:
    """What a scenario would cost, from unit costs measured on this machine; nothing is trained.

    Returns an :class:`~fedmf_ray.study.estimate.Estimate`, or for a study a list with one per cell, in order.

    Examples
    --------
    >>> import fedmf_ray
    >>> costs = fedmf_ray.estimate(
    ...     {"ratings": {"source": "synthetic", "users": 1000, "items": 50}, "model": {"factors": 4},
    ...      "protocol": {"scheme": "plain"}, "cluster": {"backend": "serial", "users_per_actor": "auto"}})
    >>> costs.users
    1000
    >>> costs.row["basis"]
    'estimated'
    """
    from fedmf_ray.engine.backends import open_backend
    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.study import cells
    from fedmf_ray.study.estimate import estimate as estimate_scenario

    tree, told = tree_of(scenario, overrides)
    several = "sweep" in tree
    chosen = (
        [cell.scenario for cell in cells.of_tree(tree, told).cells]
        if several
        else [scenario_file.parse(tree, told)]
    )
    backend = open_backend(chosen[0].cluster)
    try:
        found = [estimate_scenario(one, backend) for one in chosen]
    finally:
        backend.close()
    return found if several else found[0]


def audit(
    scenario: ScenarioLike,
    overrides: Overrides = None,
    *,
    view: Run | PathLike | None = None,
    scale: tuple[float, float, float] | None = None,
    results: PathLike = "results",
    progress: bool = False,
) -> pd.DataFrame:
    """Run a scenario or a study that says ``observe``, then attack what was recorded.

    Returns a row per attack, with the swept keys of its cell first; the same is in ``audit.json`` of the run
    or study folder, which is in ``attrs["path"]``.

    Parameters
    ----------
    view
        A run of this scenario whose record is attacked, instead of running it.
    scale
        Lowest rating, highest rating and step, which every adversary knows; those of the ratings if not
        given.

    Examples
    --------
    >>> import fedmf_ray
    >>> findings = fedmf_ray.audit(
    ...     {"ratings": {"source": "synthetic", "users": 8, "items": 30, "sparsity": 0.3},
    ...      "model": {"factors": 3}, "protocol": {"scheme": "plain"}, "stop": {"rounds": 4},
    ...      "cluster": {"backend": "serial"}, "observe": "server"})
    >>> float(findings["recovered"].max())
    1.0
    """
    import numpy as np
    import pandas as pd

    from fedmf_ray.scenario import file as scenario_file
    from fedmf_ray.study import audit as audits
    from fedmf_ray.study import cells

    grid = None
    if scale is not None:
        low, high, step = scale
        if not low < high or step <= 0:
            raise FedMFError(f"scale: {scale!r}: give lowest, highest and step, as in (0.5, 5, 0.5)")
        grid = np.linspace(low, high, round((high - low) / step) + 1)
    tree, told = tree_of(scenario, overrides)
    folder = results_folder(results)
    if "sweep" in tree:
        if view is not None:
            raise FedMFError("view: works for one scenario, not for a study, which keeps its own runs")
        study = cells.of_tree(tree, told)
        with watching(study.name, progress, None, lambda: "") as watcher:
            audited = audits.audit_study(study, folder, watcher, grid)
    else:
        chosen = scenario_file.parse(tree, told)
        seen = None if view is None else (view if isinstance(view, Run) else Run(view)).path
        with watching(chosen.name, progress, None, lambda: "") as watcher:
            audited = audits.audit_scenario(chosen, folder, watcher, grid, seen)
    found = pd.DataFrame([{**keys, **asdict(finding)} for keys, finding in audited.findings])
    found.attrs["path"] = str(audited.path)
    return found
