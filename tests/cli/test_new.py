"""`fedmf-ray new`: from somebody's file of ratings to a scenario that runs."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

import fedmf_ray
from fedmf_ray.cli.main import cli
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.scenario import file as scenario_file

KINDS = ("black", "green")


def people(times=False):
    """Twelve users with tastes, fourteen items, 1 to 10."""
    rows = [
        (f"u{user:02}", f"i-{item:02}", 9 - (user + item) % 2 * 6 - (user * item) % 3)
        for user in range(12)
        for item in range(14)
        if (user * 5 + item * 3) % 7 > 1
    ]
    frame = pd.DataFrame(rows, columns=["Reader ID", "ISBN", "Book-Rating"])
    return frame.assign(date=range(len(frame))) if times else frame


def new(*words):
    done = CliRunner().invoke(cli, ["new", *map(str, words)])
    if isinstance(done.exception, FedMFError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_file_to_a_list_with_titles(here):
    frame = people()
    frame.to_csv("books.csv", index=False)
    names = sorted(frame["ISBN"].unique())
    pd.DataFrame({"isbn": names, "Book-Title": [f"Title of {name}" for name in names]}).to_csv(
        "titles.csv", index=False
    )
    said = new("books.csv", "--titles", "titles.csv").output
    assert "user: Reader ID, item: ISBN, rating: Book-Rating" in said
    assert "12 users (ids are text), 14 items (ids are text)" in " ".join(said.split())
    assert "1 to 9 in steps of 1" in said
    assert said.splitlines()[-1] == "books.yaml"
    serial = {
        "cluster.backend": "serial",
        "protocol.scheme": "plain",
        "model.reg_user": 2,
        "model.reg_item": 2,
    }
    run = fedmf_ray.run("books.yaml", serial, results=here / "results")
    assert run.recommend("u03", n=3)["title"].str.startswith("Title of i-").all()
    simple = fedmf_ray.run("books.yaml", {**serial, "model.algorithm": "biases"}, results=here / "results")
    assert run.rmse() < 0.8 * simple.rmse()


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.csv", "user;item;rating\n1;2;3,5\n1;3;4,5\n2;2;1,5\n2;3;2,5\n", {"user": "user"}),
        (
            "a.tsv",
            "uid\tmovie\tstars\twhen\n1\t2\t3\t5\n1\t3\t4\t6\n2\t2\t1\t7\n2\t3\t2\t8\n",
            {"user": "uid"},
        ),
        ("a.dat", "1::2::3::5\n1::3::4::6\n2::2::1::7\n2::3::2::8\n", {"timestamp": "timestamp"}),
        ("a.txt", "1 2 3\n1 3 4\n2 2 1\n2 3 2\n", {"rating": "rating"}),
    ],
)
def test_how_files_are_written_is_recognised(here, name, text, columns):
    (here / name).write_text(text)
    new(name)
    found = scenario_file.load("a.yaml").ratings
    assert columns.items() <= dict(found.columns).items()
    assert sorted(found.load().values) in ([1.5, 2.5, 3.5, 4.5], [1, 2, 3, 4])


def test_parquet_too(here):
    pytest.importorskip("pyarrow")
    people(times=True).to_parquet("books.parquet", index=False)
    new("books.parquet", "-o", "mine.yaml")
    chosen = scenario_file.load("mine.yaml")
    assert chosen.test.last == 1  # there are times
    assert len(Population.of(chosen).user_ids) == 12


def test_a_movielens_folder_brings_its_titles(here):
    folder = here / "ml"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::7::3::5\n1::8::4::6\n2::7::1::7\n2::8::2::8\n")
    (folder / "movies.dat").write_bytes("7::Fünf (1999)::Drama\n8::Sechs::Comedy\n".encode("latin-1"))
    new("ml")
    assert Population.of(scenario_file.load("ml.yaml")).names.title(7) == "Fünf (1999)"


def test_a_split_that_somebody_else_made(here):
    frame = people()
    test = frame.groupby("Reader ID").tail(2)
    frame.drop(test.index).to_csv("train.csv", index=False)
    test.to_csv("test.csv", index=False)
    new("train.csv", "--test", "test.csv")
    held = [len(user.test_values) for user in Population.of(scenario_file.load("train.yaml")).slices]
    assert held == [2] * 12


def test_users_with_too_few_ratings_to_hold_one_out_are_left_out(here):
    few = pd.DataFrame({"Reader ID": ["lone"], "ISBN": ["i-01"], "Book-Rating": [5], "date": [0]})
    pd.concat([people(times=True), few]).to_csv("books.csv", index=False)
    new("books.csv")
    assert len(Population.of(scenario_file.load("books.yaml")).user_ids) == 12


def test_what_stands_for_no_rating_is_pointed_out(here):
    frame = people()
    frame.loc[3, "Book-Rating"] = -1
    frame.to_csv("books.csv", index=False)
    assert "-1 is the value of 1 of" in " ".join(new("books.csv").output.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "missing.csv: no such file"),
        (["odd.csv"], r"which column holds the users is not clear .*\(who, what, much\).*--user who"),
        (["odd.csv", "--user", "whom"], "--user whom: no such column; it has who, what, much"),
        (["twice.csv"], "user 1 rated item 2 more than once"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_nothing_is_written(here, words, message):
    (here / "odd.csv").write_text("who,what,much\n1,2,3\n")
    (here / "twice.csv").write_text("user,item,rating\n1,2,3\n1,2,4\n")
    before = sorted(here.iterdir())
    with pytest.raises(FedMFError, match=message) as caught:
        new(*words)
    assert "\n" not in str(caught.value)
    assert sorted(here.iterdir()) == before


def test_columns_can_be_named_and_scenarios_are_not_overwritten(here):
    (here / "odd.csv").write_text(
        "who,what,much\n" + "".join(f"{u},{i},{u + i}\n" for u in (1, 2) for i in (1, 2))
    )
    told = ["--user", "who", "--item", "what", "--rating", "much"]
    new("odd.csv", *told)
    with pytest.raises(FedMFError, match=r"odd.yaml: is there already: --force replaces it"):
        new("odd.csv", *told)
    new("odd.csv", *told, "--force")


def test_a_scenario_that_was_there_survives_a_failure(here):
    people().to_csv("books.csv", index=False)
    (here / "books.yaml").write_text("mine\n")
    shutil.copy("books.csv", "test.csv")  # every pair of it is in training, too
    with pytest.raises(FedMFError):
        new("books.csv", "--test", "test.csv", "--force")
    assert (here / "books.yaml").read_text() == "mine\n"
    assert (
        json.dumps(sorted(path.name for path in here.iterdir())) == '["books.csv", "books.yaml", "test.csv"]'
    )
