"""What an audit found: how much each attack recovers, or leak against cost along the sparsity dial."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, line_looks, new_figure, styled
from fedmf_ray.report.names import SPARSITY, describe, marked
from fedmf_ray.report.pictures import picture
from fedmf_ray.report.runs import Run, Study, read_audit, with_basis
from fedmf_ray.report.series import title

_COLUMNS = ("adversary", "attack", "round", "rounds", "ratings", "recovered", "users", "rated_precision",
            "rated_recall", "cpu_s", "readable")  # fmt: skip

_Curve = tuple[str, str, "pd.Series[float]"]
"""Name, basis and values over the dial."""


@styled
def audit_picture(findings: pd.DataFrame, width: float = PAGE_INCHES) -> Figure:
    """A bar per finding: the share of ratings recovered, and how often "this user rated it" was right."""
    keys = [str(column) for column in findings if column not in _COLUMNS]
    several = "adversary" in findings and findings["adversary"].nunique() > 1
    labels = [_label(row, keys, several) for row in findings.to_dict("records")]
    places = range(len(labels))  # by position: two bars of one name would be drawn over each other
    figure, axes = new_figure(width, 0.9 + 0.19 * len(labels), panels=2)
    panels = (("recovered", "ratings recovered (%)"), ("rated_precision", "rated items: precision (%)"))
    for axis, (column, heading) in zip(axes, panels, strict=True):
        shares = 100 * findings[column].astype(float)
        axis.barh(places, shares.fillna(0), color="#0b2c55", height=0.6)
        for at, share in enumerate(shares):
            text = "n/a" if share != share else f"{share:.2f}" if 0 < share < 100 else f"{share:.0f}"
            axis.annotate(text, (min(share, 100) if share == share else 0, at), (3, 0), va="center",
                          textcoords="offset points", fontsize=6.5)  # fmt: skip
        axis.set_xlim(0, 118)
        axis.set_xticks([0, 25, 50, 75, 100])
        axis.set_title(heading)
        axis.grid(visible=False, axis="y")
    for axis in axes:
        axis.set_ylim(len(labels) - 0.4, -0.6)
    axes[0].set_yticks(places, labels)
    axes[1].set_yticks(places, [])
    return figure


@styled
def leak_and_cost(findings: pd.DataFrame, study: pd.DataFrame) -> Figure:
    """Along the dial: how sure a server is that an uploaded row is a rated one, and what that is paid with.

    study: ``study.csv`` of the same study. Reading V, which the dial hardly moves, is left out.
    """
    if SPARSITY not in findings or findings[SPARSITY].nunique() < 2:
        raise FedMFError(f"the study did not sweep {SPARSITY}")
    figure, axes = new_figure(PAGE_INCHES, 3.0, panels=3)
    attacks = {
        "uploaded rows": "guess every one",
        "uploaded rows, by popularity": "guess popular ones",
        "WEAKENED: fresh decoys, 3 rounds": "were decoys fresh",
    }
    leaks = [
        (label, "measured", 100 * found.groupby(SPARSITY)["rated_precision"].first())
        for attack, label in attacks.items()
        if (found := findings[findings["attack"] == attack])["rated_precision"].notna().any()
    ]
    megabytes, seconds = list[_Curve](), list[_Curve]()
    for basis, rows in with_basis(study).groupby("basis", sort=False):  # no line has seconds of two kinds
        means, kind = rows.groupby(SPARSITY).mean(numeric_only=True), str(basis)
        carried = means["upload_bytes_total"] / means["users"] / 1e6
        megabytes.append((marked("upload", kind), kind, carried))
        prepared, served = means["user_encrypt_cpu_s_mean"], means["server_cpu_s"]
        seconds.append((marked("prepare upload, mean user", kind), kind, prepared))
        seconds.append((marked("server, all users", kind), kind, served))
    bases = [kind for _, kind, _ in megabytes]
    panels = [
        ("uploaded rows that are rated (%)", leaks),
        (title("MB uploaded per user", "counted", bases), megabytes),
        (title("CPU s per round", "measured", bases), seconds),
    ]
    for axis, (heading, curves) in zip(axes, panels, strict=True):
        looks = line_looks([kind for _, kind, _ in curves])
        for (label, _, points), look in zip(curves, looks, strict=True):
            axis.plot(points.index, points.to_numpy(), label=label, **look)
        axis.set_ylim(0, 1.05 * max((points.max() for _, _, points in curves), default=1.0))
        axis.set_xlim(-0.03, 1.03)
        axis.set_xlabel("part_text_sparsity")
        axis.set_title(heading)
        if len(curves) > 1:
            axis.legend(loc="upper left", bbox_to_anchor=(-0.12, -0.22), handlelength=2.5)
    return figure


def _label(row: dict[Any, Any], keys: list[str], with_adversary: bool) -> str:
    setting = describe({key: row[key] for key in keys})
    who = f"{row['adversary']}, " if with_adversary else ""
    return f"{setting}{': ' if setting else ''}{who}{row['attack']}, round {row['round']}"


@picture("What adversaries recover.", run=90, study=90, broad=True)
def what_adversaries_recover(folder: Run | Study, width: float) -> Figure:
    return audit_picture(read_audit(folder.path), width)
