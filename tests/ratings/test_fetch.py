"""Downloads against a real HTTP server on this machine: whole and checked, or nothing."""

import errno
import io
import os
import shutil
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from fedmf_ray.errors import FedMFError
from fedmf_ray.ratings import fetch as downloads
from fedmf_ray.ratings import movielens
from fedmf_ray.ratings.movielens import DataSet

TINY = DataSet("ml-tiny", "ml-TINY", "ratings.csv", 2)
GOOD = {
    "ml-TINY/ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,4\n2,2,1.0,5\n",
    "ml-TINY/README.txt": "hello",
}


def archive(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setitem(movielens.DATA_SETS, "ml-tiny", TINY)
    return tmp_path / "cache"


@pytest.fixture
def serve():
    """Serve one answer (status, body, claimed length) on loopback; gives the URL."""
    servers = []

    def start(body=b"", status=200, length=None):
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/movielens/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_good_archive_is_unpacked_and_loads(cache, serve):
    seen = []
    body = archive(GOOD)
    folder = downloads.fetch("ml-tiny", cache, base_url=serve(body), progress=lambda *now: seen.append(now))
    assert sorted(path.name for path in cache.iterdir()) == ["ml-TINY"]
    assert folder == cache / "ml-TINY"
    assert movielens.load("ml-tiny", cache).values.tolist() == [3.5, 1.0]
    assert seen[-1] == (len(body), len(body))
    assert downloads.is_here("ml-tiny", cache)


def test_what_is_here_is_not_fetched_again(cache, serve):
    folder = downloads.fetch("ml-tiny", cache, base_url=serve(archive(GOOD)))
    assert downloads.fetch("ml-tiny", cache, base_url="http://127.0.0.1:1/") == folder


def test_a_folder_of_this_machine_is_a_mirror_too(cache, tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "ml-tiny.zip").write_bytes(archive(GOOD))
    assert (downloads.fetch("ml-tiny", cache, base_url=str(tmp_path / "mirror")) / "README.txt").exists()


def test_a_folder_that_holds_something_else_is_left_alone(cache, serve):
    (cache / "ml-TINY").mkdir(parents=True)
    (cache / "ml-TINY" / "thesis.tex").write_text("years of work")
    with pytest.raises(FedMFError, match="exists but holds no ratings.csv: move it away"):
        downloads.fetch("ml-tiny", cache, base_url=serve(archive(GOOD)))
    assert (cache / "ml-TINY" / "thesis.tex").read_text() == "years of work"


def test_members_outside_the_folder_are_left_out(cache, serve):
    members = GOOD | {"../evil.txt": "x", "ml-TINY/../../evil.txt": "x", "other/file": "x"}
    downloads.fetch("ml-tiny", cache, base_url=serve(archive(members)))
    assert sorted(path.name for path in cache.parent.rglob("*") if path.is_file()) == [
        "README.txt",
        "ratings.csv",
    ]


def corrupt():
    """An archive whose stored bytes no longer fit their checksum."""
    body = bytearray(archive({"ml-TINY/ratings.csv": GOOD["ml-TINY/ratings.csv"] * 50}))
    body[60] ^= 0xFF
    return bytes(body)


def marked(local, central, value):
    """An archive with another byte at these places of the two headers of its only member."""
    body = bytearray(archive({"ml-TINY/ratings.csv": GOOD["ml-TINY/ratings.csv"]}))
    body[body.find(b"PK\x03\x04") + local] = value
    body[body.find(b"PK\x01\x02") + central] = value
    return bytes(body)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 404}, "could not be fetched: Not Found"),
        ({"status": 500}, "could not be fetched"),
        ({"body": b"half of it", "length": 1000}, "broke off after 10 of 1000 bytes"),
        ({"body": b"<html>log in first</html>"}, "the archive is broken"),
        ({"body": corrupt()}, "the archive is broken"),
        ({"body": archive({"ml-TINY/other.csv": "x"})}, "holds no ml-TINY/ratings.csv"),
        (
            {"body": archive({"ml-TINY/ratings.csv": "userId,movieId,rating,timestamp\n1,2,3,4\n"})},
            "holds 1 ratings",
        ),
        (
            {"body": archive({"ml-TINY/ratings.csv": "a;b\n1;2\n1;2\n"})},
            "start with 'a;b': this is not ml-tiny",
        ),
        ({"body": archive({"ml-TINY/ratings.csv": "1,2,3,4\n" * 3})}, "start with '1,2,3,4': this is not"),
        ({"body": marked(6, 8, 1)}, "the archive is broken .*encrypted"),
        ({"body": marked(8, 10, 97)}, "the archive is broken .*compression method"),
    ],
)
def test_whatever_goes_wrong_nothing_stays_behind(answer, message, cache, serve):
    with pytest.raises(FedMFError, match=message) as caught:
        downloads.fetch("ml-tiny", cache, base_url=serve(**answer))
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_offline_is_one_clear_line(cache):
    with pytest.raises(FedMFError, match="could not be fetched: .*refused.*; check the connection"):
        downloads.fetch("ml-tiny", cache, base_url="http://127.0.0.1:1/")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_named(cache, serve):
    cache.write_text("a file in the way")
    with pytest.raises(FedMFError, match="ml-tiny cannot be stored here: .*FEDMF_DATA"):
        downloads.fetch("ml-tiny", cache / "below", base_url=serve(archive(GOOD)))


def test_an_interrupt_leaves_nothing_behind(cache, serve):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        downloads.fetch("ml-tiny", cache, base_url=serve(archive(GOOD)), progress=interrupt)
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_one_clear_line_and_leaves_nothing_behind(cache, serve):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FedMFError, match="ml-tiny cannot be stored here: No space left"):
        downloads.fetch("ml-tiny", cache, base_url=serve(archive(GOOD)), progress=full)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("address", ["http://[mirror/", "http://h\xe9te/\xe9 x", "http://127.0.0.1:port/"])
def test_an_address_that_is_none_is_one_clear_line(address, cache):
    with pytest.raises(FedMFError, match=r"is no address to download from|could not be fetched") as caught:
        downloads.fetch("ml-tiny", cache, base_url=address)
    assert "\n" not in str(caught.value)


BOMB = b"userId,movieId,rating,timestamp\n" + b"\n" * (TINY.most_bytes + 1)


def lying(size):
    """An archive of a bomb whose directory says another size."""
    body = bytearray(archive({"ml-TINY/ratings.csv": BOMB}))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        first = body.find(mark) + at
        body[first : first + 4] = size.to_bytes(4, "little")
    return bytes(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (archive({"ml-TINY/ratings.csv": BOMB}), "unpacks to 1 files of 33554593 bytes: this is not ml-tiny"),
        (archive({f"ml-TINY/{at}": b"" for at in range(1001)}), "unpacks to 1001 files"),
        (lying(100), "the archive is broken"),
        (archive({"ml-TINY/ratings.csv": BOMB[: 1 << 20], "ml-TINY/ratings.csv/x": "x"}), "twice"),
        (
            archive({"ml-TINY/ratings.csv": GOOD["ml-TINY/ratings.csv"].rstrip()}),
            "its last rating has no end",
        ),
    ],
    ids=["bomb", "files", "lying", "twice", "cut"],
)
def test_no_more_is_unpacked_than_the_data_set_has(body, message, cache, serve, monkeypatch):
    written = []
    monkeypatch.setattr(downloads, "_CHUNK", 1 << 12)
    honest = downloads._read_packed

    def counted(packed, wanted):
        written.append(honest(packed, wanted))
        return written[-1]

    monkeypatch.setattr(downloads, "_read_packed", counted)
    with pytest.raises(FedMFError, match=message) as caught:
        downloads.fetch("ml-tiny", cache, base_url=serve(body))
    assert "\n" not in str(caught.value)
    assert sum(map(len, written)) <= TINY.most_bytes
    assert list(cache.iterdir()) == []


def test_a_server_that_never_ends_is_left(cache, serve):
    with pytest.raises(FedMFError, match="sends more than the 33554560 bytes that the data set may have"):
        downloads.fetch("ml-tiny", cache, base_url=serve(bytes(TINY.most_bytes + 1)))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("length", ["many", "-5", ""])
def test_a_length_that_is_none_is_not_believed(length, cache, serve):
    body = archive(GOOD)
    assert downloads.fetch("ml-tiny", cache, base_url=serve(body, length=length)).is_dir()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_cut_or_changed_archive_leaves_anything_behind(method, cache, tmp_path):
    """Either the whole data set, or one line."""
    random = np.random.default_rng(3)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, text in GOOD.items():
            file.writestr(name, text)
    (tmp_path / "mirror").mkdir()
    for at in range(150):
        body = bytearray(buffer.getvalue())
        if at % 3:
            body[random.integers(len(body))] ^= 1 << random.integers(8)
        else:
            del body[random.integers(1, len(body)) :]
        (tmp_path / "mirror" / "ml-tiny.zip").write_bytes(body)
        try:
            downloads.fetch("ml-tiny", cache, base_url=str(tmp_path / "mirror"))
        except FedMFError as error:
            message = str(error)
        else:
            assert (cache / "ml-TINY" / "ratings.csv").read_text() == GOOD["ml-TINY/ratings.csv"]
            shutil.rmtree(cache / "ml-TINY")
            message = ""
        assert "\n" not in message
        assert list(cache.iterdir()) == []


def test_an_unknown_name_lists_the_known_ones(cache):
    with pytest.raises(FedMFError, match="ml-9: no such data set: one of ml-latest-small"):
        downloads.fetch("ml-9", cache)
