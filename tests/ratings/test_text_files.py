"""Text files as programs write them: read, with a note of what was recognised, or refused with a remedy."""

import gzip

import numpy as np
import pytest

from fedmf_ray.engine.run import run
from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.csv_files import Dialect
from fedmf_ray.ratings.files import load_table
from fedmf_ray.scenario import file as scenario_file

ROLES = {"user": "user", "item": "item", "rating": "rating"}
TIMED = ROLES | {"timestamp": "date"}


def load(folder, content, roles=ROLES, decimal=None, **dialect):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "r.csv").write_bytes(data)
    return load_table(folder / "r.csv", roles, Dialect(**dialect), decimal)


def rows(table):
    return list(zip(table.user_ids.tolist(), table.item_ids.tolist(), table.values.tolist(), strict=True))


TWO = [(1, 10, 4.5), (2, 11, 3.0)]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("user,item,rating\n1,10,4.5\n2,11,3\n", None),
        ("user;item;rating\n1;10;4,5\n2;11;3,0\n", "semicolons .* decimal comma"),
        ("user\titem\trating\n1\t10\t4.5\n2\t11\t3\n", "tabs"),
        ("user|item|rating\n1|10|4.5\n2|11|3\n", "bars"),
        ("user item rating\n1 10 4.5\n2 11 3\n", "spaces"),
        ('user,item,rating\n1,10,"4,5"\n2,11,"3,0"\n', "decimal comma"),
        (
            "# exported 2024\n% by hand\nuser,item,rating\n1,10,4.5\n2,11,3\n",
            "above the header that were left out: 2",
        ),
        ("sep=;\nuser;item;rating\n1;10;4.5\n2;11;3\n", "left out: 1 .* semicolons"),
        ('"user","item","rating"\n"1",1,10,4.5\n"2",2,11,3\n', "as R writes it"),
        ('"user" "item" "rating"\n"1" 1 10 4.5\n"2" 2 11 3\n', "spaces .* as R writes it"),
        ("user, item, rating\n1, 10, 4.5\n2, 11, 3\n", None),
        ("user,item,rating\r\n1,10,4.5\r\n2,11,3\r\n", None),
        ("user,item,rating\r1,10,4.5\r2,11,3", None),
        ("\n\nuser,item,rating\n\n1,10,4.5\n   \n2,11,3\n\n", None),
        ("user,item,rating\n1,10,4.5,\n2,11,3,\n", None),
        ("\ufeffuser,item,rating\n1,10,4.5\n2,11,3\n", None),
        ("user,item,rating\n1,10,4.5\n2,11,3\n".encode("utf-16"), "UTF-16"),
        ("user,item,rating\n1,10,4.5\n2,11,3\n".encode("utf-16-le"), "UTF-16-LE"),
        ("user,item,rating\n1,10,4.5\n2,11,3\n".encode("utf-16-be"), "UTF-16-BE"),
        ("user,item,rating\n1,10,4.5\n2,11,3\n".encode("utf-32"), "UTF-32"),
    ],
)
def test_it_is_read_and_a_note_says_as_what(content, note, tmp_path):
    table = load(tmp_path, content)
    assert rows(table) == TWO
    noted = " ".join(table.notes)
    if note is None:
        assert table.notes == ()
    else:
        assert all(part in noted for part in note.split(" .* "))


@pytest.mark.parametrize(
    ("content", "message", "settings"),
    [
        ("user;item;rating\n1;10;4,500\n2;11;3\n", "row 1, .* set ratings.decimal", {"decimal": ","}),
        ("user^item^rating\n1^10^4.5\n2^11^3\n", "no column 'user'", {"separator": "^"}),
        ("user,item,rating\n1,10,4.5\n# half\n2,11,3\n", "row 2, .* is empty", {"comment": "#"}),
        ("// a\nuser,item,rating\n1,10,4.5\n2,11,3\n", "no column 'user'", {"comment": "//"}),
        (
            "user,item,rating,who\n1,10,4.5,caf\xe9\n2,11,3,x\n".encode("latin-1"),
            "line 2 is not UTF-8 text: set ratings.encoding",
            {"encoding": "latin-1"},
        ),
        (
            'user,item,rating,title\n1,10,4.5,"Odd\n2,11,3,x\n',
            "a quote in line 2 is never closed: set ratings.quoting to none",
            {"quoting": "none"},
        ),
        (
            'user,item,rating,title\n1,10,4.5,"two\nlines"\n2,11,3,x\n',
            "3 lines make 2 records: a quoted cell near line 2 .* set ratings.quoting to multiline",
            {"quoting": "multiline"},
        ),
    ],
)
def test_it_is_refused_with_the_setting_that_reads_it(content, message, settings, tmp_path):
    with pytest.raises(FedMFError, match=message) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert rows(load(tmp_path, content, **settings)) == TWO


def test_every_setting_is_a_key_of_the_source(tmp_path):
    (tmp_path / "r.csv").write_bytes("// a\nuser^item^rating\nb\xe9^'^4,500\n".encode("latin-1"))
    keys = {
        "source": "file", "path": str(tmp_path / "r.csv"), "separator": "^", "decimal": ",", "comment": "//",
        "encoding": "latin-1", "quoting": "none",
    }  # fmt: skip
    table = scenario_file.parse({"name": "x", "ratings": keys}, "x.yaml").ratings.load()
    assert (table.names.users, table.names.items, table.values.tolist()) == (["b\xe9"], ["'"], [4.5])


@pytest.mark.parametrize(
    ("key", "value"),
    [("separator", "::::"), ("separator", "x"), ("separator", '"'), ("separator", "\n"), ("separator", "."),
     ("separator", "-"), ("decimal", ";"), ("quoting", "all"), ("comment", "")],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused(key, value, tmp_path):
    keys = {"source": "file", "path": "r.csv", key: value}
    with pytest.raises(FedMFError, match=rf"ratings\.{key}"):
        scenario_file.parse({"name": "x", "ratings": keys}, "x.yaml")


@pytest.mark.parametrize("encoding", ["latin-99", "rot13", "base64", "\0"])
def test_an_encoding_that_is_none_is_refused(encoding, tmp_path):
    with pytest.raises(FedMFError, match="ratings.encoding: .* is no encoding"):
        load(tmp_path, "user,item,rating\n1,10,4\n", encoding=encoding)


STRAY = 'user,item,rating,title\n1,10,4,"Odd\n1,11,3,fine\n2,10,5,fine\n2,11,2,Odd"\n3,10,1,x\n'


def test_stray_quotes_make_no_row_vanish(tmp_path):
    with pytest.raises(FedMFError, match="5 lines make 2 records: a quoted cell near line 2 goes"):
        load(tmp_path, STRAY)
    assert len(load(tmp_path, STRAY, quoting="none").values) == 5
    multiline = load(tmp_path, STRAY, quoting="multiline")
    assert len(multiline.values) == 2
    assert "5 lines make 2 records" in multiline.notes[0]


@pytest.mark.parametrize(
    "head", ["user,item,rating,rating", "user,user,item,rating", "user,item, rating,rating"]
)
def test_two_columns_of_one_name_are_refused(head, tmp_path):
    with pytest.raises(FedMFError, match=r"two columns are named '(rating|user)'"):
        load(tmp_path, f"{head}\n1,10,4,2\n2,10,5,1\n")


def test_two_columns_that_nobody_asks_for_may_have_one_name(tmp_path):
    assert rows(load(tmp_path, "user,item,rating,,\n1,10,4.5,,\n2,11,3,a,b\n")) == TWO


def test_one_column_for_two_roles_is_refused(tmp_path):
    with pytest.raises(FedMFError, match=r"'user' is named for user and item"):
        load(tmp_path, "user,item,rating\n1,10,4\n", ROLES | {"item": "user"})


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["2005-09-06", "2004-01-01"], [1, 0]),
        (["2005-09-06 10:00", "2005-09-06T09:59:59.5", "2005-09-06"], [2, 1, 0]),
        (["2005-09-06T10:00:00.123456789", "2005-09-06T10:00:00.12345678"], [1, 0]),
        (["2020-01-01T00:00:00+02:00", "2019-12-31T23:00:00Z"], [0, 1]),
        (["1700000000000000002", "1700000000000000001.5", "1700000000000000001"], [2, 1, 0]),
        (["1700000000000000002.0", "1700000000000000001.0"], [1, 0]),
        (["92233720368547758080", "92233720368547758079"], [1, 0]),
        (["1e3", "999"], [1, 0]),
    ],
)
def test_times_keep_their_order(times, order, tmp_path):
    lines = [f"1,{at},3,{time}" for at, time in enumerate(times)]
    table = load(tmp_path, "\n".join(["user,item,rating,date", *lines]), TIMED)
    assert np.argsort(table.timestamps, kind="stable").tolist() == order


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2005-09-06", "06.09.2005"], "row 2, column 'date': '06.09.2005' is neither a number nor a date"),
        (["2005-09-06", "2005-13-06"], "row 2, .* is neither"),
        (["2005-09-06", "17"], "row 2, .* cannot be compared with '2005-09-06'"),
        (["2005-09-06", "2005-09-06T00:00Z"], "row 2, .* cannot be compared"),
        (["1", ""], "row 2, column 'date': is empty"),
        (["1", "nan"], "row 2, .* is neither"),
        (["1", "1_000"], "row 2, .* is neither"),
        (["1", "1e9999999999"], "row 2, .* is neither"),
    ],
)
def test_what_is_no_time_is_named(times, message, tmp_path):
    lines = [f"1,{at},3,{time}" for at, time in enumerate(times)]
    with pytest.raises(FedMFError, match=message):
        load(tmp_path, "\n".join(["user,item,rating,date", *lines]), TIMED)


@pytest.mark.parametrize(
    "rating", ["1_000", "0x10", "inf", "nan", "1,5", "٣", "5 stars", "1e400", "--1", "true"]
)
def test_what_is_no_rating_is_named(rating, tmp_path):
    with pytest.raises(FedMFError, match="row 2, column 'rating': .* is not a finite number"):
        load(tmp_path, f'user,item,rating\n1,10,4.5\n2,11,"{rating}"\n')


def test_ratings_are_read_to_the_last_bit(tmp_path):
    assert load(tmp_path, "user,item,rating\n1,1,0.1234567890123456789\n").values[0] == 0.1234567890123456789


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"user,item,rating\n1,10,\0\n", "no text, it holds zero bytes"),
        (b"user,item,rating\n1,10," + b"9" * (1 << 21), "a line after line 1 has over"),
        (b"user,item,rating\n1,10,4\n1", "row 2, column 'rating': is empty"),
        (b"1,10,4\n2,10,5\n", "no column 'user' .ratings.columns.; it has 1, 10, 4"),
        (b"#\n" * 5000 + b"user,item,rating\n1,10,4\n", "no column 'user'"),
        (b"user,item,rating\n1,10,4,5\n2,10,5,5\n", "row 1 has more cells than the header"),
        (b"\n \n", "no line names columns"),
        (b"<html>404 not found</html>", "no column 'user'"),
    ],
)
def test_what_is_no_table_is_one_line(content, message, tmp_path):
    with pytest.raises(FedMFError, match=message) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1, 2, 3, 4, 5, 0, 0], "0 is the value of 2 of 7 ratings, the others are 1 to 5"),
        ([1, 2, 3, -1], "-1 is the value of 1 of 4 ratings, the others are 1 to 3"),
        ([-9.5, 0, 3.25, -1, 99, 99], "99 is the value of 2 of 6 ratings, the others are -9.5 to 3.25"),
        ([1, 2, 3, 4, 5], None),
        ([0, 1, 1, 0], None),
        ([-1, 1, 1, -1], None),
        ([0, 0.25, 1], None),
        ([-0.9, -1, 0, 0.8], None),
        ([97, 98, 99, 100], None),
    ],
)
def test_values_that_may_stand_for_no_rating_are_noted(values, note, tmp_path):
    lines = [f"1,{at},{value}" for at, value in enumerate(values)]
    notes = load(tmp_path, "\n".join(["user,item,rating", *lines])).notes
    assert notes == () if note is None else note in notes[0]
    assert len(notes) <= 1


class Heard:
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def users(self, done, total): ...
    def round(self, row, rounds): ...


@pytest.mark.parametrize("model", [{"algorithm": "biases", "reg_user": 1.0, "reg_item": 1.0}, {"factors": 2}])
def test_a_run_shows_the_notes(model, tmp_path):
    (tmp_path / "r.csv").write_text("user;item;rating\n1;10;4,5\n2;11;3,0\n")
    tree = {
        "name": "x", "ratings": {"source": "file", "path": str(tmp_path / "r.csv")}, "model": model,
        "protocol": {"scheme": "plain"}, "stop": {"rounds": 1},
        "cluster": {"backend": "serial", "checkpoint_every": "never"},
    }  # fmt: skip
    heard = Heard()
    run(scenario_file.parse(tree, "x.yaml"), tmp_path / "results", heard)
    assert [note.rpartition(": ")[2] for note in heard.notes[:2]] == [
        "cells are separated by semicolons",
        "numbers have a decimal comma",
    ]


def test_a_large_file_is_read_in_parts(tmp_path):
    """Parts of a file meet in one numbering; so do a text id at its end and numbers before it."""
    count = 600_000
    lines = [f"{at % 1009},{at // 1009},{at % 5},{10**18 + at}" for at in range(count)]
    data = "\n".join(["user,item,rating,date", *lines, "bob,0,1,0"]).encode()
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(data, 1))
    table = load_table(tmp_path / "r.csv.gz", TIMED)
    assert table.user_ids[:count].tolist() == [at % 1009 + 1 for at in range(count)]
    assert table.names.user(int(table.user_ids[-1])) == "bob"
    assert table.timestamps[:count].tolist() == [10**18 + at for at in range(count)]
