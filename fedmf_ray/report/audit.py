"""What an audit found: how much each attack recovers, or leak against cost along the sparsity dial.

python analysis/audit.py RUN_OR_STUDY [-o FILE]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pandas as pd
from matplotlib.figure import Figure

from fedmf_ray.errors import FedMFError
from fedmf_ray.report.figures import PAGE_INCHES, drawing, line_looks, new_figure, save, styled
from fedmf_ray.report.runs import read_audit, read_study

_DIAL = "protocol.part_text_sparsity"
_COLUMNS = ("adversary", "attack", "round", "rounds", "ratings", "recovered", "users", "rated_precision",
            "rated_recall", "cpu_s")  # fmt: skip


@styled
def audit_picture(findings: pd.DataFrame) -> Figure:
    """A bar per finding: the share of ratings recovered, and how often "this user rated it" was right."""
    keys = [str(column) for column in findings if column not in _COLUMNS]
    labels = [_label(row, keys) for row in findings.to_dict("records")]
    figure, axes = new_figure(PAGE_INCHES, 0.9 + 0.19 * len(labels), panels=2)
    panels = (("recovered", "ratings recovered (%)"), ("rated_precision", "rated items: precision (%)"))
    for axis, (column, title) in zip(axes, panels, strict=True):
        shares = 100 * findings[column].astype(float)
        axis.barh(labels, shares.fillna(0), color="#0b2c55", height=0.6)
        for at, share in enumerate(shares):
            text = "n/a" if share != share else f"{share:.2f}" if 0 < share < 100 else f"{share:.0f}"
            axis.annotate(text, (min(share, 100) if share == share else 0, at), (3, 0), va="center",
                          textcoords="offset points", fontsize=6.5)  # fmt: skip
        axis.set_xlim(0, 118)
        axis.set_xticks([0, 25, 50, 75, 100])
        axis.set_title(title)
        axis.grid(visible=False, axis="y")
    for axis in axes:
        axis.set_ylim(len(labels) - 0.4, -0.6)
    axes[1].set_yticklabels([])
    return figure


@styled
def leak_and_cost(findings: pd.DataFrame, study: pd.DataFrame) -> Figure:
    """Along the dial: how sure a server is that an uploaded row is a rated one, and what that is paid with.

    study: ``study.csv`` of the same study. Decryption, which the dial hardly moves, is left out.
    """
    if _DIAL not in findings or findings[_DIAL].nunique() < 2:
        raise FedMFError(f"the study did not sweep {_DIAL}")
    figure, axes = new_figure(PAGE_INCHES, 3.0, panels=3)
    attacks = {
        "uploaded rows": "guess every one",
        "uploaded rows, by popularity": "guess popular ones",
        "WEAKENED: fresh decoys, 3 rounds": "were decoys fresh",
    }
    means = study.groupby(_DIAL).mean(numeric_only=True)
    megabytes = means["upload_bytes_total"] / means["users"] / 1e6
    panels: list[tuple[str, dict[str, pd.Series]]] = [
        ("uploaded rows that are rated (%)", {
            label: 100 * findings[findings["attack"] == attack].groupby(_DIAL)["rated_precision"].first()
            for attack, label in attacks.items()}),
        ("MB uploaded a user (counted)", {"": megabytes}),
        ("CPU seconds a round", {
            "encrypt, mean user": means["user_encrypt_cpu_s_mean"],
            "server, all users": means["server_cpu_s"]}),
    ]  # fmt: skip
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for (label, line), look in zip(lines.items(), line_looks(["measured"] * len(lines)), strict=True):
            axis.plot(line.index, line.to_numpy(), label=label, **look)
        axis.set_ylim(0, 1.05 * max(line.max() for line in lines.values()))
        axis.set_xlim(-0.03, 1.03)
        axis.set_xlabel("part_text_sparsity")
        axis.set_title(title)
        if len(lines) > 1:
            axis.legend(loc="upper left", bbox_to_anchor=(-0.12, -0.22), handlelength=2.5)
    return figure


def _label(row: dict[Any, Any], keys: list[str]) -> str:
    setting = ", ".join(f"{key.rpartition('.')[2]} {row[key]}" for key in keys)
    return f"{setting}{': ' if setting else ''}{row['attack']}, round {row['round']}"


@click.command(help=__doc__.splitlines()[0])
@click.argument("path", metavar="RUN_OR_STUDY")
@click.option("--dial", is_flag=True, help="Leak against cost along the sparsity dial.")
@click.option("-o", "--output", type=Path, default=Path("audit.png"), show_default=True)
@drawing
def main(path: str, dial: bool, output: Path) -> None:
    findings = read_audit(path)
    figure = leak_and_cost(findings, read_study(path)) if dial else audit_picture(findings)
    click.echo(save(figure, output))
