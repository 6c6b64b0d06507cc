"""What a file is, its content says; whatever is wrong with it is one line that names the real cause."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings.files import load_table

ROLES = {"user": "user", "item": "item", "rating": "rating"}
HTML = b"<html>404 not found</html>"
ROWS = [(user, item, float(np.random.default_rng(user * item).integers(1, 6))) for user in range(1, 60)
        for item in range(1, 60)]  # fmt: skip
TEXT = "\n".join(["user,item,rating", *(f"{u},{i},{r}" for u, i, r in ROWS)]).encode() + b"\n"


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members or [("r.csv", TEXT)]:
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members or [("data/r.csv", TEXT)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def as_parquet():
    sink = io.BytesIO()
    pd.DataFrame(ROWS, columns=["user", "item", "rating"]).to_parquet(sink)
    return sink.getvalue()


PACKED = {
    "gzip": gzip.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "Zstandard": pa.compress(TEXT, "zstd", asbytes=True),
    "zip": zipped(),
    "zip, bzip2": zipped(method=zipfile.ZIP_BZIP2),
    "zip, lzma": zipped(method=zipfile.ZIP_LZMA),
    "tar": tarred(),
    "tar.gz": gzip.compress(tarred()),
    "tar.xz": lzma.compress(tarred()),
    "Parquet": as_parquet(),
}
SUFFIX = {
    "gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "Zstandard": ".zst", "zip": ".zip", "zip, bzip2": ".zip",
    "zip, lzma": ".zip", "tar": ".tar", "tar.gz": ".tar.gz", "tar.xz": ".tar.xz", "Parquet": ".parquet",
}  # fmt: skip


def load(folder, data, name="r.csv"):
    (folder / name).write_bytes(data)
    return load_table(folder / name, ROLES)


def rows(table):
    return list(zip(table.user_ids.tolist(), table.item_ids.tolist(), table.values.tolist(), strict=True))


def loaded(folder, data):
    """The rows, or None if they are refused in one line."""
    try:
        return rows(load(folder, data))
    except FedMFError as error:
        message = str(error)
    assert message.startswith(str(folder / "r.csv"))
    assert "\n" not in message
    return None


def refused(folder, data, name="r.csv"):
    with pytest.raises(FedMFError) as caught:
        load(folder, data, name)
    message = str(caught.value)
    assert message.startswith(str(folder / name)), message
    assert "\n" not in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("named", [True, False])
def test_it_is_read_whatever_its_name(kind, named, tmp_path):
    assert rows(load(tmp_path, PACKED[kind], "r" + SUFFIX[kind] if named else "ratings.csv")) == ROWS


@pytest.mark.parametrize("kind", PACKED)
def test_no_cut_loses_a_row_in_silence(kind, tmp_path):
    random = np.random.default_rng(1)
    data = PACKED[kind]
    for stop in {1, 2, 3, 5, 30, len(data) - 1, *random.integers(1, len(data), 25).tolist()}:
        assert loaded(tmp_path, data[:stop]) in (None, ROWS), stop


@pytest.mark.parametrize("kind", PACKED)
def test_no_changed_byte_is_a_traceback(kind, tmp_path):
    """Where a format has a checksum, a changed byte is found, too."""
    random = np.random.default_rng(2)
    for _ in range(40):
        data = bytearray(PACKED[kind])
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        found = loaded(tmp_path, bytes(data))
        if kind not in ("Parquet", "tar", "Zstandard"):
            assert found in (None, ROWS)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("r.csv.zip", HTML, "it is no zip file, it starts with '<html>404 not found</html>'"),
        ("r.csv.xz", TEXT, "it is no xz file, it starts with 'user,item,rating"),
        ("r.tar.gz", TEXT, "it is no gzip file, it starts with"),
        ("r.csv.zst", TEXT, "it is no Zstandard file, it starts with"),
        ("r.parquet", TEXT, "it is no Parquet file, it starts with"),
        ("r.csv", b"", "it is empty"),
        ("r.zip", zipped(("a.csv", TEXT), ("b.csv", TEXT)), "more than one file ('a.csv', 'b.csv')"),
        ("r.tar", tarred(("a.csv", TEXT), ("b.csv", TEXT)), "more than one file ('a.csv', 'b.csv')"),
        ("r.zip", zipped(("a/", b"")), "the archive holds no file"),
        ("r.tar", tarred(("a.csv", b"")), "no line names columns"),
        ("r.xlsx", zipped(("xl/workbook.xml", b"<x/>")), "an Excel workbook: save the sheet as CSV"),
        ("r.zip", zipped(("r.csv.gz", PACKED["gzip"])), "the zip file holds a gzip file: unpack it first"),
        ("r.gz", gzip.compress(PACKED["Parquet"]), "the gzip file holds a Parquet file: unpack it first"),
        ("r.7z", b"7z\xbc\xaf\x27\x1c" + bytes(99), "it is 7-Zip: unpack it first"),
        ("r.parquet", b"PARE" + bytes(99), "it is encrypted Parquet: unpack it first"),
        ("r.csv", b"SQLite format 3\0" + bytes(99), "no text, it holds zero bytes"),
    ],
)  # fmt: skip
def test_the_cause_is_named(name, data, message, tmp_path):
    assert message in refused(tmp_path, data, name)


def test_an_encrypted_zip_is_called_so(tmp_path):
    data = bytearray(PACKED["zip"])
    data[data.find(b"PK\x03\x04") + 6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    assert "the zip archive is encrypted: unpack it first" in refused(tmp_path, bytes(data))


@pytest.mark.parametrize(("kind", "at"), [("gzip", -8), ("xz", -40), ("zip", 14)])
def test_a_wrong_checksum_is_called_so(kind, at, tmp_path):
    data = bytearray(PACKED[kind])
    data[at] ^= 1
    if kind == "zip":
        data[data.find(b"PK\x01\x02") + 16] ^= 1
    message = refused(tmp_path, bytes(data))
    assert f"the {kind} archive is broken or cut off: " in message
    assert any(word in message for word in ("CRC", "Corrupt"))


@pytest.mark.parametrize("kind", ["Zstandard", "Parquet"])
def test_a_library_that_is_missing_is_named(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refused(tmp_path, PACKED[kind])
    assert f"{kind} needs pyarrow: pip install 'fedmf-ray[parquet]'" in message


def test_what_macs_put_into_archives_is_no_table(tmp_path):
    assert rows(load(tmp_path, zipped(("r.csv", TEXT), ("__MACOSX/._r.csv", b"\0")))) == ROWS


def test_a_small_archive_of_a_huge_line_is_not_unpacked_whole(tmp_path):
    bomb = gzip.compress(b"user,item,rating\n" + b"1" * 50_000_000)
    assert "a line after line 1 has over 1,048,576 characters" in refused(tmp_path, bomb)


class TestFoldersOfParquet:
    def part(self, folder, name, rows, **changes):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(
            pa.table(dict(zip(ROLES, zip(*rows, strict=True), strict=True)) | changes), folder / name
        )

    def test_files_are_read_by_name_and_what_is_no_data_is_left_out(self, tmp_path):
        self.part(tmp_path, "part-1.parquet", ROWS[100:])
        self.part(tmp_path, "part-0.snappy", ROWS[:100])
        for name in ("_SUCCESS", ".part-0.parquet.crc", "_delta_log/0.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        assert rows(load_table(tmp_path, ROLES)) == ROWS

    def test_names_of_folders_are_columns_of_text(self, tmp_path):
        for user in ("007", "7"):
            self.part(tmp_path, f"user={user}/part-0.parquet", [(0, 5, 3.0)])
            path = tmp_path / f"user={user}/part-0.parquet"
            parquet.write_table(parquet.ParquetFile(path).read(["item", "rating"]), path)
        table = load_table(tmp_path, ROLES)
        assert [table.names.user(one) for one in table.user_ids.tolist()] == ["007", "7"]

    def refused(self, folder, message):
        with pytest.raises(FedMFError) as caught:
            load_table(folder, ROLES)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_folder_that_holds_something_else_is_refused(self, tmp_path):
        self.refused(tmp_path, f"{tmp_path}: is a folder without Parquet files")
        (tmp_path / "r.csv").write_bytes(TEXT)
        self.refused(tmp_path, "r.csv: is no Parquet file")

    @pytest.mark.parametrize(
        ("users", "message"),
        [
            (["1", "2"], "b: column 'user' is string, in a it is int64"),
            ([None, 2], "row 3, column 'user': is"),
        ],
    )
    def test_parts_that_do_not_fit_are_named(self, users, message, tmp_path):
        self.part(tmp_path, "a", ROWS[:2])
        self.part(tmp_path, "b", ROWS[2:4], user=users)
        self.refused(tmp_path, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rating": pa.array([[1.0]], pa.list_(pa.field("element", pa.float64())))},
            "column 'rating' holds list<element: double>: ratings are numbers",
        ),
        ({"rating": pa.array([True])}, "column 'rating' holds bool: ratings are numbers"),
        ({"rating": pa.array([float("inf")])}, "row 1, column 'rating': 'inf' is not a finite number"),
        ({"rating": pa.array(["good"])}, "row 1, column 'rating': 'good' is not a finite number"),
        ({"rating": pa.array([None], pa.float64())}, "row 1, column 'rating': is empty"),
        ({"date": pa.array([1], pa.duration("us"))}, "column 'date' holds duration[us]: times are"),
        ({"date": pa.array([float("nan")])}, "row 1, column 'date': 'nan' is not a finite number"),
    ],
)
def test_columns_of_other_types_are_named(changes, message, tmp_path):
    parquet.write_table(
        pa.table({"user": [1], "item": [1], "rating": [1.0], "date": [1]} | changes), tmp_path / "r"
    )
    with pytest.raises(FedMFError) as caught:
        load_table(tmp_path / "r", ROLES | {"timestamp": "date"})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "dates",
    [
        pa.array([1_700_000_000_000_000_002, 1_700_000_000_000_000_001, 0]),
        pa.array([2**64 - 1, 2**64 - 2, 0], pa.uint64()),
        pa.array([2.5, 1.5, -1.0]),
        pa.array(np.array(["2024-01-02", "2024-01-01T00:00:00.000000001", "2024-01-01"], "M8[ns]")),
        pa.array(["2024-01-03", "2024-01-02", "2024-01-01"]).cast(pa.date32()),
        pa.array(["2024-01-03", "2024-01-02", "2024-01-01"]),
    ],
    ids=lambda dates: str(dates.type),
)
def test_times_of_all_types_keep_their_order(dates, tmp_path):
    parquet.write_table(
        pa.table({"user": [1] * 3, "item": [1, 2, 3], "rating": [1, 2, 3], "date": dates}), tmp_path / "r"
    )
    table = load_table(tmp_path / "r", ROLES | {"timestamp": "date"})
    assert np.argsort(table.timestamps).tolist() == [2, 1, 0]
    assert table.timestamps.dtype == np.int64


def test_two_parquet_columns_of_one_name_are_refused(tmp_path):
    arrays = [pa.array([1]), pa.array([1]), pa.array([4.0]), pa.array([2.0])]
    parquet.write_table(pa.table(arrays, names=["user", "item", "rating", "rating"]), tmp_path / "r")
    with pytest.raises(FedMFError, match="two columns are named 'rating'"):
        load_table(tmp_path / "r", ROLES)
