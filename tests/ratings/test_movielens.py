"""A MovieLens data set is whole and its columns have names, or it is refused with the remedy."""

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import movielens
from tests.support.movielens import expect

HEAD = "userId,movieId,rating,timestamp"
ROWS = [(1, 31, 4.5, 1000), (1, 7, 3.0, 3000), (2, 31, 0.5, 2000)]
LINES = [",".join(map(str, row)) for row in ROWS]


def load(folder, text, monkeypatch, ratings=3, name="ml-latest-small"):
    expect(monkeypatch, name, ratings)
    known = movielens.DATA_SETS[name]
    (folder / known.folder).mkdir(exist_ok=True)
    (folder / known.folder / known.ratings_file).write_text(text)
    return movielens.load(name, folder)


def rows(table):
    columns = (table.user_ids, table.item_ids, table.values, table.timestamps)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_columns_are_found_by_name(order, tmp_path, monkeypatch):
    cells = [line.split(",") for line in (HEAD, *LINES)]
    text = "\n".join(",".join(row[at] for at in order) for row in cells) + "\n"
    assert rows(load(tmp_path, text, monkeypatch)) == ROWS


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "ml-1m"])
def test_no_part_of_a_data_set_passes_as_the_whole(name, tmp_path, monkeypatch):
    known = movielens.DATA_SETS[name]
    text = "\n".join([HEAD] * known.header + [known.separator.join(map(str, row)) for row in ROWS]) + "\n"
    assert rows(load(tmp_path, text, monkeypatch, name=name)) == ROWS
    for stop in range(len(text)):
        with pytest.raises(FedMFError, match=f"{known.ratings_file}: ") as caught:
            load(tmp_path, text[:stop], monkeypatch, name=name)
        assert "\n" not in str(caught.value)
        if stop > len(HEAD) + 10:
            assert (
                f"fedmf-ray data fetch {name}`, or read a part of the data set with ratings.source: file"
                in str(caught.value)
            )


@pytest.mark.parametrize("more", ["1,9,3.0,5\n", "1,9,3.0,5\n" * 50])
def test_more_ratings_than_the_data_set_has_are_refused(more, tmp_path, monkeypatch):
    text = "\n".join([HEAD, *LINES]) + "\n" + more
    with pytest.raises(FedMFError, match="holds more ratings, ml-latest-small has 3: move .* away and run"):
        load(tmp_path, text, monkeypatch)


def test_the_real_one_without_its_last_row_is_refused(tmp_path, movielens_small):
    whole = (movielens_small / "ml-latest-small" / "ratings.csv").read_bytes()
    (tmp_path / "ml-latest-small").mkdir()
    file = tmp_path / "ml-latest-small" / "ratings.csv"
    file.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(FedMFError, match="holds 100,835 ratings, ml-latest-small has 100,836"):
        movielens.load("ml-latest-small", tmp_path)
    file.write_bytes(whole[:-4])
    with pytest.raises(FedMFError, match="its last line has no end, so the file was cut off"):
        movielens.load("ml-latest-small", tmp_path)
    file.write_bytes(whole)
    assert np.array_equal(movielens.load("ml-latest-small", tmp_path).values[:3], [4.0, 4.0, 4.0])


def test_two_columns_of_one_name_are_refused(tmp_path, monkeypatch):
    text = "\n".join([f"{HEAD},rating", *(f"{line},1.0" for line in LINES)]) + "\n"
    with pytest.raises(FedMFError, match="is not ml-latest-small: two of its columns have one name"):
        load(tmp_path, text, monkeypatch)


def test_titles_are_found_by_name_and_may_be_null(tmp_path):
    (tmp_path / "ml-25m").mkdir()
    (tmp_path / "ml-25m" / "movies.csv").write_text('title,movieId,genres\nNull,7,\n"NA, The",8,\n')
    assert movielens.titles("ml-25m", tmp_path) == {7: "Null", 8: "NA, The"}


def test_a_title_is_a_line_whatever_its_characters(tmp_path):
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "movies.dat").write_bytes(b"1::Wait\x85 (1991)::Drama\r\n2::Two::Drama\r\n")
    assert movielens.titles("ml-1m", tmp_path) == {1: "Wait\x85 (1991)", 2: "Two"}
