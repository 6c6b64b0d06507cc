"""Many small random files: the table that a plain reading gives, or one line; no row vanishes in silence."""

import bz2
import csv
import gzip
import io
import lzma
import random
import re
import tarfile
import zipfile

import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.csv_files import Dialect
from fedmf_ray.ratings.files import load_table

IDS = [
    "7", "007", "07", "7.0", "12e3", "12000", "1.10", "1.1", "NA", "null", "nan", "TRUE", "true", "x", "X",
    "a b", "-1", "0", "9007199254740993", "9007199254740992", "9223372036854775808", "Zo\xe9", "#tag", "o'x",
    'say "hi"', "a,b", "a;b", "1_000", "+5", "two\nlines", "'", "\u0663", "inf", "<p>",
]  # fmt: skip
WHOLE = ["1", "2", "3", "40", "500", "9223372036854775807", "0"]
RATINGS = ["1", "2.5", "3", "4.5", "5", "0.5", "-2", "1e0"]
HEADS = [
    b"", b"user,item,rating\n", b"\xff\xfe", b"\xff\xfe\0\0", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"BZh9",
    b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", bytes(257) + b"ustar",
]  # fmt: skip


def written(dice, rows, separator, quoting):
    sink = io.StringIO()
    end = dice.choice(["\n", "\r\n"])
    writer = csv.writer(sink, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows(rows)
    text = sink.getvalue()
    return text if dice.random() < 0.7 else text.rstrip("\r\n")


def packed(dice, data):
    """The content of a file and how it is packed."""
    kind = dice.choice(["plain"] * 4 + ["gz", "bz2", "xz", "zip", "tar"])
    if kind == "zip":
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", data)
        return kind, sink.getvalue()
    if kind == "tar":
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w:gz") as archive:
            info = tarfile.TarInfo("t.csv")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        return kind, sink.getvalue()
    return kind, {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "plain": bytes}[kind](data)


def plain_ids(words):
    """What a reader without any library would say: text, unless all are whole numbers."""
    words = [word.strip() for word in words]
    if all(re.fullmatch("0|[1-9][0-9]*", word) and int(word) < 2**63 for word in words):
        return [int(word) for word in words]
    if all(re.fullmatch(r"(0|[1-9][0-9]*)\.0", word) for word in words):
        return [int(word[:-2]) for word in words]
    return words


def seen(table):
    """Ids as a person sees them."""
    users = [table.names.users[one - 1] if table.names.users else one for one in table.user_ids.tolist()]
    items = [table.names.items[one - 1] if table.names.items else one for one in table.item_ids.tolist()]
    return users, items, table.values.tolist()


def attempt(path, roles, dialect):
    """The table, or the one line that says why there is none."""
    try:
        return load_table(path, roles, dialect), ""
    except FedMFError as error:
        return None, str(error)


@pytest.mark.parametrize("seed", range(300))
def test_a_table_is_read_as_it_was_written(seed, tmp_path):
    dice = random.Random(seed)
    pool = dice.choice([IDS, WHOLE, IDS[:4], [f"{n}.0" for n in (1, 5, 3)]])
    names = ["user", "item", "rating", "title", "date"][: dice.choice([3, 4, 5])]
    pairs = dict.fromkeys((dice.choice(pool), dice.choice(pool)) for _ in range(dice.randint(1, 15)))
    cells = {"title": lambda: dice.choice(IDS), "date": lambda: str(dice.randint(10**18, 10**18 + 9))}
    rows = [
        [user, item, dice.choice(RATINGS), *(cells[name]() for name in names[3:])] for user, item in pairs
    ]
    order = dice.sample(range(len(names)), len(names))
    separator = dice.choice(",,,;\t|^")
    encoding = dice.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
    told = dice.random() < 0.5
    if encoding == "latin-1":
        rows = [[cell.replace("\u0663", "y") for cell in row] for row in rows]
    table = [[row[at] for at in order] for row in [names, *rows]]
    quoting = dice.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    text = written(dice, table, separator, quoting)
    path = tmp_path / "ratings.any"
    path.write_bytes(packed(dice, text.encode(encoding))[1])
    roles = {"user": "user", "item": "item", "rating": "rating"} | (
        {"timestamp": "date"} if "date" in names else {}
    )
    multiline = any("\n" in cell for row in rows for cell in row)
    dialect = Dialect(
        separator if told or separator == "^" else None,
        encoding if encoding == "latin-1" else None,
        None,
        "multiline" if multiline and told else "line",
    )
    found, error = attempt(path, roles, dialect)
    if error:
        assert "\n" not in error
        assert multiline, error
        assert dialect.quoting == "line", error
        assert "ratings.quoting" in error or "two columns" in error
        return
    users, items, values = seen(found)
    assert users == plain_ids([row[0] for row in rows])
    assert items == plain_ids([row[1] for row in rows])
    assert values == [float(row[2]) for row in rows]
    if "date" in names:
        assert found.timestamps.tolist() == [int(row[4]) for row in rows]


@pytest.mark.parametrize("seed", range(400))
def test_a_damaged_file_is_one_line_or_loses_no_row(seed, tmp_path):
    """Characters are lost, added and changed anywhere; each line that is there is read as a rating."""
    dice = random.Random(seed)
    head, *lines = ["user,item,rating,title"] + [
        f"{dice.choice(IDS[:6])},{at},{dice.choice(RATINGS)},{dice.choice(['x', 'Odd', '12'])}"
        for at in range(dice.randint(1, 12))
    ]
    text = "\n".join([head, *lines]) + "\n"
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text))
        rest = text[at + dice.randint(0, 1) :]
        text = (
            text[:at] + dice.choice(['"', ",", "\n", ";", " ", "\r", "\t", "#", "\0", "\xff", "", ""]) + rest
        )
    kind, data = packed(dice, text.encode())
    if kind != "plain" and dice.random() < 0.7:
        data = data[: dice.randrange(len(data))]
    path = tmp_path / "ratings.any"
    path.write_bytes(data)
    roles = {"user": "user", "item": "item", "rating": "rating"}
    found, error = attempt(path, roles, Dialect())
    if error:
        assert "\n" not in error
        assert error.startswith(str(path))
        assert len(error) < 600
        return
    there = [line for line in re.split("\r\n|\r|\n", text) if line.strip()]
    above = next(at for at, line in enumerate(there) if "user" in line)
    assert len(found.values) == len(there) - above - 1
    plain = [row for part in (there[: above + 1][-1:], there[above + 1 :])
             for row in csv.reader(part, skipinitialspace=True)]  # fmt: skip
    at = [[name.strip() for name in plain[0]].index(name) for name in roles]
    users, items, values = seen(found)
    assert users == plain_ids([row[at[0]] for row in plain[1:]])
    assert items == plain_ids([row[at[1]] for row in plain[1:]])
    assert values == [float(row[at[2]]) for row in plain[1:]]


@pytest.mark.parametrize("seed", range(120))
def test_bytes_of_no_meaning_are_one_line(seed, tmp_path):
    dice = random.Random(seed)
    head = dice.choice(HEADS)
    path = tmp_path / "ratings.any"
    path.write_bytes(head + dice.randbytes(dice.randint(0, 2000)))
    found, error = attempt(path, {"user": "user", "item": "item", "rating": "rating"}, Dialect())
    assert found is None
    assert "\n" not in error
    assert len(error) < 600
