"""Frames as ratings: files on the users' side, ids that stay what they are, errors of one line."""

import stat
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import fedmf_ray
from fedmf_ray import FedMFError
from fedmf_ray.cli.main import cli
from fedmf_ray.storage.frames import frames_folder
from tests.support.own_data import PLAIN, taste_frame


def run(ratings, overrides=None, **more):
    return fedmf_ray.run(PLAIN, overrides, ratings=ratings, **more)


def files():
    return sorted(file.name for file in frames_folder().glob("*.csv")) if frames_folder().exists() else []


def test_a_frame_becomes_one_file_for_its_owner_alone():
    frame = taste_frame()
    first = run(frame)
    again = run(frame.copy())
    assert len(files()) == 1
    file = Path(first.scenario.ratings.path)
    assert file.parent == frames_folder()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert first.scenario.ratings.source == "file"
    assert again.scenario == first.scenario
    run(frame.iloc[1:])
    assert len(files()) == 2


def test_a_frame_gives_the_run_that_the_same_file_gives(tmp_path):
    frame = taste_frame()
    frame.to_csv(tmp_path / "mine.csv", index=False)
    named = {**PLAIN, "ratings": {"source": "file", "path": str(tmp_path / "mine.csv")}}
    of_file, of_frame = fedmf_ray.run(named), run(frame)
    assert of_frame.rounds["test_rmse"].equals(of_file.rounds["test_rmse"])
    assert of_frame.items().equals(of_file.items())


@pytest.mark.parametrize(
    ("users", "items", "user_ids", "item_ids"),
    [
        (lambda n: n, lambda n: 100 + n, int, int),
        (lambda n: float(n), lambda n: n, int, int),
        (lambda n: str(n), lambda n: str(n), str, str),
        (lambda n: f"{n:03d}", lambda n: f'Käse, "{n}"\nzwei', str, str),
        (lambda n: n, lambda n: f"i{n}", int, str),
    ],
)
def test_text_stays_text_and_numbers_stay_numbers(users, items, user_ids, item_ids):
    frame = taste_frame()
    frame["user"] = [users(int(text[5:])) for text in frame["user"]]
    frame["item"] = [items(int(text[5:])) for text in frame["item"]]
    done = run(frame)
    table = done.items()
    assert {type(value) for value in table.index.tolist()} == {item_ids}
    assert set(table.index) == set(frame["item"])
    assert done.predict(frame).shape == (len(frame),)
    first = frame["user"].iloc[0]
    listed = done.recommend(first, n=20)
    assert {type(value) for value in listed["item"].tolist()} == {item_ids}
    assert fedmf_ray.load(done.path).recommend(first, n=20).equals(listed)
    assert done.user_vector(first).shape == (4,)
    with pytest.raises(fedmf_ray.UnknownIdError, match="has no user"):
        done.user_vector("nobody")
    del user_ids


def test_categories_dates_and_small_types_are_read_as_what_they_stand_for():
    frame = taste_frame()
    when = pd.date_range("2020-01-01", periods=len(frame))[::-1]
    plain = run(frame.assign(timestamp=when.astype("int64")))
    other = run(
        frame.assign(
            user=frame["user"].astype("category"),
            item=frame["item"].astype("category"),
            rating=frame["rating"].astype(np.int8),
            timestamp=when,
        )
    )
    assert other.scenario.ratings.path == plain.scenario.ratings.path


def test_times_under_another_name_are_pointed_at():
    frame = taste_frame()
    frame["when"] = range(len(frame))
    told = r"column 'when' is not used.*rename it: ratings.rename\(columns={'when': 'timestamp'}\)"
    with pytest.warns(UserWarning, match=told):
        run(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(frame.rename(columns={"when": "timestamp"}))


def test_columns_are_guessed_as_new_does():
    frame = taste_frame().rename(columns={"user": "customer", "item": "article", "rating": "stars"})
    with pytest.raises(FedMFError, match="{'customer': 'user', 'article': 'item', 'stars': 'rating'}"):
        run(frame)


def test_rows_of_values_and_dicts_of_columns_are_frames_too():
    frame = taste_frame()
    rows = list(frame.itertuples(index=False, name=None))
    paths = {run(given).scenario.ratings.path for given in (frame, rows, frame.to_dict("list"))}
    assert len(paths) == 1


def test_what_the_scenario_says_about_a_table_is_kept():
    done = fedmf_ray.run(
        {**PLAIN, "ratings": {"source": "synthetic", "users": 3, "items": 3, "select": {"items": 5}}},
        {"test": {"last": 1}},
        ratings=taste_frame(),
    )
    assert len(done.items()) == 5


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.rename(columns={"user": "userId", "item": "movieId", "rating": "stars"}),
         "ratings: no column 'user', 'item', 'rating'; it has userId, movieId, stars; needed are user, item, "
         "rating: rename them: ratings.rename(columns={'userId': 'user', 'movieId': 'item', 'stars': "
         "'rating'})"),
        (lambda f: f.rename(columns={"rating": "mark"}), "rename(columns={'mark': 'rating'})"),
        (lambda f: f.assign(rating=f["rating"].where(f.index != 4)), "ratings: row 4: rating is missing"),
        (lambda f: f.assign(user=f["user"].where(f.index != 2)), "ratings: row 2: user is missing"),
        (lambda f: f.assign(rating=f["rating"].astype(object).where(f.index != 3, "good")),
         "ratings: row 3: rating 'good' is not a finite number"),
        (lambda f: f.assign(rating=f["rating"].where(f.index != 3, np.inf)), "ratings: row 3: rating"),
        (lambda f: f.assign(item=f["item"].where(f.index != 3, "  ")), "ratings: row 3: item is empty"),
        (lambda f: pd.concat([f, f.iloc[[6]]]), "more than once (rows 6 and 162): keep one"),
        (lambda f: f.iloc[:0], "ratings: holds no ratings"),
        (lambda f: 3, "ratings: int is no table: give a DataFrame with user, item, rating"),
        (lambda f: [(1, 2)], "ratings: rows have 2 values: give (user, item, rating) each"),
        (lambda f: pd.concat([f, f[["user"]]], axis=1), "two columns are named 'user'"),
    ],
)  # fmt: skip
def test_a_frame_that_will_not_do_is_one_line_and_leaves_nothing(spoil, message):
    with pytest.raises(FedMFError) as caught:
        run(spoil(taste_frame()))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("results").exists()
    assert files() == []


def test_errors_of_the_run_call_the_frame_by_its_name():
    with pytest.raises(FedMFError) as caught:
        run(taste_frame(), {"ratings.select": {"min_ratings": 50}})
    assert "ratings=" in str(caught.value)
    assert "frames" not in str(caught.value)


def test_ratings_inside_of_the_results_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "work" / "results" / "state"))
    with pytest.raises(FedMFError, match="is inside the results"):
        run(taste_frame(), {"cluster.checkpoint_every": "never"})


class TestCleaning:
    def clean(self, *words):
        done = CliRunner().invoke(cli, ["clean", "--yes", *words])
        assert done.exit_code == 0, done.output
        return done.output

    def test_what_a_run_folder_names_stays(self):
        done = run(taste_frame())
        assert "every key and checkpoint belongs to a run folder" in self.clean()
        assert done.recommend("user 03", n=3).shape == (3, 4)

    def test_what_no_run_folder_names_goes(self):
        import shutil

        done = run(taste_frame(), results="elsewhere")
        assert "every key and checkpoint" in self.clean()
        file = done.scenario.ratings.path
        shutil.rmtree(done.path)
        assert file in self.clean()
        assert list(frames_folder().iterdir()) == []

    def test_a_run_folder_that_was_moved_below_the_results_is_found(self):
        import shutil

        done = run(taste_frame(), results="elsewhere")
        shutil.move(done.path, Path("kept"))
        self.clean("--results", "kept")
        assert len(files()) == 1
        self.clean("--results", "nowhere")
        assert files() == []

    def test_what_is_in_use_stays(self):
        seen = []
        run(taste_frame(), on_round=lambda row: seen.append((self.clean(), len(files()))))
        assert {count for _, count in seen} == {1}

    def test_a_run_that_could_not_begin_leaves_a_file_that_is_cleaned(self):
        with pytest.raises(FedMFError):
            run(taste_frame(), {"ratings.select": {"min_ratings": 50}})
        assert "is not there" in self.clean()
        assert files() == []


def test_a_column_of_times_is_in_the_advice_too():
    frame = pd.DataFrame({"reader": ["a"], "book": ["b"], "stars": [3], "when": ["2020-01-01"]})
    with pytest.raises(FedMFError, match=r"'stars': 'rating', 'when': 'timestamp'\}"):
        run(frame)
