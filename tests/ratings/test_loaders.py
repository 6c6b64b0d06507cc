"""One table whatever the source, and one clear line for whatever is wrong with it."""

import dataclasses
import gzip
import sys

import numpy as np
import pandas as pd
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import movielens
from fedmf_ray.ratings.files import load_table
from fedmf_ray.storage.checkpoints import state_folder
from tests.support.movielens import expect

ROWS = [(2, 31, 4.5, 100), (1, 7, 3.0, 300), (1, 31, 0.5, 200), (10, 7, 5.0, 50)]
NAMED = {"user": "who", "item": "what", "rating": "stars", "timestamp": "when"}


def frame(rows=ROWS):
    return pd.DataFrame(rows, columns=list(NAMED.values()))


def as_csv(folder):
    frame().to_csv(folder / "r.csv", index=False)
    return load_table(folder / "r.csv", NAMED)


def as_compressed_csv(folder):
    frame().to_csv(folder / "r.csv.gz", index=False)
    return load_table(folder / "r.csv.gz", NAMED)


def as_parquet(folder):
    frame().to_parquet(folder / "r.parquet")
    return load_table(folder / "r.parquet", NAMED)


def as_movielens(name):
    """A tiny data set in the format that the real one has."""

    def load(folder):
        known = movielens.DATA_SETS[name]
        file = folder / known.folder / known.ratings_file
        file.parent.mkdir()
        lines = [known.separator.join(map(str, row)) for row in ROWS]
        if known.header:
            lines.insert(0, "userId,movieId,rating,timestamp")
        file.write_text("\n".join(lines) + "\n")
        with pytest.MonkeyPatch.context() as monkeypatch:
            expect(monkeypatch, name, len(ROWS))
            return movielens.load(name, folder)

    return load


LOADERS = {"csv": as_csv, "csv.gz": as_compressed_csv, "parquet": as_parquet}
LOADERS |= {name: as_movielens(name) for name in movielens.DATA_SETS}


@pytest.mark.parametrize("loader", LOADERS)
def test_every_loader_gives_the_same_table(loader, tmp_path):
    table = LOADERS[loader](tmp_path)
    users, items, values, times = zip(*ROWS, strict=True)
    assert table.user_ids.tolist() == list(users)
    assert table.item_ids.tolist() == list(items)
    assert table.values.tolist() == list(values)
    assert table.timestamps.tolist() == list(times)
    assert [column.dtype for column in (table.user_ids, table.item_ids, table.timestamps)] == [np.int64] * 3
    assert table.values.dtype == np.float64


def test_ml_latest_small_is_read_whole(movielens_small):
    table = movielens.load("ml-latest-small", movielens_small)
    assert len(table.values) == movielens.DATA_SETS["ml-latest-small"].ratings
    assert len(np.unique(table.user_ids)) == 610
    assert len(np.unique(table.item_ids)) == 9724


def test_without_timestamps_the_order_of_the_file_counts(tmp_path):
    frame().to_csv(tmp_path / "r.csv", index=False)
    named = {role: column for role, column in NAMED.items() if role != "timestamp"}
    assert load_table(tmp_path / "r.csv", named).timestamps.tolist() == [0, 1, 2, 3]


def test_only_the_order_of_fractional_timestamps_counts(tmp_path):
    frame([(1, 1, 1, 2010.9), (1, 2, 1, 2010.1), (1, 3, 1, 2010.5)]).to_csv(tmp_path / "r.csv", index=False)
    assert load_table(tmp_path / "r.csv", NAMED).timestamps.tolist() == [2, 0, 1]


def test_nanoseconds_are_not_rounded(tmp_path):
    now = 1_700_000_000_000_000_001
    frame([(1, 1, 1, now), (1, 2, 1, now + 1)]).to_csv(tmp_path / "r.csv", index=False)
    assert load_table(tmp_path / "r.csv", NAMED).timestamps.tolist() == [now, now + 1]


def test_one_name_among_many_numbers_splits_no_user_in_two(tmp_path):
    """pandas types a large file chunk by chunk unless told otherwise: 12 here and "12" there."""
    numbers = np.tile(np.arange(5000), 60)
    table = pd.DataFrame({"who": numbers, "what": np.repeat(np.arange(60), 5000), "stars": 3, "when": 1})
    table = pd.concat([table, pd.DataFrame([("bob", 0, 3, 1)], columns=list(table))])
    table.to_csv(tmp_path / "r.csv", index=False)
    assert len(np.unique(load_table(tmp_path / "r.csv", NAMED).user_ids)) == 5001


@pytest.mark.parametrize("ids", [(-3, 4), (2**63 + 5, 2**63 + 6), (1.5, 2.5)])
def test_ids_that_are_no_63_bit_numbers_are_numbered(ids, tmp_path):
    frame([(ids[0], 1, 1, 1), (ids[1], 1, 1, 1)]).to_csv(tmp_path / "r.csv", index=False)
    assert load_table(tmp_path / "r.csv", NAMED).user_ids.tolist() == [1, 2]


def test_an_empty_parquet_file_holds_no_ratings(tmp_path):
    frame()[:0].to_parquet(tmp_path / "r.parquet")
    with pytest.raises(FedMFError, match="holds no ratings"):
        load_table(tmp_path / "r.parquet", NAMED)


def test_names_are_numbered_by_first_appearance(tmp_path):
    frame([("zoe", "b", 1, 1), ("al", "a", 2, 2), ("zoe", "a", 3, 3)]).to_csv(tmp_path / "r.csv", index=False)
    table = load_table(tmp_path / "r.csv", NAMED)
    assert table.user_ids.tolist() == [1, 2, 1]
    assert table.item_ids.tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("who,what,score,when\n1,2,3,4\n", "no column 'stars' .* it has who, what, score, when"),
        (
            "who,what,stars,when\n1,2,3,4\n1,3,good,4\n",
            "row 2, column 'stars': 'good' is not a finite number",
        ),
        ("who,what,stars,when\n1,2,,4\n", "row 1, column 'stars': is empty"),
        (
            "who,what,stars,when\n1,2,3,4\n1,4,inf,4\n",
            "row 2, column 'stars': 'inf' is not a finite number",
        ),
        ("who,what,stars,when\n1,2,3,4\n,4,2,4\n", "row 2, column 'who': is empty$"),
        (
            "who,what,stars,when\n5,9,3,4\n1,2,2,4\n5,9,4,9\n",
            "user 5 rated item 9 more than once .rows 1 and 3.",
        ),
        ("who,what,stars,when\nzoe,9,3,4\nal,2,2,4\nzoe,9,4,9\n", "more than once .rows 1 and 3."),
        ("who,what,stars,when\n1,2,3,4,5\n2,2,3,4,5\n", "row 1 has more cells than the header"),
        ("who,what,stars,when\n1,2,3,4\n2,2,3,4,5\n", "row 2 has more cells than the header"),
        ("who,what,stars,when\n", "holds no ratings"),
        ("", "cannot be read"),
    ],
)
def test_a_bad_file_is_one_line_that_says_where(content, message, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(FedMFError, match=message) as caught:
        load_table(path, NAMED)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FedMFError, match=r"nowhere\.csv: no such ratings file"):
        load_table(tmp_path / "nowhere.csv", NAMED)


def test_a_broken_parquet_file_is_named(tmp_path):
    (tmp_path / "r.parquet").write_bytes(b"not parquet")
    with pytest.raises(FedMFError, match=r"r\.parquet: cannot be read"):
        load_table(tmp_path / "r.parquet", NAMED)


def test_half_a_compressed_file_is_named(tmp_path):
    whole = gzip.compress(
        ("who,what,stars,when\n" + "".join(f"{n},1,2,{n * n}\n" for n in range(9999))).encode()
    )
    (tmp_path / "r.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        FedMFError,
        match=r"r\.csv\.gz: cannot be read: the gzip archive is broken or cut off: .*end-of-stream",
    ):
        load_table(tmp_path / "r.csv.gz", NAMED)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    frame().to_parquet(tmp_path / "r.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FedMFError, match=r"Parquet needs pyarrow: pip install 'fedmf-ray\[parquet\]'"):
        load_table(tmp_path / "r.parquet", NAMED)


@pytest.mark.parametrize("kind", ["Int64", "datetime64[ns]"])
def test_a_missing_timestamp_is_named(kind, tmp_path):
    frame().assign(when=pd.Series([1, None, 3, 4], dtype=kind)).to_parquet(tmp_path / "r.parquet")
    with pytest.raises(FedMFError, match="row 2, column 'when': is empty"):
        load_table(tmp_path / "r.parquet", NAMED)


def test_a_data_set_that_is_not_here_says_how_to_get_it(tmp_path):
    with pytest.raises(FedMFError, match="fedmf-ray data fetch ml-1m"):
        movielens.load("ml-1m", tmp_path)
    with pytest.raises(FedMFError, match="one of ml-latest-small, "):
        movielens.load("ml-2m", tmp_path)


def test_a_data_set_of_another_format_is_refused(tmp_path):
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "ratings.dat").write_text("userId,movieId,rating,timestamp\n1,2,3,4\n")
    with pytest.raises(FedMFError, match="is not ml-1m"):
        movielens.load("ml-1m", tmp_path)


def test_fedmf_data_names_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FEDMF_DATA", str(tmp_path))
    assert movielens.cache_folder() == tmp_path
    monkeypatch.delenv("FEDMF_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert movielens.cache_folder() == tmp_path / "fedmf-ray"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_folders_are_where_an_earlier_version_had_them(monkeypatch, tmp_path):
    for name in ("FEDMF_DATA", "FEDMF_STATE", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert movielens.cache_folder() == tmp_path / ".cache" / "fedmf-ray"
    assert state_folder() == tmp_path / ".local" / "state" / "fedmf-ray"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    assert state_folder() == tmp_path / "here" / "fedmf-ray"
    monkeypatch.setenv("FEDMF_STATE", str(tmp_path / "chosen"))
    assert state_folder() == tmp_path / "chosen"


def test_a_table_is_immutable(tmp_path):
    with pytest.raises(dataclasses.FrozenInstanceError):
        as_csv(tmp_path).source = "x"
