"""What is read on the users' side: V, vectors, predictions, errors and lists, under the users' own ids."""

import shutil

import numpy as np
import pandas as pd
import pytest

import fedmf_ray
from fedmf_ray import FedMFError, UnknownIdError
from fedmf_ray.engine import users_side
from tests.support.own_data import PLAIN, taste_frame

FRAME = taste_frame()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of two tastes, packed: what is read takes the users' key."""
    folder = tmp_path_factory.mktemp("tastes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDMF_STATE", str(folder / "state"))
        with pytest.warns(UserWarning, match="1024"):
            yield fedmf_ray.run(
                PLAIN, {"protocol.scheme": "packed", "protocol.key_bits": 1024}, ratings=FRAME,
                results=folder / "results",
            )  # fmt: skip


@pytest.fixture(autouse=True)
def state(done, monkeypatch):
    monkeypatch.setenv("FEDMF_STATE", str(done.path.parents[2] / "state"))


@pytest.fixture(scope="module")
def held_out(done):
    """Its test set, as pairs with ratings in random order."""
    rows = [
        (user, item, rating)
        for user in sorted(FRAME["user"].unique())
        for item, rating in FRAME[FRAME["user"] == user].tail(4)[["item", "rating"]].to_numpy()
    ]
    return pd.DataFrame(rows, columns=["user", "item", "rating"]).sample(frac=1, random_state=1)


def test_items_are_v_with_biases_and_raters(done):
    table = done.items()
    assert table.index.name == "item"
    assert table.columns.tolist() == ["bias", "raters", "factor_0", "factor_1", "factor_2"]
    assert set(table.index) == set(FRAME["item"])
    trained = FRAME.groupby("user").head(5)["item"].value_counts()
    assert table["raters"].to_dict() == trained.to_dict()


def test_a_prediction_is_mean_biases_and_product(done):
    table = done.items()
    pairs = [("user 03", "item 05"), ("user 04", "item 05"), ("user 03", "item 04")]
    expected = []
    for user, item in pairs:
        *vector, bias = done.user_vector(user)
        row = table.loc[item]
        product = np.dot(vector, row[["factor_0", "factor_1", "factor_2"]])
        expected.append(5.5 + bias + row["bias"] + product)
    np.testing.assert_allclose(done.predict(pairs), expected, rtol=1e-12)
    loves, dislikes, other = done.predict(pairs)
    assert loves > 7 > 4 > max(dislikes, other)


def test_predictions_stand_in_the_order_of_the_pairs(done):
    pairs = FRAME.sample(frac=1, random_state=2)
    found = done.predict(pairs)
    backwards = done.predict(list(pairs[["user", "item"]].itertuples(index=False, name=None))[::-1])
    assert found.tolist() == backwards[::-1].tolist()
    assert done.predict(pairs[["user", "item"]].to_numpy()).tolist() == found.tolist()
    assert done.predict([]).shape == (0,)


def test_the_error_of_the_test_set_has_the_bits_of_rounds_csv(done, held_out):
    said = done.rounds["test_rmse"].iloc[-1]
    assert done.rmse() == said
    assert done.rmse(held_out) == said
    assert done.rmse(held_out.iloc[::-1]) == said
    text = (done.path / "rounds.csv").read_text().splitlines()
    assert repr(done.rmse()) == text[-1].split(",")[text[0].split(",").index("test_rmse")]


def test_the_order_of_pairs_does_not_change_a_bit_of_the_error():
    """Users add up their errors in the order of their own test sets, and so does this."""
    keys = {**PLAIN, "ratings": {"source": "synthetic", "users": 3, "items": 300, "sparsity": 0.3}}
    run = fedmf_ray.run(keys, {"test.last": 120, "stop.rounds": 2, "ratings.half_stars": False})
    side = run._side
    rows = [
        (user, row + 1, rating)
        for user, mine in ((at + 1, side.ratings_of(at)) for at in range(3))
        for row, rating in zip(mine.test_items.tolist(), mine.test_values.tolist(), strict=True)
    ]
    pairs = pd.DataFrame(rows, columns=["user", "item", "rating"])
    found = {run.rmse(pairs.sample(frac=1, random_state=seed)) for seed in range(20)}
    assert found == {run.rounds["test_rmse"].iloc[-1]}


def test_errors_of_other_pairs_are_what_numpy_says(done):
    some = FRAME.iloc[:50]
    errors = done.predict(some) - some["rating"]
    assert done.rmse(some) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)
    assert done.rmse("train") == np.sqrt(done.rounds["train_mse"].iloc[-1])


def test_a_list_is_sorted_and_has_nothing_that_was_trained_on(done, held_out):
    listed = done.recommend("user 03", n=20)
    assert listed.columns.tolist() == ["item", "title", "expected", "held_out"]
    trained = set(FRAME[FRAME["user"] == "user 03"].head(5)["item"])
    assert set(listed["item"]) == set(FRAME["item"]) - trained
    assert listed["expected"].is_monotonic_decreasing
    known = held_out[held_out["user"] == "user 03"].set_index("item")["rating"]
    assert listed.set_index("item")["held_out"].dropna().to_dict() == known.to_dict()
    pairs = [("user 03", item) for item in listed["item"]]
    assert done.predict(pairs).tolist() == listed["expected"].tolist()
    assert done.recommend("user 03", n=2).equals(listed.head(2))
    assert listed["title"].iloc[0] == f"item {listed['item'].iloc[0]}"


def test_every_scheme_reads_the_same(done):
    plain = fedmf_ray.run(PLAIN, ratings=FRAME)
    assert plain.items().equals(done.items())
    assert plain.predict(FRAME).tolist() == done.predict(FRAME).tolist()


def test_v_is_decrypted_once_for_all_users(done, monkeypatch):
    calls = []
    real = users_side.UserActor.read_share
    monkeypatch.setattr(users_side.UserActor, "read_share", lambda *args: calls.append(1) or real(*args))
    fresh = fedmf_ray.load(done.path)
    fresh.predict(FRAME), fresh.items(), fresh.rmse(FRAME)
    for user in FRAME["user"].unique():
        fresh.recommend(user)
    assert len(calls) == 1


def test_of_synthetic_users_only_those_asked_for_are_made(monkeypatch):
    keys = {**PLAIN, "ratings": {"source": "synthetic", "users": 40, "items": 9, "sparsity": 0.4}}
    run = fedmf_ray.run(keys)
    made = []
    real = users_side.UsersSide.ratings_of
    monkeypatch.setattr(
        users_side.UsersSide, "ratings_of", lambda side, at: made.append(at) or real(side, at)
    )
    both = run.predict([(7, 3), (39, 9), (7, 1)])
    assert set(made) == {6, 38}
    assert run.predict([(39, 9)]).tolist() == both[1:2].tolist()
    assert run.items().index.tolist() == list(range(1, 10))
    everybody = [(user, 1) for user in range(1, 41)]
    assert run.predict(everybody)[6] == both[2]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.user_vector("nobody"), "has no user 'nobody': it has 18 users, 'user"),
        (lambda run: run.recommend(4), "has no user 4"),
        (lambda run: run.predict([("user 03", "tea"), ("user 03", "item 01"), ("user 03", "rum")]),
         "has no item 'tea' (and 1 more of the pairs): it has 14 items"),
        (lambda run: run.predict(FRAME.rename(columns={"item": "movieId"})),
         "pairs: no column 'item'; it has user, movieId, rating; needed are user, item: rename them"),
        (lambda run: run.predict([("user 03",)]), "pairs: rows have 1 values: give (user, item) each"),
        (lambda run: run.predict([], unknown="zero"), "unknown: 'zero': give 'raise' or 'nan'"),
        (lambda run: run.recommend("user 03", n=0), "n: 0 must be a whole number from 1"),
        (lambda run: run.rmse("validation"), "rmse: 'validation': give 'test', 'train', or a DataFrame"),
        (lambda run: run.rmse(FRAME.iloc[:0]), "rmse: there are no pairs"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_line(done, ask, message):
    with pytest.raises(FedMFError) as caught:
        ask(done)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_ids_are_key_errors_or_nan(done):
    with pytest.raises(KeyError):
        done.user_vector("nobody")
    with pytest.raises(UnknownIdError):
        done.predict([("nobody", "item 01")])
    found = done.predict([("nobody", "item 01"), ("user 03", "item 01")], unknown="nan")
    assert np.isnan(found).tolist() == [True, False]


def test_the_run_folder_alone_tells_nothing(done):
    fresh = fedmf_ray.run(PLAIN, ratings=FRAME)
    shutil.rmtree(users_side.UsersSide(fresh.path)._checkpoints.folder / "users")
    with pytest.raises(FedMFError, match="cannot be read"):
        fresh.items()
    assert fresh.rmse() == fresh.rounds["test_rmse"].iloc[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.algorithm": "biases"}, "biases is a central baseline, which keeps no checkpoint"),
        ({"cluster.checkpoint_every": "never"}, "ran without checkpoints"),
    ],
)
def test_runs_without_a_users_side_say_so(changes, message):
    run = fedmf_ray.run(PLAIN, changes, ratings=FRAME)
    for ask in (run.items, lambda: run.predict(FRAME), lambda: run.recommend("user 03")):
        with pytest.raises(FedMFError, match=message):
            ask()
    assert run.rmse() > 0
