"""Ids are text: what differs in a file differs in a run, and comes back as it was written."""

import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from fedmf_ray.cli.main import cli
from fedmf_ray.engine.progress import Silent
from fedmf_ray.engine.recommend import recommend
from fedmf_ray.engine.run import run
from fedmf_ray.errors import DivergenceError, FedMFError
from fedmf_ray.ratings.columns import Place, Words, identifiers
from fedmf_ray.ratings.files import load_table
from fedmf_ray.ratings.names import Names
from fedmf_ray.scenario import file as scenario_file

ROLES = {"user": "user", "item": "item", "rating": "rating"}


def from_csv(folder, ids):
    """Each id rates an item of its own."""
    lines = [f"{one},{at},{at % 5}" for at, one in enumerate(ids, 10)]
    (folder / "r.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    return load_table(folder / "r.csv", ROLES)


def from_parquet(folder, ids):
    table = pa.table({"user": ids, "item": range(10, 10 + len(ids)), "rating": [3.0] * len(ids)})
    parquet.write_table(table, folder / "r.parquet")
    return load_table(folder / "r.parquet", ROLES)


@pytest.mark.parametrize(
    "ids",
    [
        ["007", "7", "07"],
        ["12e3", "120e2", "12000", "0012e3"],
        ["1.10", "1.1", "1"],
        ["TRUE", "true", "True"],
        ["5", "5.0"],
        ["9007199254740993.5", "9007199254740993.25"],
        ["NA", "null", "nan", "None", "N/A"],
        ["-3", "+3", "3"],
        ["9223372036854775807", "9223372036854775808"],
        ["٣", "3"],
        ["x" * 1000, "x" * 1001],
    ],
)
def test_what_differs_in_the_file_is_different(ids, tmp_path):
    for table in (from_csv(tmp_path, ids), from_parquet(tmp_path, ids)):
        assert table.user_ids.tolist() == list(range(1, len(ids) + 1))
        assert [table.names.user(k) for k in table.user_ids.tolist()] == ids
        assert [table.names.user_id(one) for one in ids] == table.user_ids.tolist()
        assert table.names.items == []


@pytest.mark.parametrize("ids", [["5", "1", "3"], ["5.0", "1.0", "3.0"], ["5.00", "1.00", "3.00"]])
def test_whole_numbers_keep_their_number(ids, tmp_path):
    for table in (from_csv(tmp_path, ids), from_parquet(tmp_path, ids)):
        assert table.user_ids.tolist() == [5, 1, 3]
        assert table.names == Names([], [])


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([5, 1, 3], pa.uint8()),
        pa.array([5, 1, 3], pa.float32()),
        pa.array([5.0, 1.0, 3.0]),
        pa.array([decimal.Decimal("5.00"), decimal.Decimal(1), decimal.Decimal(3)], pa.decimal128(9, 2)),
        pa.array(["5", "1", "3"]).dictionary_encode(),
        pa.array([b"5", b"1", b"3"]),
    ],
    ids=lambda ids: str(ids.type),
)
def test_the_type_of_a_parquet_column_does_not_matter(ids, tmp_path):
    table = from_parquet(tmp_path, ids)
    assert table.user_ids.tolist() == [5, 1, 3]
    assert table.user_ids.dtype == np.int64


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (pa.array([1.5, 2.0]), ["1.5", "2.0"]),
        (pa.array([-1, 2]), ["-1", "2"]),
        (pa.array([2**63, 2], pa.uint64()), [str(2**63), "2"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([decimal.Decimal("1.50"), decimal.Decimal(2)], pa.decimal128(9, 2)), ["1.50", "2.00"]),
        (pa.array(["2020-01-01", "2020-01-02"]).cast(pa.date32()), ["2020-01-01", "2020-01-02"]),
    ],
    ids=lambda ids: str(getattr(ids, "type", "")),
)
def test_other_types_are_their_text(ids, names, tmp_path):
    table = from_parquet(tmp_path, ids)
    assert table.user_ids.tolist() == [1, 2]
    assert table.names.users == names


@pytest.mark.parametrize(
    "ids", [pa.array([[1], [2]]), pa.array([{"a": 1}, {"a": 2}]), pa.array([b"\xff", b"1"])], ids=str
)
def test_lists_structs_and_bytes_are_refused_in_one_line(ids, tmp_path):
    with pytest.raises(FedMFError, match=r"r\.parquet: ") as caught:
        from_parquet(tmp_path, ids)
    assert "\n" not in str(caught.value)


def test_floats_that_may_have_lost_digits_are_noted(tmp_path):
    table = from_parquet(tmp_path, pa.array([2.0**53, 2.0**53 + 2]))
    assert table.user_ids.tolist() == [2**53, 2**53 + 2]
    assert "ids over 2**53" in table.notes[0]
    whole = from_csv(tmp_path, ["9007199254740993.0", "9007199254740992.0"])
    assert whole.user_ids.tolist() == [9007199254740993, 9007199254740992]


def test_spaces_around_an_id_do_not_count(tmp_path):
    assert from_csv(tmp_path, [" 7", "8 ", "  9"]).user_ids.tolist() == [7, 8, 9]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_id_in_parquet_is_named(missing, tmp_path):
    with pytest.raises(FedMFError, match="row 2, column 'user': is empty"):
        from_parquet(tmp_path, pa.array([1.0, missing]))


@given(st.lists(st.one_of(st.text("01.e-", min_size=1), st.integers(0, 2**64).map(str)), min_size=1))
def test_numbers_give_back_the_text_or_names_do(words):
    distinct = list(dict.fromkeys(words))
    codes = np.array([distinct.index(word) for word in words])
    ids, names = identifiers(Words(codes, distinct), Place("f", "c"))
    if names:
        assert [names[k - 1] for k in ids] == words
    else:
        tails = {word.partition(".")[1:] for word in words}
        assert len(tails) == 1
        assert [str(k) + "".join(*tails) for k in ids.tolist()] == words


def test_first_users_do_not_depend_on_the_type_of_a_file(tmp_path):
    frame = pd.DataFrame({"user": [5.0, 1.0, 3.0], "item": [1, 1, 1], "rating": [5.0, 1.0, 3.0]})
    frame.to_csv(tmp_path / "floats.csv", index=False)
    frame.astype({"user": int}).to_csv(tmp_path / "whole.csv", index=False)
    frame.to_parquet(tmp_path / "floats.parquet")
    for name in ("floats.csv", "whole.csv", "floats.parquet"):
        chosen = scenario(tmp_path / name, ratings__select={"users": 1}).ratings.population(0, no_test())
        assert chosen.user_ids == [1], name
        assert chosen.ratings[0].values.tolist() == [1.0]


def no_test():
    return scenario_file.parse(
        {"name": "x", "ratings": {"source": "synthetic", "users": 2, "items": 2}}, "x"
    ).test


def scenario(path, **changes):
    tree = {
        "name": "names",
        "ratings": {"source": "file", "path": str(path)},
        "model": {"factors": 2, "learning_rate": 1e-3},
        "protocol": {"key_bits": 1024, "scheme": "plain"},
        "stop": {"rounds": 2},
        "cluster": {"backend": "serial"},
    }
    for dotted, value in changes.items():
        scenario_file.assign(tree, dotted.replace("__", "."), value)
    return scenario_file.parse(tree, "names.yaml")


@pytest.fixture
def named(tmp_path):
    lines = [
        f"{who},{what},{3 + len(who) % 2}" for who in ("bob", "007", "7", "eve") for what in ("NA", "m 1")
    ]
    lines += ["bob,only bob,5"]
    (tmp_path / "named.csv").write_text("\n".join(["user,item,rating", *lines]) + "\n")
    return tmp_path / "named.csv"


def test_a_user_is_found_by_its_text_and_items_come_back_as_text(named, tmp_path):
    folder = run(scenario(named), tmp_path / "results", Silent())
    found = recommend(folder, "007", 5)
    assert found.user == "007"
    assert {one.title for one in found.liked} == {"item NA", "item m 1"}
    assert [one.title for one in found.after] == ["item only bob"]
    printed = CliRunner().invoke(cli, ["recommend", str(folder), "--user", "007"])
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("user 007 rated highest")
    with pytest.raises(FedMFError, match="has no user 07: 4 users, 'bob' to 'eve'"):
        recommend(folder, "07", 5)


def test_names_of_users_are_not_in_the_run_folder(named, tmp_path):
    folder = run(scenario(named), tmp_path / "results", Silent())
    assert list(pd.read_csv(folder / "users.csv.gz")["user_id"].unique()) == [1, 2, 3, 4]
    for file in folder.rglob("*"):
        if file.is_file():
            assert b"bob" not in file.read_bytes(), file


def test_errors_name_users_and_items_as_the_file_does(named, tmp_path):
    with pytest.raises(DivergenceError, match=r"user '(bob|007|7|eve)', item '(NA|m 1|only bob)': "):
        run(scenario(named, model__learning_rate=500.0), tmp_path / "results", Silent())
    with pytest.raises(FedMFError, match=r"user '007' has 2 ratings, too few"):
        run(scenario(named, test={"last": 2}), tmp_path / "results", Silent())
    named.write_text(named.read_text() + "eve,NA,1\n")
    with pytest.raises(FedMFError, match=r"user 'eve' rated item 'NA' more than once .rows 7 and 10."):
        load_table(named, ROLES)
