"""What the page of a run leads with: quality, protection and cost, each figure with its unit and kind."""

from __future__ import annotations

import pandas as pd

from fedmf_ray.report.breakdown import PARTS
from fedmf_ray.report.names import is_central, protected_by
from fedmf_ray.report.page_tables import Rows, cost_name, measure, number
from fedmf_ray.report.protecting import who_reads
from fedmf_ray.report.runs import Run, read_audit

_ERRORS = {
    "train_mse": "training MSE (squared units of ratings)",
    "test_rmse": "test RMSE (units of ratings)",
    "test_mae": "test MAE (units of ratings)",
}
_SECONDS = ("protocol_s", *PARTS.values())
_BYTES = ("upload_bytes_total", "download_bytes_total")


def quality(run: Run) -> Rows:
    """How the run ended, errors of its last round, and what its lists are measured by."""
    last, count = run.rounds.iloc[-1], len(run.rounds)
    rows = [["status", f"{run.summary['status']} after {count} round{'s' * (count != 1)}"]]
    if run.summary.get("reason"):
        rows.append(["reason", str(run.summary["reason"])])
    for column, name in _ERRORS.items():
        if column in last and not pd.isna(last[column]):
            rows.append([f"{name}, last round", number(column, last[column])])
            if column == "train_mse":
                root = max(float(last[column]), 0.0) ** 0.5
                rows.append(["training RMSE (units of ratings), last round", number("", root)])
    if ranking := run.summary.get("ranking"):
        lists = f", lists of {ranking['k']}" if "k" in ranking else ""
        found = {name: value for name, value in ranking.items() if name not in ("k", "users")}
        rows += [[f"{name}{lists}", measure(value)] for name, value in found.items()]
        if "users" in ranking:
            rows.append(["users whose lists were measured", str(ranking["users"])])
    return Rows(rows=rows, words=True)


def protection(run: Run) -> Rows:
    """Who can read what, in words, what was recorded for adversaries, and what an audit recovered."""
    central = is_central(run.scenario)
    rows = [["baseline" if central else "protection", protected_by(run.scenario)]]
    rows += [["who reads what" if not at else "", line] for at, line in enumerate(who_reads(run.scenario))]
    if observed := run.scenario.get("observe"):
        rows.append(["recorded for an audit", _words(observed)])
    if (run.path / "audit.json").exists():
        findings = read_audit(run.path)
        shares = findings["recovered"].astype(float)
        if "readable" in findings:  # what an adversary reads, and no attack here knows, is given away
            shares = shares.mask(shares.isna() & findings["readable"].astype(bool), 1.0)
        worst = f"{100 * shares.max():.4g} % of ratings" if shares.notna().any() else "no rating"
        rows.append(
            [
                "audit, worst attack",
                f"{worst} recovered exactly, or readable ({len(findings)} attacks; table below)",
            ]
        )
    elif not central:
        rows.append(["audit", "none: this run has not been attacked (fedmf-ray audit)"])
    return Rows(rows=rows, words=True)


def cost(run: Run) -> Rows:
    """Means over rounds: each figure with its unit and its kind (measured, charged, counted, derived)."""
    means = run.rounds.mean(numeric_only=True)
    basis = str(run.rounds["basis"].iloc[-1]) if "basis" in run.rounds else "measured"
    rows = [[f"{cost_name(column)}, mean round", f"{number(column, means[column])} s", _kind(column, basis)]
            for column in (*_SECONDS, "cpu_s", "wall_s") if column in means]  # fmt: skip
    rows += [[f"{cost_name(column)}, mean round, all users", f"{number(column, means[column])} MB", "counted"]
             for column in _BYTES if column in means]  # fmt: skip
    last = run.rounds.iloc[-1]
    rows += [[column.replace("_", " "), number(column, last[column]), "counted"]
             for column in ("users", "user_actors") if column in last]  # fmt: skip
    return Rows(["what", "figure", "kind"], rows, words=True)


def _kind(column: str, basis: str) -> str:
    """Of a column of seconds: what one device per user would take is derived, whatever it rests on."""
    if column in ("wall_s", "cpu_s"):
        return "measured"
    if column == "server_cpu_s":
        return basis
    return "derived" if basis == "measured" else f"derived, {basis}"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_words(part)}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
