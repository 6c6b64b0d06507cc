"""Whole runs under masks: the bits of plain runs, what the opening costs, and what a server gets to see."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.backends import SerialBackend
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import resume, run
from fedmf_ray.engine.server_actor import ServerActor
from fedmf_ray.errors import FedMFError
from fedmf_ray.privacy.views import SealedView
from fedmf_ray.study.audit import audit_run
from fedmf_ray.study.estimate import estimate
from tests.study.test_audit import GRID, audited, chosen
from tests.support.small_runs import LOSSES, losses_of, rounds_of, small

RIDGE = {
    "model__rule": "ridge",
    "model__biases": True,
    "model__reg_user": 3.0,
    "model__reg_item": 1.0,
    "protocol__update_bound": 2.0,
    "protocol__min_raters": 2,
}
CASES = {
    "alone": {},
    "full text": {"protocol__part_text_sparsity": 0.0, "cluster__users_per_actor": 7},
    "decoys, three servers": {"protocol__part_text_sparsity": 0.4, "cluster__server_shards": 3},
    "combined, three servers": {"cluster__users_per_actor": 3, "cluster__server_shards": 3},
    "ridge, census, together": RIDGE | {"cluster__users_per_actor": 7},
    "absent, lost, late": RIDGE
    | {"participation": {"share": 0.8, "dropout": 0.2, "late": 0.2, "minimum": 0.0}, "stop__rounds": 6},
}


@pytest.mark.parametrize("case", CASES)
def test_every_round_has_the_losses_of_a_plain_run(tmp_path, case):
    masked = rounds_of(tmp_path, protocol__scheme="masked", **CASES[case])
    plain = rounds_of(tmp_path, protocol__scheme="plain", **CASES[case])
    assert masked[LOSSES].equals(plain[LOSSES])
    assert masked[["uploads", "refused"]].equals(plain[["uploads", "refused"]])


@pytest.mark.parametrize("apart", [1, 3])
def test_a_run_that_goes_on_is_as_if_it_had_never_stopped(tmp_path, apart):
    here = {"protocol__scheme": "masked", "cluster__users_per_actor": apart, "cluster__server_shards": 2}
    folder = run(small(**here), tmp_path, Silent())
    resume(folder, Silent(), ["stop.rounds=6", "cluster.users_per_actor=7"])
    whole = run(small(stop__rounds=6, protocol__scheme="plain"), tmp_path / "whole", Silent())
    assert losses_of(folder).equals(losses_of(whole))


def test_opening_is_measured_and_is_part_of_protocol_seconds(tmp_path):
    rounds = rounds_of(tmp_path, protocol__scheme="masked")
    parts = rounds.filter(regex="^slowest_").sum(axis=1) + rounds["server_cpu_s"] + rounds["open_s"]
    assert parts.tolist() == pytest.approx(rounds["protocol_s"].tolist())
    assert (rounds["open_s"] > rounds["open_cpu_s"]).all()
    assert (rounds["open_cpu_s"] > 0).all()
    others = rounds_of(tmp_path, protocol__scheme="packed")
    assert not others[["open_s", "open_cpu_s", "open_bytes"]].to_numpy().any()


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_estimated_and_charged_bytes_are_those_that_are_sent(tmp_path, sparsity, servers):
    here = {"protocol__part_text_sparsity": sparsity, "cluster__server_shards": servers}
    measured = rounds_of(tmp_path, protocol__scheme="masked", **here).iloc[0]
    charged = rounds_of(tmp_path, protocol__scheme="plain", protocol__charge="masked", **here).iloc[0]
    estimated = estimate(small(protocol__scheme="masked", **here), SerialBackend()).row
    for column in ("upload_bytes_total", "download_bytes_total", "open_bytes"):
        assert charged[column] == measured[column], column
        if not sparsity:  # otherwise the numbers of ratings are drawn
            assert estimated[column] == measured[column], column
    assert charged["open_cpu_s"] > 0
    assert estimated["open_s"] > estimated["open_cpu_s"] > 0


def test_users_who_are_estimated_have_the_layout_of_a_run(tmp_path):
    folder = run(small(protocol__scheme="masked"), tmp_path, Silent())
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["layout"].startswith("masked integers, ")
    users = pd.read_csv(folder / "users.csv.gz")
    assert (users["upload_bytes"] > 0).all()


class TestAServer:
    def test_sees_rows_and_no_value(self, tmp_path):
        folder = run(chosen("server", "masked"), tmp_path, Silent())
        findings = {finding.attack: finding for finding in audit_run(folder, GRID)}
        assert findings["ciphertexts"].recovered == 0
        assert findings["uploaded rows"].rated_precision == findings["uploaded rows"].rated_recall == 1

    def test_in_full_text_sees_no_rows_either(self, tmp_path):
        findings = audited(tmp_path, "server", "masked", part_text_sparsity=0.0)
        assert [finding.recovered for finding in findings if finding.attack == "ciphertexts"] == [0]
        rows = next(finding for finding in findings if finding.attack == "uploaded rows")
        assert rows.rated_precision == pytest.approx(rows.ratings / (8 * 20))

    def test_with_one_users_key_reads_everything(self, tmp_path):
        """As under packed."""
        collusion = {"who": "server", "collusion": True}
        found = [audited(tmp_path, collusion, scheme)[0] for scheme in ("masked", "packed")]
        assert [one.recovered for one in found] == [1, 1]
        assert found[0].adversary == found[1].adversary == "server with a user's key"

    def test_in_a_round_that_nobody_helps_it_with_has_masked_bytes(self, tmp_path):
        from fedmf_ray.privacy.views import load

        folder = run(chosen("server", "masked"), tmp_path, Silent())
        _, views = load(folder / "view")
        assert all(isinstance(view, SealedView) and view.items is None for view in views)
        values = np.concatenate([upload.ciphertexts[:, 0, 13:].ravel() for upload in views[0].uploads])
        assert np.abs(np.bincount(values & 15, minlength=16) / len(values) - 1 / 16).max() < 0.06


def test_a_server_that_cheats_ends_the_run_with_one_line(tmp_path, monkeypatch):
    close = ServerActor.close

    def drop(self, *args):
        closed, *rest = close(self, *args)
        totals = closed.sums.totals.copy()
        totals[2, 0] ^= 1
        sums = dataclasses.replace(closed.sums, totals=totals)
        return dataclasses.replace(closed, sums=sums), *rest

    monkeypatch.setattr(ServerActor, "close", drop)
    with pytest.raises(
        FedMFError, match="^round 0: the sums of server 0 are not opened: .* do not add up"
    ) as it:
        run(small(protocol__scheme="masked"), tmp_path, Silent())
    assert "\n" not in str(it.value)


def test_too_few_uploads_are_not_opened(tmp_path):
    few = {"participation": {"share": 1.0, "dropout": 0.6, "minimum": 0.9}}
    with pytest.raises(FedMFError, match="^round 0: the uploads of . of 7 users arrived, 7 are needed"):
        run(small(protocol__scheme="masked", **few), tmp_path, Silent())
