"""What users would be shown: nonsense before training, their taste after it, and only by the users' side."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from fedmf_ray.cli.main import cli
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.recommend import recommend
from fedmf_ray.engine.run import checkpoints_of, run
from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.movielens import titles
from fedmf_ray.scenario import file as scenario_file
from tests.support.movielens import expect
from tests.support.small_runs import small

USERS, FILMS = 24, 40


@pytest.fixture(scope="module")
def two_tastes(tmp_path_factory):
    """A data folder: odd users love odd films and dislike even ones, even users the other way round."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, USERS + 1):
        for film in sorted(random.choice(np.arange(1, FILMS + 1), 20, replace=False)):
            stars = random.choice([4.5, 5.0]) if film % 2 == user % 2 else random.choice([0.5, 1.0])
            lines.append(f"{user},{film},{stars},{film}")
    (folder / "ml-latest-small").mkdir()
    (folder / "ml-latest-small" / "ratings.csv").write_text("\n".join(lines) + "\n")
    names = [f'{film},"Film [{film}], The",Drama' for film in range(1, FILMS + 1)]
    (folder / "ml-latest-small" / "movies.csv").write_text("\n".join(["movieId,title,genres", *names]) + "\n")
    return folder


def scenario(**changes):
    tree = {
        "name": "tastes",
        "ratings": {"source": "movielens"},
        "test": {"fraction": 0.1},
        "model": {
            "rule": "ridge", "factors": 3, "biases": True, "mean": 3.0, "init_scale": 0.1,
            "reg_user": 1.0, "reg_item": 1.0,
        },
        "protocol": {"key_bits": 1024, "update_bound": 4.0},
        "stop": {"rounds": 7},
        "cluster": {"backend": "serial", "users_per_actor": 5, "server_shards": 2},
    }  # fmt: skip
    for dotted, value in changes.items():
        scenario_file.assign(tree, dotted.replace("__", "."), value)
    return scenario_file.parse(tree, "tastes.yaml")


@pytest.fixture
def data(two_tastes, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(two_tastes))
    expect(monkeypatch, "ml-latest-small", USERS * 20)


def numbers(shown):
    return [int(one.title[6:].partition("]")[0]) for one in shown]


@pytest.mark.parametrize("user", [3, 18])
def test_after_training_it_is_the_users_taste(data, tmp_path, user):
    folder = run(scenario(), tmp_path, Silent())
    found = recommend(folder, user, 5)
    assert found.rounds == 7
    assert all(film % 2 == user % 2 for film in numbers(found.after))
    assert not all(film % 2 == user % 2 for film in numbers(found.before))
    assert all(film % 2 == user % 2 for film in numbers(found.liked))
    assert min(one.stars for one in found.after) > 4
    assert max(one.stars for one in found.before) < 4
    assert [one.stars for one in found.after] == sorted((one.stars for one in found.after), reverse=True)


def test_popularity_lifts_what_many_have_rated(data, tmp_path):
    """With enough of it, a user is shown what most have rated, whatever its taste."""
    folder = run(scenario(metrics__popularity=1e3), tmp_path, Silent())
    found = recommend(folder, 3, 10)
    assert {film % 2 for film in numbers(found.after)} == {0, 1}
    printed = CliRunner().invoke(cli, ["recommend", str(folder), "--user", "3"])
    assert "sorted by stars + 1000 ln(1 + number of raters)" in printed.output


def test_titles_that_were_held_out_are_marked_and_trained_ones_left_out(data, tmp_path):
    folder = run(scenario(), tmp_path, Silent())
    found = recommend(folder, 3, FILMS)
    known = {film: one.held_out for film, one in zip(numbers(found.after), found.after, strict=True)}
    assert sum(stars is not None for stars in known.values()) == 2  # a tenth of twenty
    assert all((stars > 2) == (film % 2 == 1) for film, stars in known.items() if stars is not None)
    assert not set(numbers(found.liked)) & set(known)
    assert len(found.liked) + len(known) == FILMS


def test_encrypted_and_plain_runs_show_the_same(data, tmp_path):
    shown = [
        recommend(run(scenario(protocol__scheme=scheme), tmp_path, Silent()), 8, 5)
        for scheme in ("packed", "plain", "masked", "committee")
    ]
    assert shown[0] == shown[1] == shown[2]


def test_a_rule_of_lists_shows_scores_and_no_stars(data, tmp_path):
    pairs = {"rule": "item_item", "item_item": {"reg": 5.0}}
    folder = run(scenario(model=pairs, stop={"rounds": 2}), tmp_path, Silent())
    found = recommend(folder, 3, 5)
    assert all(film % 2 == 1 for film in numbers(found.after))
    assert found.scored
    assert max(abs(one.stars) for one in found.after) < 2
    printed = CliRunner().invoke(cli, ["recommend", str(folder), "--user", "3"])
    assert "lists show scores: this rule predicts no ratings" in printed.output


def test_the_run_folder_alone_is_not_enough(data, tmp_path):
    """It takes what lies on the users' side: the vectors and the key."""
    chosen = scenario()
    folder = run(chosen, tmp_path, Silent())
    shutil.rmtree(checkpoints_of(folder, chosen).folder / "users")
    with pytest.raises(FedMFError, match="cannot be read"):
        recommend(folder, 3, 5)


def test_an_edited_run_is_refused(data, tmp_path):
    folder = run(scenario(), tmp_path, Silent())
    text = (folder / "scenario.yaml").read_text()
    (folder / "scenario.yaml").write_text(text.replace("reg_user: 1.0", "reg_user: 2.0"))
    with pytest.raises(FedMFError, match=r"model.reg_user: is 2.0, the run was started with 1.0"):
        recommend(folder, 3, 5)


@pytest.mark.parametrize(
    ("user", "changes", "message"),
    [
        (99, {}, "has no user 99: 24 users, 1 to 24"),
        (3, {"cluster__checkpoint_every": "never"}, "ran without checkpoints"),
    ],
)
def test_what_cannot_be_shown_is_said(data, tmp_path, user, changes, message):
    folder = run(scenario(**changes), tmp_path, Silent())
    with pytest.raises(FedMFError, match=message):
        recommend(folder, user, 5)


def test_what_is_no_run_folder_is_said(tmp_path):
    with pytest.raises(FedMFError, match="is no run folder"):
        recommend(tmp_path, 1, 5)


def test_users_who_make_their_own_ratings_are_shown_items_too(tmp_path):
    """The demo: of synthetic users, the one that is asked for is made again from the recipe."""
    folder = run(small(), tmp_path, Silent())
    found = recommend(folder, 7, 12)
    trained = {one.title for one in recommend(folder, 7, 12).liked}
    assert found.user == "7"
    assert len(found.liked) + len(found.after) == 12
    assert not trained & {one.title for one in found.after}
    assert sum(one.held_out is not None for one in found.after) == 2
    with pytest.raises(FedMFError, match="has no user 8: 7 users, 1 to 7"):
        recommend(folder, 8, 12)


def test_a_central_baseline_says_that_it_keeps_no_checkpoint(tmp_path):
    folder = run(small(model__algorithm="biases"), tmp_path, Silent())
    with pytest.raises(FedMFError, match="biases is a central baseline, which keeps no checkpoint"):
        recommend(folder, 1, 5)


def test_the_command_prints_three_lists(data, tmp_path):
    folder = run(scenario(), tmp_path, Silent())
    printed = CliRunner().invoke(cli, ["recommend", str(folder), "--user", "3", "-n", "4"])
    assert printed.exit_code == 0, printed.output
    head, *lines = printed.output.splitlines()
    assert head.split("  ")[0] == "user 3 rated highest"
    assert "after 7 rounds" in head
    assert len([line for line in lines if line.count("Film [") == 3]) == 4


@pytest.mark.parametrize(
    ("name", "folder", "file", "text"),
    [
        ("ml-1m", "ml-1m", "movies.dat", "1::Caf\xe9, Le (1991)::Drama\n2::Two: A Film::Drama\n"),
        ("ml-100k", "ml-100k", "u.item", "1|Caf\xe9, Le (1991)|01-Jan-1991|\n2|Two: A Film|01-Jan-1991|\n"),
    ],
)
def test_titles_of_older_data_sets(tmp_path, name, folder, file, text):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / file).write_bytes(text.encode("latin-1"))
    assert titles(name, tmp_path) == {1: "Caf\xe9, Le (1991)", 2: "Two: A Film"}
    with pytest.raises(FedMFError, match="data fetch ml-10m"):
        titles("ml-10m", tmp_path)
