"""Titles of items: from a file of one's own, or from the data set; for people alone."""

import pytest

from fedmf_ray.engine.recommend import recommend
from fedmf_ray.errors import FedMFError
from fedmf_ray.planning.population import Population
from fedmf_ray.ratings.names import Names
from tests.support.small_runs import losses_of, run_and_notes, small

RATINGS = [
    (user, item, 1 + (user * item) % 5) for user in range(1, 6) for item in range(1, 7) if user != item
]


def without_scale(population):
    """Its notes but that of the scale of its ratings."""
    return tuple(note for note in population.notes if "ratings.scale" not in note)


def source(tmp_path, titles, text=False, **keys):
    """A file source with titles; text: ids of items are words."""
    name = (lambda item: f"m{item:02}") if text else str
    rows = [f"{user},{name(item)},{rating}\n" for user, item, rating in RATINGS]
    (tmp_path / "r.csv").write_text("user,item,rating\n" + "".join(rows))
    (tmp_path / "t.csv").write_text(titles)
    told = {"path": str(tmp_path / "t.csv")} | keys
    return {"source": "file", "path": str(tmp_path / "r.csv"), "titles": told}


def population(*args, **keys):
    return Population.of(small(ratings=source(*args, **keys), test={"last": 1}))


def test_titles_are_found_by_the_id_of_the_file(tmp_path):
    titles = 'item,year,title\n2,1999,"Dr. ""No"", or so"\n1,2000,Null\n99,1,nobody\'s\n'
    found = population(tmp_path, titles + "".join(f"{item},1,{item}\n" for item in (3, 4, 5)) + "6,1,f\n")
    assert [found.names.title(item) for item in (1, 2, 6)] == ["Null", 'Dr. "No", or so', "f"]
    assert without_scale(found) == ()


def test_items_without_a_title_are_shown_by_their_id_and_counted_in_one_note(tmp_path):
    found = population(
        tmp_path, "id,name\nm01,One\nm03,Three\nm05,\nm02,Two\n", text=True, item="id", title="name"
    )
    shown = {found.names.item(item): found.names.title(item) for item in found.item_ids.tolist()}
    assert shown == {"m01": "One", "m02": "Two", "m03": "Three", "m04": "item m04", "m05": "item m05",
                     "m06": "item m06"}  # fmt: skip
    (note,) = without_scale(found)
    assert note == f"{tmp_path / 't.csv'}: 3 of 6 items have no title and are shown as `item ID`"


def test_the_column_of_ids_is_named_as_in_the_ratings_if_not_given(tmp_path):
    tree = source(tmp_path, "movie\ttitle\n1\tOne\n")
    (tmp_path / "r.csv").write_text((tmp_path / "r.csv").read_text().replace("item", "movie", 1))
    tree["columns"] = {"item": "movie"}
    assert Population.of(small(ratings=tree, test={"last": 1})).names.title(1) == "One"


def test_a_path_alone_is_enough(tmp_path):
    tree = source(tmp_path, "item;title\n1;One\n")
    tree["titles"] = tree["titles"]["path"]
    assert Population.of(small(ratings=tree, test={"last": 1})).names.title(1) == "One"


def test_one_item_with_several_titles_keeps_the_first(tmp_path):
    found = population(
        tmp_path, "item,title\n1,One\n1,Uno\n1,One\n" + "".join(f"{i},t{i}\n" for i in range(2, 7))
    )
    assert found.names.title(1) == "One"
    assert without_scale(found) == (
        f"{tmp_path / 't.csv'}: items with more than one title keep the first; lines left out: 1",
    )


def test_parquet_and_a_file_without_a_header(tmp_path):
    pd, parquet = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pandas(
        pd.DataFrame({"item": [1, 2, 3], "title": ["One", None, "Three"]})
    )
    tree = source(tmp_path, "")
    parquet.write_table(table, tmp_path / "t.parquet")
    tree["titles"] = str(tmp_path / "t.parquet")
    names = Population.of(small(ratings=tree, test={"last": 1})).names
    assert [names.title(item) for item in (1, 2, 3)] == ["One", "item 2", "Three"]
    (tmp_path / "t.dat").write_bytes(
        '1::\xc9t\xe9, L\' (1999)::Drama\n3::"Three" (2000)::\n'.encode("latin-1")
    )
    tree["titles"] = {
        "path": str(tmp_path / "t.dat"),
        "separator": "::",
        "header": ["item", "title", "genres"],
        "encoding": "latin-1",
        "quoting": "none",
    }
    names = Population.of(small(ratings=tree, test={"last": 1})).names
    assert [names.title(item) for item in (1, 3)] == ["\xc9t\xe9, L' (1999)", '"Three" (2000)']


@pytest.mark.parametrize(
    ("titles", "keys", "message"),
    [
        ("item,name\n1,One\n", {}, r"t\.csv: no column 'title' \(ratings\.titles\); it has item, name"),
        (
            "item,title\n77,One\n",
            {},
            r"has a title for none of the 6 items, such as '\d': is 'item' the column of",
        ),
        ("item,title\n", {}, "a title for none of the 6 items"),
        ("item,title\n1,One\n", {"title": "item"}, "'item' is named for item and title"),
        (
            "item,title\n1,One\n",
            {"path": "/nowhere/t.csv"},
            r"/nowhere/t.csv: no such file of titles \(ratings.ti",
        ),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, titles, keys, message):
    with pytest.raises(FedMFError, match=message) as caught:
        population(tmp_path, titles, **keys)
    assert "\n" not in str(caught.value)


def test_titles_are_in_the_lists_of_a_run_and_do_not_change_it(tmp_path):
    tree = source(tmp_path, "item,title\n1,One\n2,Two\n3,Three\n", text=False)
    folder, notes = run_and_notes(small(ratings=tree, test={"last": 1}), tmp_path / "results")
    assert sum("have no title" in note for note in notes) == 1
    shown = {one.title for one in recommend(folder, 1, 3).liked}
    assert shown <= {"One", "Two", "Three", "item 4", "item 5", "item 6"}
    assert shown & {"One", "Two", "Three"}
    del tree["titles"]
    bare, _ = run_and_notes(small(ratings=tree, test={"last": 1}), tmp_path / "results")
    assert losses_of(bare).equals(losses_of(folder))


def test_movielens_brings_its_own(movielens_small, monkeypatch):
    monkeypatch.setenv("FEDMF_DATA", str(movielens_small))
    found = Population.of(
        small(
            ratings={"source": "movielens", "select": {"items": 20, "users": 5, "min_ratings": 2}},
            test={"last": 1},
        )
    )
    assert found.names.title(1) == "Toy Story (1995)"
    assert without_scale(found) == ()


def test_a_name_without_titles_shows_the_id():
    assert Names().title(7) == "item 7"
    assert Names(items=["x"], titles={1: ""}).title(1) == "item x"
