"""Compare estimates and calibrated runs with real runs: ratios per phase, for scenarios of different shapes.

python benchmarks/estimates.py [-o FILE]      (needs ml-latest-small; ten to fifteen minutes on two cores)

Each scenario runs under real encryption, and then as a calibrated run: on unencrypted integers, charged for
the encryption. It is also estimated without a run, once before and once after; the mean of both estimates
is used, because the speed of a shared machine drifts. A ratio of 1.10 means that the estimated or charged
figure is ten percent above the measured one. Seconds of users are means over users and rounds. The exit
code is 1 if fewer than six scenarios are within 20 percent on every phase.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import pandas as pd

from fedmf_ray.engine import pricing
from fedmf_ray.engine.backends import open_backend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.report.runs import read_run
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.estimate import estimate

PHASES = {
    "decrypt": "user_decrypt_cpu_s_mean",
    "update": "user_update_cpu_s_mean",
    "encrypt": "user_encrypt_cpu_s_mean",
    "seal": "seal_cpu_s",
    "server": "server_cpu_s",
    "protocol": "protocol_s",
    "upload": "upload_bytes_total",
    "download": "download_bytes_total",
}
TOLERANCE, ENOUGH = 0.2, 6

MOVIELENS = {"source": "movielens", "dataset": "ml-latest-small"}


def synthetic(users: int, items: int, sparsity: float) -> dict:
    return {"source": "synthetic", "users": users, "items": items, "sparsity": sparsity}


SCENARIOS = {
    "all of MovieLens, 160 items, part text": (MOVIELENS | {"select": {"items": 160, "min_ratings": 0}},
        {"factors": 100}, {"key_bits": 3072}),
    "50 of MovieLens, 320 items, full text": (MOVIELENS | {"select": {"items": 320, "users": 50}},
        {"factors": 100}, {"key_bits": 2048, "part_text_sparsity": 0.0}),
    "1,000 users, few factors, batch": (synthetic(1000, 200, 0.9), {"factors": 10, "rule": "batch"},
        {"key_bits": 2048}),
    "few users, many items": (synthetic(20, 1000, 0.95), {"factors": 100}, {"key_bits": 3072}),
    "long ciphertexts, half decoys": (synthetic(60, 100, 0.9), {"factors": 65},
        {"key_bits": 4096, "part_text_sparsity": 0.5}),
    "heavy raters": (synthetic(40, 300, 0.3), {"factors": 30}, {"key_bits": 2048}),
    "ridge, four rows per ciphertext": (synthetic(60, 4000, 0.97),
        {"factors": 30, "rule": "ridge", "biases": True, "mean": 3.0, "reg_user": 5.0, "reg_item": 5.0},
        {"key_bits": 3072, "fraction_bits": 12, "value_bound": 4, "update_bound": 1.5}),
    "prototype, part text": (synthetic(12, 40, 0.7), {"factors": 20},
        {"scheme": "elementwise", "key_bits": 1024}),
    "prototype, full text": (synthetic(8, 20, 0.5), {"factors": 20, "rule": "batch"},
        {"scheme": "elementwise", "key_bits": 2048, "part_text_sparsity": 0.0}),
}  # fmt: skip


def compare(name: str, ratings: dict, model: dict, protocol: dict, results: Path) -> list[dict]:
    """A row for the estimate and one for the calibrated run: each phase as a ratio to the measured one."""
    tree = {
        "name": "validation",
        "ratings": ratings,
        "model": model | {"learning_rate": 1e-4},
        "protocol": protocol,
        "stop": {"rounds": 2},
        "cluster": {"users_per_actor": "auto"},
    }
    real = scenario_file.parse(tree, name)
    scheme = real.protocol.scheme
    charged = scenario_file.parse(tree | {"protocol": protocol | {"scheme": "plain", "charge": scheme}}, name)

    def means(scenario):
        return read_run(run(scenario, results, Silent())).rounds[list(PHASES.values())].mean()

    def fresh_estimate():
        pricing._unit_costs.clear()
        return pd.Series(estimate(real, open_backend(real.cluster)).row)[list(PHASES.values())].astype(float)

    before = fresh_estimate()
    measured = means(real)
    modelled = {"estimated": (before + fresh_estimate()) / 2, "charged": means(charged)}
    shape = f"{scheme} {real.protocol.key_bits}"
    return [
        {"scenario": name, "scheme": shape, "basis": basis, "protocol_s measured": measured["protocol_s"]}
        # Where nobody seals, both say so.
        | {phase: (row[column] or 1) / (measured[column] or 1) for phase, column in PHASES.items()}
        for basis, row in modelled.items()
    ]


@click.command(help=__doc__)
@click.option("--only", default="", help="Only scenarios whose name contains this.")
@click.option("-o", "--output", type=Path, help="Also write the table as CSV.")
def main(only: str, output: Path | None) -> None:
    backend = open_backend(scenario_file.parse(
        {"name": "x", "ratings": synthetic(1, 1, 0.0)}, "x").cluster)  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory() as results:
        for name, parts in SCENARIOS.items():
            if only in name:
                rows += compare(name, *parts, Path(results))
                click.echo(
                    pd.DataFrame(rows[-2:]).to_string(index=False, header=len(rows) == 2, float_format="%.3g")
                )
    backend.close()
    table = pd.DataFrame(rows)
    if output:
        table.to_csv(output, index=False)
    off = (table[list(PHASES)] - 1).abs().max(axis=1) > TOLERANCE
    for basis, missed in off.groupby(table["basis"]):
        click.echo(
            f"{basis}: {(~missed).sum()} of {len(missed)} scenarios within {TOLERANCE:.0%} on every phase"
        )
    sys.exit(0 if only or (~off).groupby(table["basis"]).sum().min() >= ENOUGH else 1)


if __name__ == "__main__":
    main()
