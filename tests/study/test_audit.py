"""Audits end to end: what is recorded, what each adversary makes of it, and who may not be fooled."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.engine.observation import view_bytes
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.plan import Plan
from fedmf_ray.privacy.views import ClearView, SealedView, UserView, load
from fedmf_ray.report.audit import audit_picture
from fedmf_ray.report.runs import read_audit
from fedmf_ray.scenario import file as scenario_file
from fedmf_ray.study.audit import audit_run

GRID = np.arange(1, 11) / 2


def chosen(observe, scheme="plain", users=8, items=20, **protocol):
    return scenario_file.parse(
        {
            "name": "audited",
            "ratings": {"source": "synthetic", "users": users, "items": items, "sparsity": 0.6},
            "model": {"factors": 30, "learning_rate": 1e-3},
            "protocol": {"scheme": scheme, "key_bits": 1024, **protocol},
            "stop": {"rounds": 3},
            "cluster": {"backend": "serial", "users_per_actor": "auto", "checkpoint_every": "never"},
            "observe": observe,
        },
        "x.yaml",
    )


def audited(tmp_path, *args, **kwargs):
    return audit_run(run(chosen(*args, **kwargs), tmp_path, Silent()), GRID)


def test_a_server_that_reads_gradients_names_every_rating(tmp_path):
    for finding in audited(tmp_path, "server", fraction_bits=40):
        assert finding.adversary == "server"
        if finding.attack == "grid":
            assert finding.recovered == 1
            assert finding.users == 8
        assert finding.rated_precision == finding.rated_recall == 1


def test_full_text_in_the_clear_hides_nothing(tmp_path):
    finding = audited(tmp_path, "server", part_text_sparsity=0.0)[0]
    assert (finding.recovered, finding.rated_precision, finding.rated_recall) == (1, 1, 1)


def test_a_server_with_a_users_key_is_a_server_that_reads(tmp_path):
    """Decrypted uploads are those of the run in the clear, bit for bit, and so is the loot."""
    seen = [
        load(run(chosen(observe, scheme, part_text_sparsity=s), tmp_path, Silent()) / "view")[1]
        for s in (1.0, 0.0)
        for observe, scheme in (("server", "plain"), ({"who": "server", "collusion": True}, "packed"))
    ]
    for plain, decrypted in (seen[:2], seen[2:]):
        for a, b in zip(plain, decrypted, strict=True):
            assert isinstance(a, ClearView)
            assert np.array_equal(a.items, b.items)
            for ours, theirs in zip(a.uploads, b.uploads, strict=True):
                assert ours.user_id == theirs.user_id
                assert np.array_equal(ours.rows, theirs.rows)
                assert np.array_equal(ours.values, theirs.values)
    finding = audited(tmp_path, {"who": "server", "collusion": True}, "packed")[0]
    assert (finding.adversary, finding.recovered) == ("server with a user's key", 1)


def test_ciphertexts_tell_rows_and_nothing_else(tmp_path):
    folder = run(chosen("server", "packed"), tmp_path, Silent())
    _, views = load(folder / "view")
    assert all(isinstance(view, SealedView) for view in views)
    assert all(view.items is None for view in views)
    for upload in views[0].uploads:  # what is not a ciphertext is a number of a user or of rows
        assert upload.ciphertexts.dtype == np.uint8
        assert upload.ciphertexts.shape[1:] == (1, 256)
    findings = {finding.attack: finding for finding in audit_run(folder, GRID)}
    assert findings["ciphertexts"].recovered == 0
    assert findings["uploaded rows"].rated_precision == findings["uploaded rows"].rated_recall == 1


def test_decoys_lower_the_precision_to_its_formula_and_full_text_leaves_nothing(tmp_path):
    scenario = chosen("server", "packed", part_text_sparsity=0.4)
    folder = run(scenario, tmp_path, Silent())
    findings = {finding.attack: finding for finding in audit_run(folder, GRID)}
    users = pd.read_csv(folder / "users.csv.gz").query("round == 0")
    rated = findings["uploaded rows"].ratings
    assert (users["upload_rows"] >= 12).all()
    assert findings["uploaded rows"].rated_precision == pytest.approx(rated / users["upload_rows"].sum())
    assert findings["intersection of 3 rounds"].rated_precision == findings["uploaded rows"].rated_precision
    fresh = [findings[f"WEAKENED: fresh decoys, {n} rounds"].rated_precision for n in (1, 2, 3, 5)]
    assert fresh == sorted(fresh)
    assert fresh[-1] > 0.9 > fresh[0]
    full = audited(tmp_path, "server", "packed", part_text_sparsity=0.0)
    attacks = [finding.attack for finding in full]
    assert attacks[:3] == ["ciphertexts", "uploaded rows", "intersection of 3 rounds"]
    assert not any("popularity" in attack or "WEAKENED" in attack for attack in attacks)
    assert full[1].rated_precision == pytest.approx(rated / (8 * 20))  # no better than the base rate


@pytest.mark.parametrize("scheme", ["plain", "packed"])
def test_a_curious_user_sees_the_same_under_encryption_and_min_raters_blinds_it(tmp_path, scheme):
    table = tmp_path / "r.csv"
    lone = [(user, 100 * user + item) for user in (1, 2, 3) for item in range(8)]
    shared = [(user, item) for user in (1, 2, 3) for item in range(6)]
    table.write_text(
        "user,item,rating\n" + "".join(f"{u},{i},{(u + i) % 9 / 2 + 0.5}\n" for u, i in shared + lone)
    )
    rates = []
    for min_raters in (1, 2):
        source = {"source": "file", "path": str(table), "select": {"min_raters": min_raters}}
        tree = yaml.safe_load(chosen("user", scheme).to_yaml()) | {"ratings": source}
        first = audit_run(run(scenario_file.parse(tree, "x"), tmp_path, Silent()), GRID)[0]
        rates.append((first.ratings, first.recovered))
    assert rates[0][0] == 24 + 18
    assert rates[0][1] * rates[0][0] >= 22  # of 24: the odd row may stand apart from its group
    assert rates[1][0] == 18
    assert rates[1][1] == 0


@pytest.mark.parametrize(("scheme", "share"), [("packed", 0.5), ("packed", 1.0), ("plain", 1.0)])
def test_rounds_that_some_users_or_all_of_them_missed_are_attacked(tmp_path, scheme, share):
    """A user who is not there tells nothing new; a round may also end without any upload."""
    tree = chosen("server", scheme).model_dump(mode="json")
    tree["participation"] = {"share": share, "dropout": 0.0 if share < 1 else 0.95}
    findings = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)
    if share < 1:
        (together,) = (found for found in findings if found.attack == "intersection of 3 rounds")
        assert together.rated_precision == together.rated_recall == 1
    else:
        assert all(not found.recovered and not found.rated_recall for found in findings)


def test_a_run_that_is_not_observed_records_nothing_and_an_observed_one_ends_the_same(tmp_path):
    folders = [run(chosen(observe), tmp_path, Silent()) for observe in (None, "server", "user")]
    losses = [pd.read_csv(folder / "rounds.csv")["train_mse"].tolist() for folder in folders]
    assert losses[0] == losses[1] == losses[2]
    assert not (folders[0] / "view").exists()
    assert isinstance(load(folders[2] / "view")[1][0], UserView)
    for path in (folders[1] / "view").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_view_that_would_be_too_large_stops_the_run_before_it_starts(tmp_path):
    observe = {"who": "server", "largest_gb": 1e-5}
    with pytest.raises(
        FedMFError, match=r"a view of 3 rounds takes about .* GB, more than observe.largest_gb"
    ):
        run(chosen(observe), tmp_path, Silent())
    assert not any(tmp_path.iterdir())


def test_the_estimated_size_of_a_view_is_about_its_size(tmp_path):
    for observe, scheme in (("server", "plain"), ("server", "packed"), ("user", "plain")):
        scenario = chosen(observe, scheme, users=25)
        folder = run(scenario, tmp_path, Silent())
        size = sum(path.stat().st_size for path in (folder / "view").glob("round-0000.npz"))
        estimated = view_bytes(Plan.of(scenario), observe, clear=scheme == "plain")
        assert estimated == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "view" / "agreed.json").unlink(), "holds no view"),
        (lambda folder: [path.unlink() for path in folder.glob("view/*.npz")], "holds no round"),
        (lambda folder: (folder / "view" / "round-0001.npz").write_bytes(b"PK"), "is not a whole view"),
        (lambda folder: (folder / "view" / "round-0001.npz").unlink(), "no two consecutive rounds"),
        (lambda folder: edit(folder, rule="adam"), "no rule 'adam': one of "),
        (lambda folder: edit(folder, colour="red"), "is not a whole view"),
    ],
)
def test_a_view_that_cannot_be_used_is_named(tmp_path, change, message):
    folder = run(chosen({"who": "user", "rounds": [0, 1]}), tmp_path, Silent())
    change(folder)
    with pytest.raises(FedMFError, match=message):
        audit_run(folder, GRID)


def edit(folder, **changes):
    path = folder / "view" / "agreed.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def invoke(*words):
    return CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)


def test_the_command_prints_a_table_and_writes_findings_and_a_picture(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(chosen("server").to_yaml())
    done = invoke("audit", path, "--results", tmp_path / "results")
    assert "ratings recovered" in done.stdout
    assert "100.00 %" in done.stdout
    (folder,) = (tmp_path / "results" / "audited").iterdir()
    assert json.loads((folder / "audit.json").read_text())[0]["recovered"] == 1
    assert (folder / "audit.png").stat().st_size > 10_000
    again = invoke("audit", path, "--view", folder)
    assert "100.00 %" in again.stdout
    with pytest.raises(FedMFError, match="is a run of another scenario"):
        invoke("audit", path, "seed=9", "--view", folder)


def test_the_command_audits_every_cell_of_a_study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(chosen("server").to_yaml() + "sweep:\n  protocol.fraction_bits: [20, 40]\n")
    done = invoke("audit", path, "--results", tmp_path)
    assert done.stdout.count("grid") == 4  # two pairs of rounds in each of two cells
    (found,) = tmp_path.glob("audited/study-*/audit.json")
    assert {row["keys"]["protocol.fraction_bits"] for row in json.loads(found.read_text())} == {20, 40}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["observe=null"], "observe: is missing"),
        (["--scale", "5:1:1"], "--scale 5:1:1: reads LOW:HIGH:STEP"),
        (["observe=spy"], "observe.who: 'spy' should be 'server' or 'user'"),
        (["observe={who: server, collusion: [77]}"], "observe.collusion: there is no user 77"),
        (["observe={who: server, collusion: [1, 1]}"], "collusion: names a user twice"),
        (["observe={who: server, collusion: 8}"], "collusion: 8 of 8 users leave nobody to attack"),
        (["observe={who: server, collusion: [spy]}"], "observe.collusion"),
        (["observe={who: server, rounds: [7]}"], "observe.rounds: the run has rounds 0 to 2 only"),
        (["model.algorithm=regular_mf"], "regular_mf has neither server nor users"),
    ],
)
def test_what_cannot_be_audited_is_one_clear_line(tmp_path, words, message):
    path = tmp_path / "s.yaml"
    path.write_text(chosen("server").to_yaml())
    with pytest.raises(FedMFError, match=message):
        invoke("audit", path, "--results", tmp_path / "results", *words)


def test_a_cell_that_diverged_is_named_and_the_others_are_attacked(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(chosen("server").to_yaml() + "sweep:\n  model.learning_rate: [0.001, 9.0]\n")
    done = invoke("audit", path, "--results", tmp_path)
    assert done.exit_code == 1
    assert "diverged: cell 1 (model.learning_rate=9.0)" in done.stderr
    assert done.stdout.count("closed form") == 2


@pytest.mark.parametrize(("observe", "readable"), [("server", True), ("user", False)])
def test_biases_under_a_gradient_rule_are_read_by_no_attack_and_count_as_given_away(
    tmp_path, observe, readable
):
    """Nobody has written that attack. A server that sees the numbers would need no more than one."""
    path = tmp_path / "s.yaml"
    path.write_text(chosen(observe).to_yaml())
    done = invoke("audit", path, "model.biases=true", "--results", tmp_path / "results")
    assert ("all: readable" if readable else "unknown") in done.stdout
    (found,) = (tmp_path / "results").glob("audited/*/audit.json")
    (finding,) = json.loads(found.read_text())
    assert finding["recovered"] is None
    assert finding["readable"] is readable
    assert finding["attack"] == "none known on rule sequential with biases"
    assert "readable" not in audit_picture(read_audit(found.parent)).axes[0].get_yticklabels()[0].get_text()


def test_the_gradient_attack_reads_past_the_column_of_raters(tmp_path):
    tree = chosen({"who": "server", "rounds": [1, 2]}, fraction_bits=40, min_raters=2).model_dump(mode="json")
    finding = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)[0]
    assert finding.rated_precision == 1
    assert 0.8 < finding.rated_recall <= 1
    assert finding.recovered == pytest.approx(finding.rated_recall)


def test_a_server_of_shared_ciphertexts_knows_blocks(tmp_path):
    """Three rows a block: whoever takes all rows of an uploaded block for rated misses none, and errs."""
    tree = chosen("server", "packed", items=60).model_dump(mode="json")
    tree["model"]["factors"] = 12
    findings = audit_run(run(scenario_file.parse(tree, "x.yaml"), tmp_path, Silent()), GRID)
    uploaded = next(finding for finding in findings if finding.attack == "uploaded rows")
    assert uploaded.rated_recall == 1
    assert 0.4 < uploaded.rated_precision < 0.9
