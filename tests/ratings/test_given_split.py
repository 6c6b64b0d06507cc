"""A split that somebody else made gives what the same split gives that is made here, to the last bit."""

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.engine.recommend import recommend
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from tests.support.small_runs import losses_of, run_and_notes, small
from tests.support.small_runs import small as scenario_of

COLUMNS = {"user": "userId", "item": "movieId", "timestamp": "timestamp"}


def ratings_like_movielens(random, text=False):
    """Sorted by user and item, with timestamps that follow another order, ties in popularity and in time."""
    rows = []
    for user in range(1, 15):
        items = np.sort(random.choice(np.arange(1, 31), 9, replace=False))
        rows += [(user, item, random.integers(1, 11) / 2, random.integers(0, 40)) for item in items]
    frame = pd.DataFrame(rows, columns=["userId", "movieId", "rating", "timestamp"])
    if text:
        frame["userId"] = "u" + frame["userId"].map("{:03}".format)
        frame["movieId"] = "m" + frame["movieId"].map("{:03}".format)
    return frame


def marked(frame, path, **changes):
    """(rows,) which ratings the folds of a scenario hold out; the frame is written on the way."""
    frame.to_csv(path, index=False)
    chosen = scenario(path, test={"folds": 4, "fold": 1}, **changes)
    population = Population.of(chosen)
    names = population.names
    held = {
        (names.user(user.user_id), names.item(int(population.item_ids[row])))
        for user in population.slices
        for row in user.test_items
    }
    pairs = zip(frame["userId"].astype(str), frame["movieId"].astype(str), strict=True)
    return np.array([pair in held for pair in pairs])


def scenario(path, timed=True, **changes):
    columns = COLUMNS if timed else {key: COLUMNS[key] for key in ("user", "item")}
    source = {"source": "file", "path": str(path), "columns": columns}
    return scenario_of(**{"ratings": source, "protocol__scheme": "plain"} | changes)


def same_runs(one, two, tmp_path):
    """Both scenarios give the same errors in every round, and the same V."""
    first, _ = run_and_notes(one, tmp_path / "one")
    second, notes = run_and_notes(two, tmp_path / "two")
    assert losses_of(first).notna().all().all()
    assert losses_of(first).equals(losses_of(second))
    ours, theirs = Population.of(one), Population.of(two)
    assert np.array_equal(ours.item_ids, theirs.item_ids)
    assert (ours.names.users, ours.names.items) == (theirs.names.users, theirs.names.items)
    for mine, other in zip(ours.slices, theirs.slices, strict=True):
        assert mine.user_id == other.user_id
        for name in ("items", "values", "test_items", "test_values"):
            assert np.array_equal(getattr(mine, name), getattr(other, name)), name
    who = ours.names.user(ours.slices[0].user_id)
    assert recommend(first, who, 5) == recommend(second, who, 5)
    return notes


RIDGE = {"model__rule": "ridge", "model__reg_user": 2.0, "model__reg_item": 2.0}
SETTINGS = [{}, {"model__rule": "batch"}, RIDGE | {"protocol__update_bound": 4.0}]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("text", [False, True])
def test_two_files_give_the_errors_of_the_folds_that_they_were_cut_by(tmp_path, text, settings):
    frame = ratings_like_movielens(np.random.default_rng(5), text)
    if text:  # as many logs are: by time, so that the order of lines shows
        frame = frame.sort_values("timestamp", kind="stable").assign(timestamp=range(len(frame)))
    held = marked(frame, tmp_path / "whole.csv")
    assert 0 < held.sum() < len(held)
    frame[~held].to_csv(tmp_path / "train.csv", index=False)
    frame[held].to_csv(tmp_path / "test.csv", index=False)
    folds = scenario(tmp_path / "whole.csv", test={"folds": 4, "fold": 1}, **settings)
    files = scenario(tmp_path / "train.csv", test={"file": str(tmp_path / "test.csv")}, **settings)
    same_runs(folds, files, tmp_path)


def test_the_order_of_lines_does_not_matter_where_ids_are_numbers_and_lines_were_sorted(tmp_path):
    random = np.random.default_rng(6)
    frame = ratings_like_movielens(random).assign(timestamp=lambda table: random.permutation(len(table)))
    held = marked(frame, tmp_path / "whole.csv")
    frame[~held].sample(frac=1, random_state=1).to_csv(tmp_path / "train.csv", index=False)
    frame[held].sample(frac=1, random_state=2).to_csv(tmp_path / "test.csv", index=False)
    folds = scenario(tmp_path / "whole.csv", test={"folds": 4, "fold": 1})
    same_runs(folds, scenario(tmp_path / "train.csv", test={"file": str(tmp_path / "test.csv")}), tmp_path)


@pytest.mark.parametrize(
    "words", [("test", "train"), ("True", "False"), (1, 0), ("yes", "no"), ("TEST", "Train")]
)
def test_a_column_gives_the_same_whatever_order_lines_have(tmp_path, words):
    frame = ratings_like_movielens(np.random.default_rng(7), text=True).sample(frac=1, random_state=3)
    held = marked(frame, tmp_path / "whole.csv", timed=False)
    frame["part"] = np.where(held, *words)
    frame.to_csv(tmp_path / "parts.csv", index=False)
    folds = scenario(tmp_path / "whole.csv", timed=False, test={"folds": 4, "fold": 1})
    column = scenario(tmp_path / "parts.csv", timed=False, test={"column": "part"})
    same_runs(folds, column, tmp_path)


def test_a_column_of_a_parquet_file_may_be_of_any_type(tmp_path):
    pytest.importorskip("pyarrow")
    frame = ratings_like_movielens(np.random.default_rng(7))
    held = np.arange(len(frame)) % 3 == 0
    found = []
    for kind in (bool, int, float, str):
        frame.assign(part=held.astype(kind)).to_parquet(tmp_path / "r.parquet")
        chosen = scenario(tmp_path / "r.parquet", test={"column": "part"})
        found.append([user.test_values.tolist() for user in Population.of(chosen).slices])
    assert found[0] == found[1] == found[2] == found[3]
    assert sum(map(len, found[0])) == held.sum()


def two_files(tmp_path, train, test):
    for name, rows in (("train", train), ("test", test)):
        lines = [",".join(map(str, row)) for row in rows]
        (tmp_path / f"{name}.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    source = {"source": "file", "path": str(tmp_path / "train.csv")}
    return small(ratings=source, test={"file": str(tmp_path / "test.csv")}, protocol__scheme="plain")


TRAIN = [(user, item, 1 + (user + item) % 5) for user in (1, 2, 3) for item in (10, 20, 30)]
NAMED = [(f"u{user}", item, rating) for user, item, rating in TRAIN]


class TestStrangers:
    def test_users_without_training_are_left_out_and_counted(self, tmp_path):
        chosen = two_files(tmp_path, TRAIN, [(1, 40, 5), (4, 10, 3), (4, 20, 3)])
        folder, notes = run_and_notes(chosen, tmp_path / "results")
        assert (
            f"{tmp_path / 'test.csv'}: 2 of 3 test ratings are left out: their users have none to train on"
            in notes
        )
        assert Population.of(chosen).user_ids == [1, 2, 3]
        assert losses_of(folder)["test_rmse"].notna().all()

    def test_items_that_nobody_rated_in_training_are_predicted_and_counted(self, tmp_path):
        chosen = two_files(tmp_path, TRAIN, [(1, 40, 5), (2, 50, 3)])
        population = Population.of(chosen)
        assert population.item_ids.tolist() == [10, 20, 30, 40, 50]
        assert [user.test_values.tolist() for user in population.slices] == [[5.0], [3.0], []]
        (note,) = [note for note in population.notes if "ratings.scale" not in note]
        assert "2 of 2 test ratings are of items that nobody rated in training: they count" in note

    def test_users_whose_training_items_are_not_selected_do_not_take_part(self, tmp_path):
        chosen = two_files(tmp_path, [*TRAIN, (4, 50, 5)], [(4, 10, 3), (1, 40, 5)])
        tree = chosen.model_dump(mode="json")
        tree["ratings"]["select"]["items"] = 3
        assert Population.of(type(chosen).model_validate(tree)).user_ids == [1, 2, 3]

    @pytest.mark.parametrize(
        ("train", "test", "message"),
        [
            (TRAIN, [(2, 20, 1), (1, 10, 5)], r"test\.csv: user 1, item 10 is in .*train\.csv, too \(2 such"),
            (TRAIN, [(9, 10, 3)], "no test rating is of a user with ratings for training"),
            (TRAIN, [("bob", 10, 3)], "ids of users are text such as 'bob', in .*whole numbers such as '1'"),
            (NAMED, [(1, 10, 3)], "ids of users are whole numbers such as '1', in .*text such as 'u1'"),
            (TRAIN, [(1, "x", 3)], "ids of items are text such as 'x', in .*whole numbers such as '10'"),
            (TRAIN, [], "holds no ratings"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_one_line(self, tmp_path, train, test, message):
        with pytest.raises(FedMFError, match=message) as caught:
            Population.of(two_files(tmp_path, train, test))
        assert "\n" not in str(caught.value)

    def test_texts_of_which_the_test_has_only_numbers_are_texts(self, tmp_path):
        train = [("a" if user == 1 else user, item, rating) for user, item, rating in TRAIN]
        chosen = Population.of(two_files(tmp_path, train, [(2, 40, 5), ("3", 40, 4)]))
        assert [chosen.names.user(user.user_id) for user in chosen.slices] == ["a", "2", "3"]
        assert [len(user.test_items) for user in chosen.slices] == [0, 1, 1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["test", "train", "validation"],
            r"row 3, column 'part': 'validation' is neither test nor train \(test\.col",
        ),
        (["train"] * 3, r"column 'part' \(test\.column\): all ratings are for training"),
        (["1"] * 3, r"column 'part' \(test\.column\): all ratings are for the test"),
        (["test", "", "train"], "row 2, column 'part': '' is neither"),
    ],
)
def test_a_column_that_says_something_else(tmp_path, cells, message):
    rows = [f"{user},1,3,{cell}\n" for user, cell in enumerate(cells)]
    (tmp_path / "r.csv").write_text("user,item,rating,part\n" + "".join(rows))
    with pytest.raises(FedMFError, match=message):
        Population.of(
            small(ratings={"source": "file", "path": str(tmp_path / "r.csv")}, test={"column": "part"})
        )


@pytest.mark.parametrize("test", [{"file": "t.csv"}, {"column": "part"}])
def test_ratings_that_are_no_file_cannot_be_split_by_one(test):
    with pytest.raises(
        FedMFError, match=rf"test\.{next(iter(test))}: needs ratings\.source: file, and not synth"
    ):
        small(test=test)


def test_one_split_is_enough():
    with pytest.raises(FedMFError, match="test: give one of last, fraction and folds, or of file and column"):
        small(test={"file": "t.csv", "folds": 5})
