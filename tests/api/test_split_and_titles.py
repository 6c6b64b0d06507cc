"""A test set and titles that are handed over: somebody else's split, names that people read."""

from pathlib import Path

import pandas as pd
import pytest

import fedmf_ray
from fedmf_ray import FedMFError
from fedmf_ray.storage.frames import frames_folder
from tests.support.own_data import PLAIN, taste_frame

KEYS = {key: value for key, value in PLAIN.items() if key != "test"}
FRAME = taste_frame()
TRAIN = FRAME.groupby("user").head(6)
TEST = FRAME.drop(TRAIN.index)
TITLES = {item: f"Title of {item}" for item in FRAME["item"].unique()}


def test_a_test_frame_is_what_is_held_out():
    run = fedmf_ray.run(KEYS, ratings=TRAIN, test=TEST)
    assert run.rmse(TEST) == run.rmse() == run.rounds["test_rmse"].iloc[-1]
    assert run.recommend("user 03", n=20)["held_out"].notna().sum() == 3
    assert len(list(frames_folder().glob("test-*.csv"))) == 1


def test_two_frames_give_the_errors_of_the_same_split_made_here():
    timed = FRAME.assign(timestamp=range(len(FRAME)))
    made_here = fedmf_ray.run(KEYS, {"test.last": 3}, ratings=timed)
    handed = fedmf_ray.run(KEYS, ratings=timed.loc[TRAIN.index], test=timed.loc[TEST.index])
    a, b = (run.predict(TEST) for run in (made_here, handed))
    assert a.tolist() == b.tolist()
    assert made_here.rmse() == handed.rmse()


def test_a_test_frame_replaces_the_split_of_the_scenario():
    run = fedmf_ray.run(PLAIN, ratings=TRAIN, test=TEST)
    assert run.scenario.test.last == 0
    assert run.rmse(TEST) == run.rmse()


def test_text_of_whole_numbers_stays_text_in_both():
    plain = {"user": lambda f: f["user"].str[5:], "item": lambda f: f["item"].str[5:].astype(int).astype(str)}
    train, test = (frame.assign(**plain) for frame in (TRAIN, TEST))
    train, test = (frame.assign(user=frame["user"].astype(int).astype(str)) for frame in (train, test))
    titles = {str(number): f"Title {number}" for number in range(14)}
    run = fedmf_ray.run(KEYS, ratings=train, test=test, titles=titles)
    assert run.items().index.map(type).unique().tolist() == [str]
    assert run.items()["title"]["7"] == "Title 7"
    assert run.rmse(test) == run.rmse()


@pytest.mark.parametrize(
    "titles",
    [
        TITLES,
        pd.Series(TITLES),
        pd.DataFrame({"item": TITLES.keys(), "title": TITLES.values(), "year": 1999}),
    ],
)
def test_titles_are_shown(titles):
    run = fedmf_ray.run(PLAIN, ratings=FRAME, titles=titles)
    listed = run.recommend("user 03", n=3)
    assert listed["title"].tolist() == [TITLES[item] for item in listed["item"]]
    assert run.items()["title"].to_dict() == TITLES
    assert fedmf_ray.load(run.path).recommend("user 03", n=3).equals(listed)


def test_items_without_a_title_are_called_by_their_id():
    half = {item: title for item, title in TITLES.items() if int(item[5:]) % 2}
    half["item 98"] = "of nothing"
    run = fedmf_ray.run(PLAIN, ratings=FRAME, titles=half)
    table = run.items()
    assert table.loc["item 01", "title"] == "Title of item 01"
    assert table.loc["item 02", "title"] == "item item 02"


def test_numbers_as_ids_of_items_have_titles(tmp_path):
    frame = FRAME.assign(item=FRAME["item"].str[5:].astype(int))
    run = fedmf_ray.run(PLAIN, ratings=frame, titles={7.0: "Seven", 8: "Eight"})
    assert run.items()["title"][[7, 8]].tolist() == ["Seven", "Eight"]


def test_titles_of_a_file_of_the_scenario(tmp_path):
    FRAME.to_csv("ratings.csv", index=False)
    keys = {**PLAIN, "ratings": {"source": "file", "path": "ratings.csv"}}
    run = fedmf_ray.run(keys, titles=TITLES)
    assert run.recommend("user 03", n=1)["title"][0].startswith("Title of")
    assert run.scenario.ratings.path == str(Path("ratings.csv").absolute())


def test_a_test_frame_for_a_file_with_columns_of_other_names():
    TRAIN.rename(columns={"user": "who", "rating": "mark"}).to_csv("ratings.csv", index=False)
    columns = {"user": "who", "rating": "mark"}
    keys = {**KEYS, "ratings": {"source": "file", "path": "ratings.csv", "columns": columns}}
    run = fedmf_ray.run(keys, test=TEST)
    assert run.rmse(TEST) == run.rmse()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratings": TRAIN, "test": TEST.assign(user="stranger " + TEST["user"])},
         "test=: no test rating is of a user with ratings for training"),
        ({"ratings": FRAME, "test": TEST}, "is in ratings=, too (54 such pairs)"),
        ({"ratings": TRAIN, "test": TEST.assign(user=range(len(TEST)))}, "test=: ids of users are whole"),
        ({"ratings": TRAIN, "test": TEST.drop(columns="rating")}, "test: no column 'rating'"),
        ({"ratings": TRAIN.assign(timestamp=1), "test": TEST},
         "test: no column 'timestamp', which ratings have"),
        ({"test": TEST}, "test: belongs to ratings, and the scenario has none: give ratings= too"),
        ({"titles": TITLES}, "titles: belongs to ratings"),
        ({"ratings": FRAME, "titles": {}}, "titles: holds no title"),
        ({"ratings": FRAME, "titles": {"tea": "Tea"}}, "titles=: has a title for none of the 14 items"),
        ({"ratings": FRAME, "titles": pd.DataFrame({"item": [1], "name": ["x"]})},
         "rename them: titles.rename(columns={'name': 'title'})"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_one_line(given, message):
    with pytest.raises(FedMFError) as caught:
        fedmf_ray.run(KEYS, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("results").exists()
