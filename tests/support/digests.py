"""What every scenario computes and sends, as digests: a small cut of each, the same bits whatever is rebuilt.

    python -m tests.support.digests > tests/digests.json      # only when results are meant to change

A cell has the SHA-256 of its losses after every round and of V after the last one, the bytes that users
upload and download, and, where the scenario records a view, of what an adversary saw.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

from fedmf_ray.costs.tariff import Line, UnitCosts
from fedmf_ray.engine import pricing
from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.central import Central
from fedmf_ray.engine.federation import Federation
from fedmf_ray.engine.progress import Silent
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy import views
from fedmf_ray.protocol import upload_rows
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study import cells

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "tests" / "digests.json"
MOST_CELLS = 4

RANKED = ("k", "users", "hit_rate", "precision", "recall", "ndcg")
"""What of the measures of lists is in a digest: as many as there were when the first was taken."""

_PRICES = UnitCosts(*(Line(0.0, 1.0) for _ in range(6)))
"""Seconds are no part of a digest, so a calibrated cell need not measure them."""


def cuts(path: Path):
    """(name, scenario) of some cells of a scenario file, each cut down to a second of work."""
    tree = scenario_file.read(path)
    if "sweep" not in tree:
        yield path.stem, _cut(scenario_file.parse(tree, path.name))
        return
    study = cells.load(path)
    count = len(study.cells)
    for at in sorted({round(k * (count - 1) / (MOST_CELLS - 1)) for k in range(MOST_CELLS)}):
        yield f"{path.stem}/{at}", _cut(study.cells[at].scenario)


MORE = {
    "quickstart, three servers": ("cluster.server_shards=3",),
    "quickstart, some absent or late": ("participation={share: 0.7, dropout: 0.2, late: 0.2, minimum: 0}",),
    "quickstart, census, decoys": ("protocol.min_raters=3", "protocol.part_text_sparsity=0.3"),
    "quickstart, census, full text": ("model.rule=batch", "protocol.min_raters=2",
                                      "protocol.part_text_sparsity=0", "model.learning_rate=0.01"),
    "quickstart, batch": ("model.rule=batch", "model.learning_rate=0.01"),
    "quickstart, sequential, elementwise": ("model.rule=sequential", "model.learning_rate=0.01",
                                            "protocol.scheme=elementwise"),
    "quickstart, elementwise": ("protocol.scheme=elementwise", "cluster.server_shards=2"),
}  # fmt: skip
"""What no scenario file has: by name, the words that change the quickstart."""


def all_cuts():
    """Every cut, in order: those of scenario files, then :data:`MORE`."""
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        yield from cuts(path)
    for name, words in MORE.items():
        yield name, _cut(scenario_file.load(ROOT / "scenarios" / "quickstart.yaml", words))


def _cut(scenario):
    tree = scenario.model_dump(mode="json")
    ratings = tree["ratings"]
    if ratings["source"] == "synthetic":
        ratings |= {"users": min(ratings["users"], 8), "items": min(ratings["items"], 24)}
        ratings["sparsity"] = min(ratings["sparsity"], 0.6)
    else:
        ratings["select"] |= {"users": 14, "items": min(ratings["select"]["items"] or 30, 30)}
        ratings["select"]["min_ratings"] = min(ratings["select"]["min_ratings"], 5) or 0
        ratings["select"]["min_ratings"] = max(
            ratings["select"]["min_ratings"], 4 if tree["test"]["last"] else 3
        )
    tree["model"]["factors"] = min(tree["model"]["factors"], 5)
    pairs = tree["model"].get("item_item") or {}
    if pairs.get("top_items"):
        pairs["top_items"] = min(pairs["top_items"], 20)
    ridge = tree["model"].get("ridge") or {}
    if ridge.get("co_ratings"):
        ridge["co_ratings"] = min(ridge["co_ratings"], 20)
    tree["protocol"]["key_bits"] = 1024
    tree["stop"]["rounds"] = min(tree["stop"]["rounds"], 3)
    tree["cluster"] |= {"backend": "serial", "users_per_actor": 3, "checkpoint_every": "never"}
    if tree["observe"]:
        tree["observe"]["rounds"] = None
        if tree["observe"]["collusion"] == 100:  # of fewer users
            tree["observe"]["collusion"] = 5
    return scenario_file.parse(tree, scenario.name)


def digest(scenario) -> dict:
    """What a run of a scenario computes and sends."""
    backend = SerialBackend()
    same_decoys = SimpleNamespace(randbits=lambda _bits: 7)  # from the operating system otherwise
    with (
        mock.patch.object(pricing, "measure", return_value=_PRICES),
        mock.patch.object(upload_rows, "secrets", same_decoys),
    ):
        if scenario.model.central:
            experiment, items = Central(scenario), lambda: experiment._epoch.item_matrix
        else:
            experiment = Federation(scenario, Plan.of(scenario), backend, Silent())
            items = lambda: experiment._crew.users[0].items_in_the_clear()  # noqa: E731
        done = list(experiment.rounds())
        ranking = experiment.ranking()
    losses = [[one.row[name] for name in ("train_mse", "test_rmse", "test_mae")] for one in done]
    result = {"losses": _sha(np.array(losses)), "items": _sha(items())}
    if "upload_bytes_total" in done[0].row:
        result["upload_bytes"] = [int(one.row["upload_bytes_total"]) for one in done]
        result["download_bytes"] = [int(one.row["download_bytes_total"]) for one in done]
    seen = [one.view for one in done if one.view is not None]
    if seen:
        result["view"] = _sha(*(array for view in seen for array in _arrays(view)))
    if ranking:
        result["ranking"] = _sha(np.array([float(ranking[name]) for name in RANKED]))
    return result


def _arrays(view):
    """What of a view is the same in every run: ciphertexts are not."""
    if not isinstance(view, views.SealedView):
        yield view.items
    for upload in getattr(view, "uploads", ()):
        yield upload.rows
        yield np.array(upload.ciphertexts.shape) if isinstance(view, views.SealedView) else upload.values


def _sha(*arrays) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.where(array == 0, 0, array).astype(array.dtype).tobytes())  # -0.0 is 0.0
    return whole.hexdigest()[:32]


def main() -> None:
    found = {}
    for name, scenario in all_cuts():
        found[name] = digest(scenario)
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
