"""Loss over rounds, any number of runs on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import (
    PAGE_INCHES,
    legend_below,
    new_figure,
    series_styles,
    styled,
)
from fedmf_ray.report.names import distinct, is_central
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Run, need

_PANELS = (("train_mse", "training MSE (stars²)"), ("test_rmse", "test RMSE (stars)"))

_LISTS = ("ndcg", "NDCG of lists")
"""Where lists are measured after rounds (``metrics.every``), not after the last one alone."""

_WITH_LEARNING_RATE = ("sequential", "batch")


@styled
def convergence(runs: Sequence[Run], title: str | None = None, width: float = PAGE_INCHES) -> Figure:
    """Training MSE, test RMSE and NDCG of lists after each round, one line per run; panels without data are
    left out."""
    for run in runs:
        need(run.rounds, [column for column, _ in _PANELS])
    panels = [panel for panel in _PANELS if any(run.rounds[panel[0]].notna().any() for run in runs)]
    if all(_LISTS[0] in run.rounds for run in runs):
        # Rules of lists predict no ratings: their errors never change.
        panels = [panel for panel in panels if any(run.rounds[panel[0]].nunique() > 1 for run in runs)]
        panels.append(_LISTS)
    if not panels:
        raise FedMFError(f"{runs[0].path}: no run has a loss to draw")
    names = distinct([run.label for run in runs], [run.path for run in runs])
    figure, axes = new_figure(width, panels=len(panels), height=3.0)
    for axis, (column, label) in zip(axes, panels, strict=True):
        for run, name, style in zip(runs, names, series_styles(len(runs)), strict=True):
            rounds = run.rounds.dropna(subset=[column])
            marker = "o" if len(rounds) < 3 else None  # a lone round has no line to draw
            axis.plot(rounds["round"], rounds[column], label=name, marker=marker, markersize=3, **style)
        axis.set_xlabel("round (the first is 0)")
        axis.set_title(label)
        lowest, highest = axis.dataLim.intervaly
        if lowest < highest / 2:  # otherwise the line would be flat
            axis.set_ylim(0, 1.05 * highest)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if title or (len(runs) == 1 and width >= PAGE_INCHES):
        figure.suptitle(title or f"{runs[0].label}: {_setting(runs[0])}", x=0.01, ha="left")
    if len(runs) > 1:
        legend_below(figure, axes[0])
    return figure


def _setting(run: Run) -> str:
    model = run.scenario["model"]
    users = f"{int(run.rounds['users'].iloc[0])} users"
    step = f"γ = {model['learning_rate']:g}"
    if is_central(run.scenario):  # its label says which one; only this one has factors, and none has a rule
        return f"{users}, d = {model['factors']}, {step}" if model["algorithm"] == "regular_mf" else users
    rule = f"{model['rule']}, {step}" if model["rule"] in _WITH_LEARNING_RATE else str(model["rule"])
    return f"{users}, d = {model['factors']}, {rule}"


@picture("Losses after each round.", run=10)
def losses(run: Run, width: float) -> Figure:
    return convergence([run], width=width)
